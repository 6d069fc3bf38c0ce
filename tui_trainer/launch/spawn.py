"""Start an engine that outlives the terminal: a process and a session of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tui_trainer.core.config import assignments_layer
from tui_trainer.sessions import words
from tui_trainer.sessions.oslayer import storage_errors
from tui_trainer.sessions.store import Session


def spawn(
    session: Session, *, assignments: Sequence[str] = (), callbacks: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """The detached engine's process; its output goes to the session's engine.log."""
    config = session.read().settings(assignments_layer(assignments))
    module = "tui_trainer.engine.main" if config.run.nproc == 1 else "tui_trainer.launch.ranks"
    told = words.written(session.path, assignments, callbacks)
    return spawn_words([sys.executable, "-m", module, *told], session.log_path)


def spawn_words(command: Sequence[str], log_path: Path) -> subprocess.Popen[bytes]:
    """A process in a session of its own; what it prints is appended to the log."""
    with storage_errors(log_path.parent):
        log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            close_fds=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    finally:
        os.close(log)

"""What a run that broke left behind: the end of its traceback, or of its engine's own words."""

from __future__ import annotations

import os
from pathlib import Path

from tui_trainer.core.text import clean_line
from tui_trainer.errors import TuiTrainerError
from tui_trainer.sessions.files import chunks, open_regular
from tui_trainer.sessions.store import Session

MOST_BYTES = 1 << 30
_TAIL = 16_384
_WIDE = 400


def last_words(session: Session, lines: int = 12) -> tuple[str, ...]:
    """The newest of crash/traceback.txt and engine.log, its last lines, clean; empty where both are missing."""
    found = [path for path in (session.crash_dir / "traceback.txt", session.log_path) if path.is_file()]
    for path in sorted(found, key=_changed, reverse=True):
        text = _tail(path)
        if text:
            return text[-lines:]
    return ()


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _tail(path: Path) -> tuple[str, ...]:
    try:
        with open_regular(path, MOST_BYTES) as (fd, size):
            data = b"".join(chunks(fd, size)) if size <= _TAIL else _end(fd, size)
    except (TuiTrainerError, OSError):
        return ()
    lines = data.decode("utf-8", "replace").splitlines()
    return tuple(clean_line(line, _WIDE) for line in lines if line.strip())


def _end(fd: int, size: int) -> bytes:
    return os.pread(fd, _TAIL, size - _TAIL).partition(b"\n")[2]

"""The process behind `Workers`: `python -m tui_trainer.data.worker FD PARENT MODULE:FUNCTION`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from tui_trainer.core.registry import load_attribute

PR_SET_PDEATHSIG = 1
LONGEST = 300
"""Characters of a failure's reason."""


def main() -> None:
    """Answer jobs until the pipe ends."""
    descriptor, parent, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    die_with(parent)
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(name, signal.SIG_IGN)  # sent to the whole group: the caller decides
    os.dup2(2, 1)  # what libraries print goes where the caller's complaints go
    connection = Connection(descriptor)
    function: Callable[[Any], Any] = load_attribute(path)
    while True:
        try:
            job = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(_outcome(function, job))


def _outcome(function: Callable[[Any], Any], job: Any) -> tuple[bool, Any]:
    """(True, result), or (False, why). A panic of a Rust library derives from BaseException."""
    try:
        return True, function(job)
    except BaseException as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return False, text[:LONGEST]


def die_with(parent: int) -> None:
    """Be killed when the parent ends, however it ends; Linux only, elsewhere the pipe's end must do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


if __name__ == "__main__":
    main()

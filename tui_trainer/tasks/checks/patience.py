"""How long a rule may take: a task that hangs is named, with the line where it was, instead of hanging the kit."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

PATIENCE_S = 900.0
"""For one rule, in programs and tests; the command's is 300, as a person waits for it."""
_SHORTEST_S = 0.001


class OutOfPatience(BaseException):
    """No Exception: a task's own handlers, and ours that take what it raises for a broken episode, must let it pass."""


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Raise OutOfPatience in whatever still runs after so long. In the main thread, where Python code is interrupted;
    a call into a library of another language is not."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    began, before = time.monotonic(), signal.signal(signal.SIGALRM, lambda _, frame: _give_up(seconds, frame))
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(_SHORTEST_S, left - (time.monotonic() - began)))


def _give_up(seconds: float, frame: FrameType | None) -> None:
    code = frame.f_code if frame else None
    where = f"{code.co_filename}:{frame.f_lineno}, {code.co_name}" if code and frame else "unknown code"
    raise OutOfPatience(
        f"not done after {seconds:g} s, and then in {where}: if it hangs there, so does a run; "
        "task.processes puts it where a hang is found and ended"
    )

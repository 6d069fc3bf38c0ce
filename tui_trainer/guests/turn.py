"""Whose turn it is to meet orders: one of a script's threads at a time, and never a call within another."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Turn:
    """A lock that tells a call that it is within another: in a function of the script's that was called for an order,
    or in a handler of a signal that came amid one of our calls. Such a call can neither wait nor go ahead.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        """Of the thread that has the lock."""

    @contextlib.contextmanager
    def taken(self, wait_s: float = 0.0) -> Iterator[bool]:
        """Whether it is this call's, within `wait_s`."""
        if not self._lock.acquire(timeout=wait_s):
            yield False
            return
        try:
            self._depth += 1
            yield self._depth == 1
        finally:
            self._depth -= 1
            self._lock.release()

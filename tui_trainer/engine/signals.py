"""Signals to an engine: once asks, twice stops at once; a stopped process does not count the time it was stopped."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Literal

from tui_trainer.core.reports import SignalReport
from tui_trainer.engine.clock import SteadyClock
from tui_trainer.engine.inbox import Inbox, Woken

Name = Literal["term", "int", "usr1", "usr2"]
_NAMES: dict[signal.Signals, Name] = {
    signal.SIGTERM: "term",
    signal.SIGINT: "int",
    signal.SIGUSR1: "usr1",
    signal.SIGUSR2: "usr2",
}


BURST_S = 1.0
"""SIGTERMs of a rank that follow each other sooner are one: Linux may tell of a parent's death once for each of its
threads, and torchrun has several."""


class Signals:
    """Installed handlers. `at_once` runs on the second SIGINT or SIGTERM and must not return."""

    def __init__(
        self,
        inbox: Inbox,
        clock: SteadyClock,
        at_once: Callable[[int], None],
        on_stop: Callable[[], None],
        burst_s: float = 0.0,
    ) -> None:
        self._inbox = inbox
        self._clock = clock
        self._at_once = at_once
        self._on_stop = on_stop
        self._asked = False
        self._burst_s = burst_s
        self._termed = -math.inf

    def install(self) -> None:
        """Take over the process's handlers; SIGHUP means only that a view is gone. Elsewhere than in the main
        thread (a notebook, somebody's own program) Python allows none, and none are taken.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _NAMES:
            signal.signal(number, self._handle)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTSTP, self._suspend)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        name = _NAMES[signal.Signals(number)]
        if name == "term" and self._is_of_one_burst():
            return
        if name in ("term", "int"):
            if self._asked:
                self._at_once(128 + number)
            self._asked = True
        self._inbox.put(SignalReport(name=name))

    def _is_of_one_burst(self) -> bool:
        before, self._termed = self._termed, time.monotonic()
        return self._termed - before < self._burst_s

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        self._on_stop()
        began = time.monotonic()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._clock.skip(time.monotonic() - began)
        self._inbox.put(Woken())

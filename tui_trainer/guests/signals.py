"""Signals that would kill a script or mean nothing to it: SIGTERM asks for an end, SIGUSR1 saves, SIGUSR2 pauses."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Literal

from tui_trainer.core.reports import SignalReport
from tui_trainer.engine.inbox import Inbox

_NAMES: dict[signal.Signals, Literal["term", "usr1", "usr2"]] = {
    signal.SIGTERM: "term",
    signal.SIGUSR1: "usr1",
    signal.SIGUSR2: "usr2",
}


class GuestSignals:
    """Taken only where the script has not taken them itself, and given back at the end. ctrl+c stays Python's own."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._taken: list[signal.Signals] = []
        self._asked = False
        self.is_over = False
        """Whether the run has ended, and a signal that still comes here means what it would without us."""

    def take(self) -> None:
        """Install; elsewhere than in the main thread Python allows none."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _NAMES:
            if _is_free(signal.getsignal(number)):
                signal.signal(number, self._heard)
                self._taken.append(number)

    def give_back(self) -> None:
        """As it was; elsewhere than in the main thread Python allows it only when the next signal comes."""
        self.is_over = True
        if threading.current_thread() is not threading.main_thread():
            return
        for number in self._taken:
            if signal.getsignal(number) == self._heard:
                signal.signal(number, signal.SIG_DFL)
        self._taken.clear()

    def _heard(self, number: int, frame: FrameType | None) -> None:
        name = _NAMES[signal.Signals(number)]
        if self.is_over or (name == "term" and self._asked):
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self._asked = self._asked or name == "term"
        self._inbox.put(SignalReport(name=name))


def _is_free(handler: object) -> bool:
    """Whether nobody has taken a signal: a run that was closed in another thread may still stand there."""
    owner = getattr(handler, "__self__", None)
    return handler is signal.SIG_DFL or (isinstance(owner, GuestSignals) and owner.is_over)

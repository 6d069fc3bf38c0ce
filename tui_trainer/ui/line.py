"""How far the terminal has come: a question goes along with a frame, and its answer says that the frame has arrived.

A pseudo-terminal takes what is written at once, and so does SSH: what stands in their buffers cannot be asked for.
Every terminal answers a device status report (DSR 5, ECMA-48 8.3.35), in the order in which it reads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

QUESTION = "\x1b[5n"
ANSWER = "\x1b[0n"
FRAME = 64
"""Characters; what is shorter than this is no frame, and nothing is asked after it."""
PATIENCE_S = 0.25
"""A frame younger than this holds no other one up: a distant terminal is not a slow one."""
GIVEN_UP_S = 30.0
"""After so long without an answer the terminal is taken for one that gives none, until one comes."""


class Line:
    """Lives on the app's loop, but for `heard`. Terminals that never answer are never waited for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answers = False
        self._asked_at: float | None = None
        self._more = False
        self._waiting: Callable[[], None] | None = None
        self._heard = threading.Event()

    @property
    def is_asking(self) -> bool:
        """Is an answer on its way?"""
        return self._asked_at is not None

    def asks(self, characters: int = FRAME) -> bool:
        """Something was written: is the question to be written behind it?"""
        if characters < FRAME:
            return False
        if self._asked_at is not None:
            self._more = True
            return False
        self._asked_at = self._clock()
        self._heard.clear()
        return True

    def heard(self) -> None:
        """An answer was read; from the thread that reads. `answered` follows on the loop."""
        self._heard.set()

    def settle(self, seconds: float) -> None:
        """Block until the answer that is on its way has been read; at most so long, and only where answers come."""
        if self._answers and self._asked_at is not None:
            self._heard.wait(seconds)
        self.forget()

    def answered(self) -> bool:
        """An answer came. True where another question has to go, for what was written since the last one."""
        self._answers, self._asked_at = True, None
        if self._more:
            self._more = False
            return self.asks()
        if self._waiting is not None:
            paint, self._waiting = self._waiting, None
            paint()
        return False

    def forget(self) -> None:
        """The terminal was somebody else's: what was asked is not answered to us."""
        self._asked_at, self._more = None, False

    def is_clear(self) -> bool:
        """May a frame be written now?"""
        if self._asked_at is None or not self._answers:
            return True
        age = self._clock() - self._asked_at
        if age > GIVEN_UP_S:
            self._answers = False
        return age < PATIENCE_S or age > GIVEN_UP_S

    def is_behind(self) -> bool:
        """Does the person perhaps not see yet what was painted?"""
        return not self.is_clear() or self._waiting is not None

    def when_clear(self, paint: Callable[[], None]) -> None:
        """Call `paint` once, when what was written has arrived; the newest one takes the others' place."""
        self._waiting = paint


class Sieve:
    """Takes the answers out of what was typed: an answer may come in pieces, and between keys."""

    def __init__(self) -> None:
        self._held = ""

    @property
    def is_holding(self) -> bool:
        """Is something held back that may be typed as well?"""
        return bool(self._held)

    def sifted(self, text: str, *, expecting: bool) -> tuple[str, int]:
        """What was typed, and how many answers were in it. The beginning of an expected answer is held back."""
        pieces = (self._held + text).split(ANSWER)
        typed = "".join(pieces)
        held = next((ANSWER[:n] for n in (3, 2, 1) if typed.endswith(ANSWER[:n])), "") if expecting and text else ""
        self._held = held
        return typed.removesuffix(held), len(pieces) - 1

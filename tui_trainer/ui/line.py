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
FIRST_S = 0.5
"""A terminal that has not answered within this is taken for one that gives no answers; one frame goes before."""
GIVEN_UP_S = 30.0
"""After so long without an answer the terminal is taken for one that gives none, until one comes."""
PIECE_S = 0.5
"""On a slow line what is written at once takes about so long to arrive: a key's mark waits for no more."""
LEAST = 256
"""Bytes that are written at once on the slowest line."""
TELLING = 512
"""Bytes whose arrival tells whether the line is slow; until then one frame waits for the other."""
MOST = 32_768
"""Bytes; more than any picture. A line that takes so many in `PIECE_S` is not slow."""


class Line:
    """Lives on the app's loop, but for `heard`. Terminals that never answer are never waited for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answers = False
        self._asked_at: float | None = None
        self._more = False
        self._waiting: Callable[[], None] | None = None
        self._heard = threading.Event()
        self._written = self._asked_for = self._taken = 0
        self._distance_s = float("inf")
        self._rate: float | None = None
        self._known = False
        self._first_at = float("inf")

    @property
    def is_asking(self) -> bool:
        """Is an answer on its way?"""
        return self._asked_at is not None

    @property
    def is_new(self) -> bool:
        """Has the terminal never answered?"""
        return not self._answers

    @property
    def room(self) -> int | None:
        """Bytes that may be written at once; None where the line is not slow."""
        return None if self._rate is None else max(LEAST, int(self._rate * PIECE_S)) - self._taken

    def take(self, bytes_: int) -> None:
        """So much of the room is going to be written; 0 gives it back."""
        self._taken = self._taken + bytes_ if bytes_ else 0

    def asks(self, characters: int = FRAME) -> bool:
        """Something was written: is the question to be written behind it?"""
        self._written += characters
        if characters < FRAME:
            return False
        if self._asked_at is not None:
            self._more = True
            return False
        self._asked_at = self._clock()
        self._first_at = min(self._first_at, self._asked_at)
        self._asked_for, self._written = self._written, 0
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
        if self._asked_at is not None:
            self._measure(self._clock() - self._asked_at)
        self._answers, self._asked_at = True, None
        if self._more:
            self._more = False
            return self.asks()
        if self._waiting is not None:
            paint, self._waiting = self._waiting, None
            paint()
        return False

    def _measure(self, age_s: float) -> None:
        """How fast the line is: the way there and back, which the quickest answer took, is no part of it."""
        self._known |= self._asked_for >= TELLING
        self._distance_s = min(self._distance_s, age_s)
        taken_s = age_s - self._distance_s
        rate = self._asked_for / max(taken_s, 1e-3)
        if taken_s >= PATIENCE_S:
            self._rate = rate
        elif self._rate is not None:
            self._rate = max(self._rate, min(rate, 2 * self._rate))  # a short piece measures badly
        if self._rate is not None and self._rate * PIECE_S > MOST:
            self._rate = None

    def forget(self) -> None:
        """The terminal was somebody else's: what was asked is not answered to us."""
        self._asked_at, self._more = None, False

    def is_clear(self) -> bool:
        """May a frame be written now?"""
        if self._asked_at is None:
            return True
        age = self._clock() - self._asked_at
        if not self._answers:
            return self._clock() - self._first_at >= FIRST_S or self._written < TELLING
        if age > GIVEN_UP_S:
            self._answers = False
        quick = self._known and self._rate is None
        return (quick and age < PATIENCE_S) or age > GIVEN_UP_S

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

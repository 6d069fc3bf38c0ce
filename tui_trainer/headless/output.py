"""Writes text to a stream that may be slow, narrow in its encoding, or gone: never blocks, never raises."""

from __future__ import annotations

import os
import select
import sys
import time
from collections import deque
from typing import TextIO

PIECE = 256
"""Characters written at once; a terminal or pipe that is ready takes at least so many."""
MAX_WAITING = 16 * 1024 * 1024
"""Characters kept for a reader that has stopped reading; past this, texts are left out until it has read half."""
_LAST_LOOKS, _LOOK_S = 20, 0.1
"""At the end a reader that took nothing for so many looks is given up. Looks are counted: a process that stood still,
or a machine that was busy elsewhere, is no reader's fault."""
_LONGEST_S = 30.0
"""One that takes a little every time is given up, too."""
_AT_ONCE = 64
"""Pieces."""

_PLAIN = {"→": "->", "·": "|", "…": "...", "±": "+/-", "–": "-", "°": "", "█": "#", "▌": "=", "✓": "+", "●": "*"}


class Output:
    """A stream for people and scripts. A closed one turns this silent for good; `is_silent` tells."""

    def __init__(self, out: TextIO | None, most: int = MAX_WAITING) -> None:
        self._out = out
        self._fd = _descriptor(out)
        self._encoding = getattr(out, "encoding", None) or "utf-8"
        self._waiting: deque[str] = deque()
        self._size = 0
        self._most = most
        self._is_full = False
        self._left_out = 0

    @property
    def left_out(self) -> int:
        """Texts that a reader too far behind never gets."""
        return self._left_out

    @property
    def unread(self) -> int:
        """Lines that wait."""
        return sum(piece.count("\n") for piece in self._waiting)

    @property
    def is_silent(self) -> bool:
        """True once nobody listens."""
        return self._out is None

    @property
    def is_behind(self) -> bool:
        """True while the reader has not taken everything."""
        return self._size > 0

    @property
    def encoding(self) -> str:
        """What the stream can carry."""
        return self._encoding

    def write(self, text: str) -> None:
        """Hand `text` over, what the reader takes now; the rest goes with later calls. Whole or not at all."""
        if self._out is None:
            return
        shown = encodable(text, self._encoding)
        self._drain()
        self._is_full = self._size + len(shown) > (self._most // 2 if self._is_full else self._most)
        if self._is_full:
            self._left_out += 1
            return
        self._waiting.extend(shown[i : i + PIECE] for i in range(0, len(shown), PIECE))
        self._size += len(shown)
        self._drain()

    def close(self) -> None:
        """Give a slow reader the time to take the rest: while it goes on reading, and two seconds beyond that."""
        looks, until = 0, time.monotonic() + _LONGEST_S
        while self._waiting and self._out is not None and looks < _LAST_LOOKS and time.monotonic() < until:
            before = self._size
            self._drain(_LOOK_S, _AT_ONCE)
            looks = 0 if self._size < before else looks + 1

    def _drain(self, wait_s: float = 0.0, most: int = sys.maxsize) -> None:
        try:
            while self._out is not None and self._waiting and most and self._is_ready(wait_s):
                piece = self._waiting.popleft()
                self._size -= len(piece)
                self._out.write(piece)
                self._out.flush()
                most -= 1
        except BlockingIOError:
            return
        except (OSError, ValueError):
            self._give_up()

    def _is_ready(self, wait_s: float) -> bool:
        if self._fd is None:
            return True
        return bool(select.select([], [self._fd], [], wait_s)[1])

    def _give_up(self) -> None:
        """Silent from now on; whatever else is printed goes nowhere, too, so that the exit code stays ours."""
        self._out = None
        self._waiting.clear()
        self._size = 0
        if self._fd is None:
            return
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._fd)
            os.close(nowhere)
        except OSError:
            self._fd = None


def encodable(text: str, encoding: str) -> str:
    """`text` in characters that `encoding` has: our own signs in their ASCII form, others as `?`."""
    if carries(encoding, text):
        return text
    return "".join(char if carries(encoding, char) else _PLAIN.get(char, "?") for char in text)


def carries(encoding: str, text: str) -> bool:
    """True when `encoding` has every character of `text`; one that Python does not know is taken for ASCII."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    except LookupError:
        return text.isascii()
    return True


def _descriptor(out: TextIO | None) -> int | None:
    if out is None:
        return None
    try:
        return out.fileno()
    except (OSError, ValueError):
        return None

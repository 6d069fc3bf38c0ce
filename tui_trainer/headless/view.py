"""A run without a screen: JSON lines for scripts, lines and a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import TextIO

from tui_trainer.core.events import TRANSIENT, AnyEvent, RunEnded, UpdateFinished, encode
from tui_trainer.core.format import count
from tui_trainer.core.state import RunState
from tui_trainer.headless.bar import progress_line
from tui_trainer.headless.lines import event_line
from tui_trainer.headless.output import MAX_WAITING, Output, carries
from tui_trainer.headless.summary import summary

_WHOLE = "events.jsonl in the session has all of them"
REDRAW_S = 0.5
UPDATE_LINE_S = 10.0


class HeadlessView:
    """Shows each event on `out`. Never raises and never blocks: when nobody reads, training goes on unseen.

    `state` is what is known before the first event, such as the fold of a resumed session's history. A reader that is
    too far behind loses lines, which `complaints` is told of.
    """

    def __init__(
        self,
        out: TextIO | None,
        json: bool,
        is_terminal: bool,
        *,
        state: RunState | None = None,
        complaints: TextIO | None = None,
        most_waiting: int = MAX_WAITING,
        clock: Callable[[], float] = time.monotonic,
        width: Callable[[], int] = lambda: shutil.get_terminal_size().columns,
    ) -> None:
        self._out = Output(out, most_waiting)
        self._complaints = Output(complaints)
        self._has_complained = False
        self._json = json
        self._has_bar = is_terminal and not json
        self._state = state or RunState()
        self._clock = clock
        self._width = width
        self._ascii = not carries(self._out.encoding, "█▌")
        self._drawn = 0
        self._drawn_at = float("-inf")
        self._update_told_at = float("-inf")

    @property
    def state(self) -> RunState:
        """The fold of what was shown."""
        return self._state

    def show(self, event: AnyEvent) -> None:
        """Fold `event` and tell of it."""
        if self._out.is_silent:
            return
        if self._json:
            self._show_json(event)
            return
        self._state = self._state.apply(event)
        if self._is_told(event):
            self._print(event_line(event, self._state))
        if isinstance(event, RunEnded):
            self._end()
        elif self._has_bar:
            self._draw()

    def rest(self) -> None:
        """Take the bar away and let a slow reader have what waits; more may follow."""
        self._erase()
        self._out.close()

    def close(self) -> None:
        """The end: say what a reader too slow has missed."""
        self.rest()
        if missed := self._out.left_out + self._out.unread:
            self._complain(f"{count(missed)} lines of output were left out, since nobody read them; {_WHOLE}")
        self._complaints.close()

    def _show_json(self, event: AnyEvent) -> None:
        """The journal's line; ticks and frames, which have no seq, are left out."""
        if isinstance(event, TRANSIENT):
            return
        self._put(escaped(encode(event).decode(), self._out.encoding) + "\n")

    def _is_told(self, event: AnyEvent) -> bool:
        """Everything but updates, which are told now and then, or drawn in the bar."""
        if not isinstance(event, UpdateFinished):
            return True
        if self._has_bar or abs(event.time - self._update_told_at) < UPDATE_LINE_S:
            return False
        self._update_told_at = event.time
        return True

    def _print(self, line: str | None) -> None:
        if line is None:
            return
        self._erase()
        self._put(line + "\n")
        self._drawn_at = float("-inf")

    def _put(self, text: str) -> None:
        """A whole line, or none where the reader is too far behind; the first that is left out is told."""
        self._out.write(text)
        if self._out.left_out and not self._has_complained:
            self._has_complained = True
            self._complain(f"nobody reads the output: lines are left out until somebody does; {_WHOLE}")

    def _complain(self, text: str) -> None:
        self._complaints.write(f"tui-trainer: {text}\n")

    def _end(self) -> None:
        """What came of the run, in place of the bar."""
        self._erase()
        width = self._width() if self._has_bar else 100
        self._out.write(summary(self._state, width, charts=self._has_bar, encoding=self._out.encoding))

    def _draw(self) -> None:
        """The bar, twice a second at most, and not while the terminal is slow."""
        now = self._clock()
        if now - self._drawn_at < REDRAW_S or self._out.is_behind:
            return
        line = progress_line(self._state, self._width() - 1, ascii_only=self._ascii)
        self._out.write("\r" + line.ljust(self._drawn))
        self._drawn, self._drawn_at = len(line), now

    def _erase(self) -> None:
        if self._drawn:
            self._out.write("\r" + " " * min(self._drawn, self._width() - 1) + "\r")
            self._drawn = 0


def escaped(line: str, encoding: str) -> str:
    """A JSON line in characters that `encoding` has; others as \\u escapes, which any reader undoes."""
    if carries(encoding, line):
        return line
    return "".join(char if char.isascii() else _escape(char) for char in line)


def _escape(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))

"""Textual's Linux driver, but it ends the app when the terminal goes away instead of reading nothing for ever."""

from __future__ import annotations

import asyncio
import codecs
import io
import os
import queue
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual._ansi_sequences import SYNC_END, SYNC_START
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

from tui_trainer.ui.ground import QUERY, GroundSieve
from tui_trainer.ui.line import FRAME, QUESTION, Line, Sieve

if TYPE_CHECKING:
    from textual.app import App

_POLL_MS = 100
_REST_MS = 10
"""The rest of an answer is here by then; if none comes, what was held back is the escape key."""
_CHUNK = 4096
_FAREWELL_S = 2.0
"""The shell would take an answer that comes later for something typed."""
_QUEUED = 6
"""Writes that Textual's writer has not got rid of: two frames."""
_AGAIN_S = 0.25
_LAST_WORDS_S = 5.0
"""For so long after SIGTERM a terminal that takes nothing is waited for."""
_PIECE_WRITTEN_S = 0.05
"""Textual writes what is to be refreshed within a sixtieth of a second."""


class TerminalDriver(LinuxDriver):
    """Input by poll, which tells a hang-up (POLLHUP, end of file, EIO) from silence.

    Stock Textual 8.2 takes the end of input for a pause and asks again at once, at half a core, for ever.
    """

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = False, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        assert sys.__stdout__ is not None
        self._file = sys.__stdout__
        if isinstance(self._file, io.TextIOWrapper):
            self._file.reconfigure(errors="replace")  # a character the terminal lacks must not end the writer
        self._loop = asyncio.get_running_loop()
        self._gone = False
        self._line = Line()
        self._is_stderr_ours = sys.__stderr__ is not None and sys.__stderr__.isatty()
        self._leave_by = float("inf")
        self.ended_by: signal.Signals | None = None
        """The signal that told the app to end; SIGHUP also where the terminal went without one."""
        self._newest = ""
        self._ground: Callable[[bool], None] | None = getattr(app, "ground_told", None)
        """Who wants to know whether the background is light; None once it is known, or cannot be."""
        self._heed_signals()

    def _get_terminal_size(self) -> tuple[int, int]:
        """The terminal's own word: COLUMNS and LINES in the environment do not follow a resize."""
        try:
            width, height = os.get_terminal_size(self.fileno)
        except OSError:
            return 80, 24
        return (width, height) if width > 0 and height > 0 else (80, 24)

    def _enable_mouse_support(self) -> None:
        """Presses, drags and the wheel; not every movement, which over a slow line would be a stream of its own."""
        if self._mouse:
            self.write("\x1b[?1000h\x1b[?1002h\x1b[?1006h")
            self.flush()

    def _enable_mouse_pixels(self) -> None:
        """Cells are exact enough."""

    def _disable_mouse_support(self) -> None:
        if self._mouse:
            self.write("\x1b[?1000l\x1b[?1002l\x1b[?1006l")
            self.flush()

    def write(self, data: str) -> None:
        """Nothing is written to a terminal that has gone: its writer would never take it.

        Nor is the picture that stands there already: Textual paints the first one up to three times.
        """
        if data == self._newest or not self._put(data):
            return
        self._newest = self._newest if data in (SYNC_START, SYNC_END) else data if len(data) >= FRAME else ""
        if self._line.asks(len(data.encode(errors="replace"))):
            self._put(QUESTION)

    def _put(self, data: str | None) -> bool:
        """Hand over to the writer, who may be stuck in a terminal that takes nothing; False once that has gone."""
        writer = self._writer_thread
        while writer is not None and writer.is_alive() and not self._is_lost():
            try:
                writer._queue.put(data, timeout=_AGAIN_S)
            except queue.Full:
                continue
            return True
        return False

    def _is_lost(self) -> bool:
        self._gone = self._gone or time.monotonic() > self._leave_by
        return self._gone

    def start_application_mode(self) -> None:
        """Whether the terminal answers at all is asked first."""
        self._line.forget()
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._ground is not None:
            self._put(QUERY)
        if self._line.asks():
            self._put(QUESTION)

    def may_paint(self, paint: Callable[[], None]) -> bool:
        """Has the terminal taken what was written? If not, `paint` is called when it has."""
        writer = self._writer_thread
        if writer is not None and writer._queue.qsize() > _QUEUED:
            self._loop.call_later(_AGAIN_S, paint)
            return False
        if not self._line.is_clear():
            self._line.when_clear(paint)
            if self._line.is_new:
                self._loop.call_later(_AGAIN_S, paint)
            return False
        return True

    @property
    def room(self) -> int | None:
        """Bytes that may be written at once, so that a key's mark need not wait; None where the line is not slow."""
        return self._line.room

    def take(self, bytes_: int) -> None:
        """So many bytes are about to be written: other pictures painted meanwhile have the rest."""
        self._line.take(bytes_)
        self._loop.call_later(_PIECE_WRITTEN_S, self._line.take, 0)

    def go_on_with(self, paint: Callable[[], None]) -> None:
        """Call `paint` again for what is missing of a picture, when what was written of it has arrived."""
        self._loop.call_later(2 * _PIECE_WRITTEN_S, paint)

    @property
    def is_asking(self) -> bool:
        """Has the terminal not said yet that what was written has arrived?"""
        return self._line.is_asking

    @property
    def is_behind(self) -> bool:
        """Does the person perhaps not see yet what was painted?"""
        return self._line.is_behind()

    def _ground_came(self, light: bool) -> None:
        told, self._ground = self._ground, None
        if told is not None:
            told(light)

    def _answered(self) -> None:
        self._ground = None  # its answer would have come before this one
        if self._line.answered():
            self._put(QUESTION)

    def disable_input(self) -> None:
        """An answer that is on its way is waited for."""
        if not self._gone and self._key_thread is not None and self._key_thread.is_alive():
            self._line.settle(_FAREWELL_S)
        super().disable_input()

    def close(self) -> None:
        """A writer blocked on a dead terminal is left behind; it is a daemon and ends with the process."""
        writer = self._writer_thread
        if writer is not None and self._put(None):
            while writer.is_alive() and not self._is_lost():
                writer.join(_AGAIN_S)
        if self._is_lost():
            self._part_from_streams()

    def _part_from_streams(self) -> None:
        """What is printed from now on goes nowhere: it would wait, as the writer does, for a terminal that takes it."""
        nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        sys.stdout = sys.__stdout__ = nowhere  # type: ignore[misc]
        if self._is_stderr_ours:
            sys.stderr = sys.__stderr__ = nowhere  # type: ignore[misc]

    def run_input_thread(self) -> None:
        """Read keys until the app ends or the terminal goes away."""
        parser = XTermParser(self._debug)
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        sieve, ground, poll = Sieve(), GroundSieve(), select.poll()
        poll.register(self.fileno, select.POLLIN)
        while not self.exit_event.is_set():
            ready = poll.poll(_REST_MS if sieve.is_holding or ground.is_holding else _POLL_MS)
            data = self._read() if ready else None
            if data == b"":
                self._hung_up()
                self._loop.call_soon_threadsafe(self._app.exit)
                return
            typed, light = ground.sifted(decode(data) if data else "", expecting=self._ground is not None)
            if light is not None:
                self._loop.call_soon_threadsafe(self._ground_came, light)
            text, answers = sieve.sifted(typed, expecting=self._line.is_asking)
            if answers:
                self._line.heard()
                self._loop.call_soon_threadsafe(self._answered)
            for message in parser.feed(text) if text else ():
                self.process_message(message)
            for message in parser.tick():
                self.process_message(message)

    def _read(self) -> bytes:
        """What was typed; nothing once the terminal has gone."""
        try:
            return os.read(self.fileno, _CHUNK)
        except OSError:
            return b""

    # Signals only leave a note for the loop: a handler that wrote to the terminal itself could interrupt a write and
    # wait for ever on the lock that this write holds. The loop's own handlers wake it whichever thread the signal
    # came to; those two that end the app leave their note at once, for a loop that waits for the terminal.

    def _heed_signals(self) -> None:
        heed = self._loop.add_signal_handler
        heed(signal.SIGTSTP, self._stop_here)
        heed(signal.SIGCONT, self._take_terminal)
        heed(signal.SIGTERM, self._app.exit)
        signal.signal(signal.SIGTERM, self._asked_to_end)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            heed(signal.SIGHUP, self._app.exit)
            signal.signal(signal.SIGHUP, self._hung_up)

    def _stop_here(self) -> None:
        """Give the terminal back, stop, and take it again when the process is continued."""
        if self.ended_by is None:
            self.suspend_application_mode()
            os.kill(os.getpid(), signal.SIGSTOP)

    def _take_terminal(self) -> None:
        """The terminal is ours again, whoever stopped us and whatever was done to it meanwhile.

        A terminal that goes away sends this signal, too, behind SIGHUP: an app that is leaving does not come back.
        """
        if self.ended_by is None and not self._app._exit:
            self.suspend_application_mode()
            self.resume_application_mode()
            self._app.call_later(self._app.app_resume_signal.publish, self._app)

    def _asked_to_end(self, *_: object) -> None:
        self.ended_by = self.ended_by or signal.SIGTERM
        self._leave_by = min(self._leave_by, time.monotonic() + _LAST_WORDS_S)

    def _hung_up(self, *_: object) -> None:
        self.ended_by, self._gone = signal.SIGHUP, True

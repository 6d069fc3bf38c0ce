"""Textual's Linux driver, but it ends the app when the terminal goes away instead of reading nothing for ever."""

from __future__ import annotations

import asyncio
import codecs
import io
import os
import select
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

from tui_trainer.ui.line import QUESTION, Line, Sieve

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
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._hung_up)
        signal.signal(signal.SIGTERM, self._asked_to_end)
        signal.signal(signal.SIGTSTP, self._asked_to_stop)
        signal.signal(signal.SIGCONT, self._told_to_go_on)

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
        """Nothing is written to a terminal that has gone: its writer would never take it."""
        writer = self._writer_thread
        if not self._gone and writer is not None and writer.is_alive():
            super().write(data)
            if self._line.asks(len(data)):
                super().write(QUESTION)

    def start_application_mode(self) -> None:
        """Whether the terminal answers at all is asked first."""
        self._line.forget()
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._line.asks():
            super().write(QUESTION)

    def may_paint(self, paint: Callable[[], None]) -> bool:
        """Has the terminal taken what was written? If not, `paint` is called when it has."""
        writer = self._writer_thread
        if writer is not None and writer._queue.qsize() > _QUEUED:
            self._loop.call_later(_AGAIN_S, paint)
            return False
        if not self._line.is_clear():
            self._line.when_clear(paint)
            return False
        return True

    @property
    def is_behind(self) -> bool:
        """Does the person perhaps not see yet what was painted?"""
        return self._line.is_behind()

    def _answered(self) -> None:
        if self._line.answered():
            super().write(QUESTION)

    def disable_input(self) -> None:
        """An answer that is on its way is waited for."""
        if not self._gone and self._key_thread is not None and self._key_thread.is_alive():
            self._line.settle(_FAREWELL_S)
        super().disable_input()

    def close(self) -> None:
        """A writer blocked on a dead terminal is left behind; it is a daemon and ends with the process."""
        if not self._gone and self._writer_thread is not None and self._writer_thread.is_alive():
            super().close()

    def run_input_thread(self) -> None:
        """Read keys until the app ends or the terminal goes away."""
        parser = XTermParser(self._debug)
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        sieve, poll = Sieve(), select.poll()
        poll.register(self.fileno, select.POLLIN)
        while not self.exit_event.is_set():
            ready = poll.poll(_REST_MS if sieve.is_holding else _POLL_MS)
            data = self._read() if ready else None
            if data == b"":
                self._hung_up()
                return
            text, answers = sieve.sifted(decode(data) if data else "", expecting=self._line.is_asking)
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
    # wait for ever on the lock that this write holds.

    def _asked_to_stop(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop_here)

    def _stop_here(self) -> None:
        """Give the terminal back, stop, and take it again when the process is continued."""
        self.suspend_application_mode()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _told_to_go_on(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._take_terminal)

    def _take_terminal(self) -> None:
        """The terminal is ours again, whoever stopped us and whatever was done to it meanwhile."""
        self.suspend_application_mode()
        self.resume_application_mode()
        self._app.call_later(self._app.app_resume_signal.publish, self._app)

    def _asked_to_end(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._app.exit)

    def _hung_up(self, *_: object) -> None:
        self._gone = True
        self._loop.call_soon_threadsafe(self._app.exit)

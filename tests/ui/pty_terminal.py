"""A program in a pseudo-terminal: what it writes, what it costs, and what becomes of it when the terminal goes away."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import pyte

from tests.patience import PATIENCE_S

_PRIVATE = re.compile(rb"\x1b\[[<>=?][0-9;]*[a-zA-Z]")
"""Modes and queries that pyte would print."""
_CUT = re.compile(rb"\x1b(?:\[[<>=?]?[0-9;]*)?$")
"""A sequence whose end comes with the next read."""
_MOVE = re.compile(rb"(?=\x1b\[[0-9]+;[0-9]+H)")
"""Where one stretch of a row has been written and the next begins."""
ESCAPES = re.compile(rb"\x1b\[[0-9;:?<>=$ ]*[a-zA-Z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b[=>78]")


class PtyTerminal:
    """Starts `command` in a pty of a given size."""

    CHUNK = 65536
    """Bytes read at once."""

    def __init__(self, command: list[str], width: int, height: int, environ: Mapping[str, str] = {}) -> None:
        self.started = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.environ.update({**environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"})
                os.execvp(command[0], command)
            finally:
                os._exit(127)  # never let a copy of the test run go on
        self._look(width, height)
        self.resize(width, height)

    def _look(self, width: int, height: int) -> None:
        self.screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self.screen)
        self.bytes = 0
        self.recent = b""
        self._cut = b""
        self._passed: deque[str] = deque(maxlen=5000)
        """Rows as they stood, one after the other, since the last key or the last text that was waited for."""
        self._written = b""
        """What was written in that time."""

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.screen.resize(max(1, height), max(1, width))

    def read(self, timeout_s: float) -> bytes:
        """What comes within the time; nothing also at the end of the program."""
        ready, _, _ = select.select([self.fd], [], [], timeout_s)
        if not ready:
            return b""
        try:
            data = os.read(self.fd, self.CHUNK)
        except OSError:
            return b""
        self.bytes += len(data)
        self.recent = (self.recent + data)[-400_000:]
        self._show(data)
        return data

    def _show(self, data: bytes) -> None:
        """Draw it, and note each row that it makes: the next stretch may take it away again."""
        data = self._cut + data
        cut = _CUT.search(data)
        self._cut = cut[0] if cut else b""
        whole = data[: len(data) - len(self._cut)]
        self._written = (self._written + ESCAPES.sub(b"", whole))[-400_000:]
        for piece in _MOVE.split(_PRIVATE.sub(b"", whole)):
            self._stream.feed(piece)
            self._passed.extend(self._row(y) for y in sorted(self.screen.dirty) if y < self.screen.lines)
            self.screen.dirty.clear()

    def _row(self, y: int) -> str:
        row = self.screen.buffer[y]
        return "".join(row[x].data for x in range(self.screen.columns))

    def read_rest(self) -> None:
        """What a program that has ended wrote last."""
        while self.fd >= 0 and self.read(0.0):
            pass

    def read_for(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.read(left)

    def wait_for(self, text: bytes, timeout_s: float = PATIENCE_S) -> float:
        """Seconds until `text` stands on the screen, or has stood there or been written since the last key or the
        last text that was waited for: what a busy machine shows only between two reads is seen all the same."""
        begin = time.perf_counter()
        self.recent = b""
        while not self._has_seen(text):
            if time.perf_counter() - begin > timeout_s:
                raise AssertionError(f"{text!r} did not appear within {timeout_s} s:\n{self.text()}")
            self.read(0.2)
        return time.perf_counter() - begin

    def _has_seen(self, text: bytes) -> bool:
        """Whether it was there; if so, what came before it is forgotten."""
        word = text.decode()
        rows = next((number for number, row in enumerate(self._passed, 1) if word in row), 0)
        if not (rows or text in self._written or word in self.text()):
            return False
        self._written = self._written.partition(text)[2]
        for _ in range(rows):
            self._passed.popleft()
        return True

    def wait_until_written(self, text: bytes, timeout_s: float = PATIENCE_S) -> None:
        """Return when `text` was written anew, whatever stands on the screen already."""
        end = time.perf_counter() + timeout_s
        self.recent = b""
        while text not in ESCAPES.sub(b"", self.recent):
            assert time.perf_counter() < end, f"{text!r} was not written within {timeout_s} s:\n{self.text()}"
            self.read(0.2)

    def wait_for_any(self, *texts: str, timeout_s: float = PATIENCE_S) -> float:
        """Seconds until one of `texts` is there, as for `wait_for`."""
        begin = time.perf_counter()
        while not any(self._has_seen(text.encode()) for text in texts):
            if time.perf_counter() - begin > timeout_s:
                raise AssertionError(f"none of {texts} appeared within {timeout_s} s:\n{self.text()}")
            self.read(0.2)
        return time.perf_counter() - begin

    def text(self) -> str:
        """The screen as a person sees it."""
        return "\n".join(self.screen.display)

    def wait_gone(self, text: bytes, timeout_s: float = PATIENCE_S) -> None:
        """Return when `text` no longer stands on the screen."""
        end = time.perf_counter() + timeout_s
        while text.decode() in self.text():
            if time.perf_counter() > end:
                raise AssertionError(f"{text!r} did not go away:\n{self.text()}")
            self.read(0.2)

    def key(self, key: bytes) -> None:
        self._passed.clear()
        self._written = b""
        os.write(self.fd, key)

    def press_until(self, key: bytes, text: bytes, timeout_s: float = PATIENCE_S) -> None:
        """Press a key again and again, one that does no harm the second time, until what it leads to is there."""
        end = time.perf_counter() + timeout_s
        while True:
            self.key(key)
            try:
                self.wait_for(text, 1.0)
            except AssertionError:
                if time.perf_counter() > end:
                    raise
            else:
                return

    def wait_until_stopped(self, timeout_s: float = PATIENCE_S) -> None:
        """Return when the program is stopped; what would wake it sooner is lost."""
        end = time.perf_counter() + timeout_s
        while Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            assert time.perf_counter() < end, f"it goes on:\n{self.text()}"
            self.read(0.05)
        while self.read(0.05):
            pass

    def cpu_s(self) -> float:
        """Processor seconds so far."""
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        with open(f"/proc/{self.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def exit_code(self, timeout_s: float = PATIENCE_S) -> int | None:
        """The exit code (negative: the signal) once the program has ended; None while it runs on."""
        end = time.perf_counter() + timeout_s
        while time.perf_counter() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                self.read_rest()
                return os.waitstatus_to_exitcode(status)
            if self.fd >= 0:
                self.read(0.05)
            else:
                time.sleep(0.05)
        return None

    def hang_up(self) -> None:
        """Close the terminal, as a lost SSH connection does."""
        os.close(self.fd)
        self.fd = -1

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self.fd >= 0:
            os.close(self.fd)

"""A program in a pseudo-terminal of its own: what it writes can be read, what is typed can be sent. Linux and macOS."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence

_CHUNK = 1 << 16
_FAREWELL_S = 5.0
_ATTEMPTS, _PATIENCE_S = 100, 0.02
LARGEST = 1000
"""Columns or rows; more is no terminal."""


class PtyProcess:
    """Belongs to the event loop it was made in. Once the terminal is closed, the app in it leaves by itself."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], width: int, height: int) -> None:
        self._master, slave = pty.openpty()
        try:
            self._set_size(width, height)
            self._process = subprocess.Popen(
                argv, stdin=slave, stdout=slave, stderr=slave, env=dict(environ), start_new_session=True
            )
        except OSError:
            os.close(self._master)
            raise
        finally:
            os.close(slave)
        os.set_blocking(self._master, False)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def read(self) -> bytes:
        """The next piece of output; nothing once the program has gone."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._master, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._master)
        try:
            return os.read(self._master, _CHUNK)
        except OSError:
            return b""

    async def write(self, data: bytes) -> None:
        """Type. What a program does not read for seconds is lost, as at any terminal."""
        for _ in range(_ATTEMPTS):
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                await asyncio.sleep(_PATIENCE_S)
            except OSError:
                return
            if not data:
                return

    def resize(self, width: int, height: int) -> None:
        """Another size; the program is told."""
        self._set_size(width, height)
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGWINCH)

    async def close(self) -> None:
        """Hang up and wait for the program; after some seconds it is killed."""
        os.close(self._master)
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGHUP)
        try:
            await asyncio.to_thread(self._process.wait, _FAREWELL_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    def _set_size(self, width: int, height: int) -> None:
        columns, rows = (max(1, min(LARGEST, value)) for value in (width, height))
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

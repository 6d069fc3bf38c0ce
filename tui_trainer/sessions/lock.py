"""Who owns a session: an flock that dies with its owner, with the owner's pid written inside."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tui_trainer.core.text import clean_line
from tui_trainer.errors import SessionInUse, StorageError
from tui_trainer.sessions.oslayer import REAL, Disk, storage_errors, write_all

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_TRIES = 15
_PAUSE_S = 0.02
_UNSIGNED_TRIES = 100
"""For a lock that is held, and not signed by a process that lives: somebody is looking at it or just taking it, and
on a busy machine even that may last."""


class Owner(msgspec.Struct, frozen=True):
    """The process that holds a session."""

    pid: int
    host: str


class SessionLock:
    """Held from construction until `release`, the end of a `with`, or the death of the process."""

    def __init__(self, path: Path, name: str, disk: Disk = REAL) -> None:
        self._disk = disk
        with storage_errors(path.parent):
            self._fd = _acquire(path, disk)
        if self._fd < 0:
            holder = owner(path) or read_owner(path)
            who = f"process {holder.pid} on {holder.host}" if holder and holder.pid else "another process"
            raise SessionInUse(f"session {name} is in use by {who}", f"`tui-trainer attach {name}` shows it")
        self._sign(path.parent)

    def _sign(self, directory: Path) -> None:
        try:
            with storage_errors(directory):
                self._disk.truncate(self._fd, 0)
                write_all(self._disk, self._fd, f"{os.getpid()} {socket.gethostname()}\n".encode())
        except StorageError:
            self.release()
            raise

    def release(self) -> None:
        """Let others have the session; a second call does nothing."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _acquire(path: Path, disk: Disk) -> int:
    """A locked descriptor, or -1. Tries for a moment, as a look at the owner holds the lock for microseconds."""
    for attempt in range(_UNSIGNED_TRIES):
        fd = disk.open(path, _FLAGS)
        if _locked(fd, fcntl.LOCK_EX) and _is_still(path, fd):
            return fd
        holder = _parse(os.pread(fd, 300, 0))
        os.close(fd)
        if attempt + 1 >= _TRIES and holder is not None and _lives(holder):
            return -1
        time.sleep(_PAUSE_S)
    return -1


def _locked(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, fd: int) -> bool:
    """False when the file was replaced between opening and locking."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except FileNotFoundError:
        return False


def owner(path: Path) -> Owner | None:
    """Who holds the lock now, or None where it is free. Never keeps it from a contender."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if _locked(fd, fcntl.LOCK_SH):
            return None
        return _signed(fd)
    finally:
        os.close(fd)


def _signed(fd: int) -> Owner:
    """Whose signature a held lock has. One that is being taken may still have that of an owner who died."""
    found = None
    for _ in range(_UNSIGNED_TRIES):
        found = _parse(os.pread(fd, 300, 0))
        if found is not None and _lives(found):
            return found
        time.sleep(_PAUSE_S)
    return found or Owner(0, "")


def _lives(holder: Owner) -> bool:
    """True also where nobody can tell: on another host."""
    if holder.host != socket.gethostname():
        return True
    return lives(holder.pid)


def lives(pid: int) -> bool:
    """Whether there is such a process on this host."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def read_owner(path: Path) -> Owner | None:
    """Who signed the lock last, whether alive or not."""
    try:
        with open(path, "rb") as file:
            return _parse(file.read(300))
    except OSError:
        return None


def _parse(data: bytes) -> Owner | None:
    pid, _, host = data.decode("utf-8", "replace").strip().partition(" ")
    return Owner(int(pid), clean_line(host, 80)) if pid.isascii() and pid.isdigit() and len(pid) < 12 else None

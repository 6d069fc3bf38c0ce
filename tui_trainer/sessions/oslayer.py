"""Every write of a session goes through a `Disk`, so that a failing call or a power cut is an ordinary test.

The protocols above it need nothing else: create exclusively, write, fsync, rename, fsync the directory, delete.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tui_trainer.core.format import size as format_size
from tui_trainer.core.text import clean_line
from tui_trainer.errors import StorageError

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
WRITE_BYTES = 1 << 24
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Disk:
    """The real disk: one method a system call that can fail. Raises OSError as the kernel does."""

    def mkdir(self, path: Path) -> None:
        """Make a directory that only its owner can enter; fails where it exists."""
        os.mkdir(path, DIRECTORY_MODE)

    def open(self, path: Path, flags: int) -> int:
        """A descriptor for writing; new files are readable by their owner only."""
        return os.open(path, flags, FILE_MODE)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """Write some of `data`, return how much."""
        return os.write(fd, data)

    def fsync(self, fd: int) -> None:
        """Return when the file's bytes are on the medium."""
        os.fsync(fd)

    def truncate(self, fd: int, length: int) -> None:
        """Cut the file to `length` bytes."""
        os.ftruncate(fd, length)

    def close(self, fd: int) -> None:
        """Give the descriptor back."""
        os.close(fd)

    def rename(self, old: Path, new: Path) -> None:
        """Replace `new` by `old`, atomically."""
        os.rename(old, new)

    def fsync_dir(self, path: Path) -> None:
        """Return when the directory's entries are on the medium."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def unlink(self, path: Path) -> None:
        """Delete a file or a link."""
        os.unlink(path)

    def rmdir(self, path: Path) -> None:
        """Delete an empty directory."""
        os.rmdir(path)


REAL = Disk()


def make_directories(disk: Disk, path: Path) -> None:
    """Make `path` and what is missing above it, each entry on the medium."""
    if path.is_dir():
        return
    make_directories(disk, path.parent)
    with suppress(FileExistsError):
        disk.mkdir(path)
        disk.fsync_dir(path.parent)
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))


def write_all(disk: Disk, fd: int, data: bytes | memoryview) -> None:
    """Write every byte, however short the kernel's writes are."""
    rest = memoryview(data)
    while rest:
        rest = rest[disk.write(fd, rest[:WRITE_BYTES]) :]


def create_file(disk: Disk, path: Path, data: bytes | memoryview) -> None:
    """A new file with its bytes on the medium; its name is not, until the directory is synced."""
    fd = disk.open(path, CREATE)
    try:
        write_all(disk, fd, data)
        disk.fsync(fd)
    finally:
        disk.close(fd)


def replace_file(disk: Disk, path: Path, data: bytes) -> None:
    """Replace a file's content: after a crash or power cut the old or the new is there, whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    discard(disk, temporary)
    try:
        create_file(disk, temporary, data)
        disk.rename(temporary, path)
    except OSError:
        discard(disk, temporary)
        raise
    disk.fsync_dir(path.parent)


def discard(disk: Disk, path: Path) -> bool:
    """Delete a file, or a directory with all in it, as far as the disk allows; links are not followed."""
    try:
        remove_tree(disk, path)
    except OSError:
        return False
    return True


def remove_tree(disk: Disk, path: Path) -> None:
    """Delete a file, or a directory with all in it; links are deleted, not followed. Absent is fine."""
    try:
        is_directory = stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return
    if not is_directory:
        disk.unlink(path)
        return
    for name in sorted(os.listdir(path)):
        remove_tree(disk, path / name)
    disk.rmdir(path)


@contextmanager
def storage_errors(directory: Path, needs: int = 0) -> Iterator[None]:
    """Turn the kernel's refusals into a StorageError that says where, why and how much is needed."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, directory, needs) from error


def storage_error(error: OSError, directory: Path, needs: int = 0) -> StorageError:
    """One sentence for a refused call in `directory`."""
    where = clean_line(str(directory))
    if error.errno in FULL:
        return StorageError(f"disk full: needs {format_size(needs)} in {where}", "free some space or raise the quota")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return StorageError(f"{where} cannot be written: {os.strerror(error.errno)}", "choose another --sessions DIR")
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE) and not os.path.isdir(directory):
        return StorageError(f"{where} has vanished", "put it back, or stop the run")
    return StorageError(f"{where}: the disk refused: {error.strerror or error}", "check the disk")

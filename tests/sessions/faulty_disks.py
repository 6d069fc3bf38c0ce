"""Disks that fail: the n-th call, every call from the n-th on, or everything at once in a power cut."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tui_trainer.sessions.oslayer import Disk


class FailingDisk(Disk):
    """A real disk whose calls from number `first` to `last` (counted from 1) raise `code`."""

    def __init__(self, first: int = 0, last: int = 0, code: int = errno.EIO) -> None:
        self.calls = 0
        self.first, self.last, self.code = first, last, code
        self.open_files: set[int] = set()

    def _count(self) -> None:
        self.calls += 1
        if self.first <= self.calls <= self.last:
            raise OSError(self.code, os.strerror(self.code))

    def mkdir(self, path: Path) -> None:
        self._count()
        super().mkdir(path)

    def open(self, path: Path, flags: int) -> int:
        self._count()
        fd = super().open(path, flags)
        self.open_files.add(fd)
        return fd

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """As a full disk does: some bytes arrive before it fails."""
        if self.first <= self.calls + 1 <= self.last and len(data) > 1:
            super().write(fd, data[: len(data) // 2])
        self._count()
        return super().write(fd, data)

    def fsync(self, fd: int) -> None:
        self._count()

    def truncate(self, fd: int, length: int) -> None:
        self._count()
        super().truncate(fd, length)

    def close(self, fd: int) -> None:
        """Closes in any case, as the kernel does."""
        self.open_files.discard(fd)
        super().close(fd)
        self._count()

    def rename(self, old: Path, new: Path) -> None:
        self._count()
        super().rename(old, new)

    def fsync_dir(self, path: Path) -> None:
        self._count()

    def unlink(self, path: Path) -> None:
        self._count()
        super().unlink(path)

    def rmdir(self, path: Path) -> None:
        self._count()
        super().rmdir(path)


@dataclass
class RecordingDisk(Disk):
    """A real disk that remembers its calls. The controls leave the syncs out of the record, as if never made."""

    sync_files: bool = True
    sync_directories: bool = True
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def mkdir(self, path: Path) -> None:
        super().mkdir(path)
        self.calls.append(("mkdir", path))

    def open(self, path: Path, flags: int) -> int:
        fd = super().open(path, flags)
        self.calls.append(("open", path, fd))
        return fd

    def write(self, fd: int, data: bytes | memoryview) -> int:
        written = super().write(fd, data)
        self.calls.append(("write", fd, bytes(data[:written])))
        return written

    def fsync(self, fd: int) -> None:
        if self.sync_files:
            self.calls.append(("fsync", fd))

    def truncate(self, fd: int, length: int) -> None:
        super().truncate(fd, length)
        self.calls.append(("truncate", fd, length))

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self.calls.append(("rename", old, new))

    def fsync_dir(self, path: Path) -> None:
        if self.sync_directories:
            self.calls.append(("fsync_dir", path))

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self.calls.append(("remove", path))

    def rmdir(self, path: Path) -> None:
        super().rmdir(path)
        self.calls.append(("remove", path))


Change = Callable[[dict[str, "Node"]], None]


@dataclass
class Node:
    """A file or directory: what the medium has for sure, and what was asked since."""

    is_directory: bool
    durable: bytes = b""
    writes: list[bytes] = field(default_factory=list)
    durable_entries: dict[str, Node] = field(default_factory=dict)
    entries: dict[str, Node] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    def change(self, change: Change) -> None:
        change(self.entries)
        self.changes.append(change)


class Medium:
    """What a power cut leaves of recorded calls below `root`: synced bytes and names, and any prefix of the rest."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._top = Node(True)
        self._files: dict[int, Node] = {}

    def play(self, calls: list[tuple[Any, ...]]) -> None:
        for name, *arguments in calls:
            getattr(self, f"_{name}")(*arguments)

    def _node(self, path: Path) -> Node:
        node = self._top
        for part in path.relative_to(self._root).parts:
            node = node.entries[part]
        return node

    def _mkdir(self, path: Path) -> None:
        self._link(path, Node(True))

    def _link(self, path: Path, node: Node) -> None:
        self._node(path.parent).change(lambda entries: entries.update({path.name: node}))

    def _open(self, path: Path, fd: int) -> None:
        parent = self._node(path.parent)
        if path.name not in parent.entries:
            self._link(path, Node(False))
        self._files[fd] = parent.entries[path.name]

    def _write(self, fd: int, data: bytes) -> None:
        self._files[fd].writes.append(data)

    def _truncate(self, fd: int, length: int) -> None:
        node = self._files[fd]
        node.durable, node.writes = (node.durable + b"".join(node.writes))[:length], []

    def _fsync(self, fd: int) -> None:
        node = self._files[fd]
        node.durable, node.writes = node.durable + b"".join(node.writes), []

    def _rename(self, old: Path, new: Path) -> None:
        assert old.parent == new.parent, "renames stay within a directory"
        node = self._node(old)

        def moved(entries: dict[str, Node]) -> None:
            entries.pop(old.name, None)
            entries[new.name] = node

        self._node(old.parent).change(moved)

    def _fsync_dir(self, path: Path) -> None:
        node = self._node(path)
        node.durable_entries, node.changes = dict(node.entries), []

    def _remove(self, path: Path) -> None:
        self._node(path.parent).change(lambda entries: entries.pop(path.name, None))

    def cut(self, target: Path, chance: random.Random) -> None:
        """Write what survives below `target`."""
        self._restore(self._top, target, chance)

    def _restore(self, node: Node, path: Path, chance: random.Random) -> None:
        if not node.is_directory:
            path.write_bytes(_surviving(node, chance))
            return
        path.mkdir(exist_ok=True)
        entries = dict(node.durable_entries)
        for change in node.changes[: chance.choice((0, chance.randint(0, len(node.changes))))]:
            change(entries)
        for name, child in entries.items():
            self._restore(child, path / name, chance)


def _surviving(node: Node, chance: random.Random) -> bytes:
    """Nothing, a prefix or zeros of what was not synced."""
    pending = b"".join(node.writes)
    kept = pending[: chance.choice((0, chance.randint(0, len(pending)), len(pending)))]
    return node.durable + (bytes(len(kept)) if chance.random() < 0.2 else kept)

"""Parts of a state that never change again: each lies once in the session's `buffer`, named by its hash.

A checkpoint names the segments it needs. They are on the medium before its manifest is; a file that is there is whole,
since it got its name by a rename after an fsync. A file that no manifest names, and no state in memory, is pruned.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakSet

from tui_trainer.core.segments import Segment
from tui_trainer.core.text import clean_line
from tui_trainer.errors import DamagedSession
from tui_trainer.sessions import strict
from tui_trainer.sessions.files import file_sha256, open_regular, shown
from tui_trainer.sessions.oslayer import Disk, create_file, discard

DIRECTORY = "buffer"
_FILE = re.compile(r"([0-9a-f]{64})\.npy")
_HASH = re.compile(r"[0-9a-f]{64}")
LEFTOVER = re.compile(r"\.tmp-[0-9a-f]{64}\.npy")


class SegmentStore:
    """The segments of one session. Only the owner of the session's lock may write, prune or clean."""

    def __init__(self, session_dir: Path, disk: Disk) -> None:
        self._directory = session_dir / DIRECTORY
        self._disk = disk
        self._alive: WeakSet[Segment] = WeakSet()
        """Saved or loaded here, and still part of some state in memory."""

    def missing_bytes(self, state: Mapping[str, Any]) -> int:
        """How much `write` would have to write."""
        missing = (s for s in segments_in(state) if _size(self._directory / file_name(digest(s))) is None)
        return sum(int(segment.array.nbytes) for segment in missing)

    def write(self, state: Mapping[str, Any]) -> dict[str, int]:
        """Every segment of a frozen state is on the medium; returns their files' sizes by name. Raises OSError."""
        sizes = dict(self._put(segment) for segment in segments_in(state))
        if sizes:
            self._disk.fsync_dir(self._directory)
        return sizes

    def _put(self, segment: Segment) -> tuple[str, int]:
        path = self._directory / file_name(digest(segment))
        found = _size(path)
        if found is None:
            data = encode(segment)
            self._make_directory()
            self._create(path, data)
            found = len(data)
        if segment not in self._alive:
            segment.array = load(path)
            self._alive.add(segment)
        return path.name, found

    def _make_directory(self) -> None:
        """Never what lies above it: a session that vanished must not come back half."""
        if not self._directory.is_dir():
            self._disk.mkdir(self._directory)
            self._disk.fsync_dir(self._directory.parent)

    def _create(self, path: Path, data: memoryview) -> None:
        temporary = path.with_name(f".tmp-{path.name}")
        discard(self._disk, temporary)
        try:
            create_file(self._disk, temporary, data)
            self._disk.rename(temporary, path)
        except OSError:
            discard(self._disk, temporary)
            raise

    def fill(self, state: Mapping[str, Any]) -> None:
        """Give every segment of a loaded state its rows. Raises DamagedSession naming the file."""
        for segment in segments_in(state):
            segment.array = load(self._directory / file_name(segment.sha256), verify=True)
            self._alive.add(segment)

    def require(self, sizes: Mapping[str, int]) -> None:
        """These files are there, with these sizes. Reads none of them. Raises DamagedSession."""
        for name, size in sizes.items():
            if not _FILE.fullmatch(name):
                raise DamagedSession(f"a manifest names {clean_line(ascii(name))} as a segment")
            found = _size(self._directory / name)
            if found != size:
                what = "is missing" if found is None else f"has {found} bytes instead of {size}"
                raise DamagedSession(f"{shown(self._directory / name)} {what}")

    def verify(self, sizes: Mapping[str, int]) -> None:
        """These files hold what their names say. Raises DamagedSession. Loads neither torch nor numpy."""
        self.require(sizes)
        for name in sizes:
            _require_hash(self._directory / name)

    def prune(self, named: set[str]) -> None:
        """Delete what neither these names nor a state in memory hold. Raises OSError."""
        kept = named | {file_name(segment.sha256) for segment in list(self._alive)}
        for name in self._names():
            if _FILE.fullmatch(name) and name not in kept:
                self._disk.unlink(self._directory / name)

    def clean(self) -> None:
        """Delete what interrupted saves left."""
        for name in self._names():
            if LEFTOVER.fullmatch(name):
                discard(self._disk, self._directory / name)

    def _names(self) -> list[str]:
        try:
            return sorted(os.listdir(self._directory))
        except (FileNotFoundError, NotADirectoryError):
            return []


def segments_in(value: Any) -> Iterator[Segment]:
    """Every segment of a state, in the state's order."""
    match value:
        case Segment():
            yield value
        case Mapping():
            for inner in value.values():
                yield from segments_in(inner)
        case list() | tuple():
            for inner in value:
                yield from segments_in(inner)


def file_name(sha256: str) -> str:
    """Raises DamagedSession where that is no hash."""
    if not _HASH.fullmatch(sha256):
        raise DamagedSession(f"a checkpoint names {clean_line(ascii(sha256))} as a segment")
    return f"{sha256}.npy"


def digest(segment: Segment) -> str:
    """The hash of the segment's file, worked out once."""
    if not segment.sha256:
        segment.sha256 = hashlib.sha256(encode(segment)).hexdigest()
    return segment.sha256


def encode(segment: Segment) -> memoryview:
    """The bytes of the segment's file: numpy's own format."""
    import numpy as np

    file = io.BytesIO()
    np.save(file, segment.array, allow_pickle=False)
    return file.getbuffer()


def load(path: Path, *, verify: bool = False) -> Any:
    """The array in a segment's file, mapped and read-only. Raises DamagedSession."""
    import numpy as np

    with open_regular(path, strict.OWN.file_bytes) as (fd, size), os.fdopen(os.dup(fd), "rb") as file:
        if verify and file_name(file_sha256(fd, size)) != path.name:
            raise _rotten(path)
        file.seek(0)
        try:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("it is an array of another version")
            shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
        except ValueError as error:
            raise DamagedSession(f"{shown(path)}: {clean_line(str(error), 160)}") from None
        rows = math.prod(shape) if all(length > 0 for length in shape) else -1
        if is_fortran or dtype.kind not in "biufc" or file.tell() + rows * dtype.itemsize != size:
            raise DamagedSession(f"{shown(path)}: is no plain array of its size")
        return np.memmap(file, dtype=dtype, mode="r", offset=file.tell(), shape=shape)


def _require_hash(path: Path) -> None:
    with open_regular(path, strict.OWN.file_bytes) as (fd, size):
        if file_name(file_sha256(fd, size)) != path.name:
            raise _rotten(path)


def _rotten(path: Path) -> DamagedSession:
    return DamagedSession(f"{shown(path)}: its sha256 is not the one in its name")


def _size(path: Path) -> int | None:
    try:
        return os.lstat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return None

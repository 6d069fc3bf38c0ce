"""A whole session in one compressed file, to carry it to another machine; every byte is checked on arrival.

The file is a zip: first `pack.toml` with name, size and sha256 of every file, then the files. What arrives may have
been made by anybody: names are checked before anything is written, and nothing grows beyond what was declared.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import struct
import time
import tomllib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tui_trainer.core.config import OUTGOING, flatten, without_outgoing, without_secrets
from tui_trainer.core.format import size as format_size
from tui_trainer.errors import DamagedSession, StorageError, UsageError
from tui_trainer.sessions.files import CHUNK, TOML_BYTES, chunks, open_regular, read_bytes, shown, toml_bytes
from tui_trainer.sessions.names import SESSION_FILE, check_name
from tui_trainer.sessions.oslayer import CREATE, REAL, Disk, discard, make_directories, storage_errors, write_all
from tui_trainer.sessions.store import Session, SessionFile, encode_session_file, read_session_file

FORMAT = 1
INDEX = "pack.toml"
LEFT_OUT = "left_out"
"""In the lineage: settings that were not taken over from the packed session."""
INDEX_BYTES = 1 << 24
MAX_FILES = 50_000
MAX_BYTES = 1 << 42
MAX_DEPTH = 5
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")
_ABANDONED_S = 86400.0
_STAYS = ("lock", "launcher.lock", "replay.idx")
_STUMBLES = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, LookupError, OSError,
    AttributeError, OverflowError,
)  # fmt: skip


class PackedFile(msgspec.Struct, frozen=True):
    """One file's size in bytes and hash."""

    size: int
    sha256: str


class Index(msgspec.Struct, frozen=True):
    """What a packed file holds."""

    format: int
    name: str
    files: dict[str, PackedFile]
    left_out: tuple[str, ...] = ()
    """Settings of the session that are not in it."""

    @property
    def size(self) -> int:
        """Bytes when unpacked."""
        return sum(entry.size for entry in self.files.values())


def pack(session: Session, target: Path, disk: Disk = REAL) -> Index:
    """Write the session to `target`, whole or not at all; settings that start, send or write something stay behind.

    Raises DamagedSession where its session.toml cannot be read, SessionInUse, UsageError if `target` exists.
    """
    if os.path.lexists(target):
        raise UsageError(f"{shown(target)} exists", "choose another name")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with session.lock(), storage_errors(target.parent):
        own, left = _own_file(session)
        files = {name: _entry(session.path / name) for name in _names(session.path)}
        files[SESSION_FILE] = PackedFile(len(own), hashlib.sha256(own).hexdigest())
        index = Index(FORMAT, session.name, files, left)
        try:
            _write(session.path, index, own, temporary, disk)
            disk.rename(temporary, target)
        except OSError:
            discard(disk, temporary)
            raise
        disk.fsync_dir(target.parent)
    return index


def _own_file(session: Session) -> tuple[bytes, tuple[str, ...]]:
    """session.toml as it is packed, unchanged where nothing is left out, and what is."""
    file = session.read()
    travelling, left = _travelling(file)
    if travelling == file:
        return read_bytes(session.path / SESSION_FILE, TOML_BYTES), left
    return encode_session_file(travelling), left


def _names(root: Path) -> list[str]:
    """Every file that goes along, relative: no lock, no leftovers, no links, nothing special."""
    found = []
    for directory, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if _PART.fullmatch(name))
        for name in sorted(names):
            path = Path(directory) / name
            if _PART.fullmatch(name) and name not in _STAYS and path.is_file() and not path.is_symlink():
                found.append(str(path.relative_to(root)))
    return found


def _entry(path: Path) -> PackedFile:
    with open_regular(path, MAX_BYTES) as (fd, size):
        digest = hashlib.sha256()
        for piece in chunks(fd, size):
            digest.update(piece)
        return PackedFile(size, digest.hexdigest())


def _write(root: Path, index: Index, own: bytes, target: Path, disk: Disk) -> None:
    fd = disk.open(target, CREATE)
    try:
        with (
            os.fdopen(os.dup(fd), "wb") as stream,
            zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive,
        ):
            archive.writestr(INDEX, toml_bytes(msgspec.to_builtins(index)))
            for name, entry in index.files.items():
                if name == SESSION_FILE:
                    archive.writestr(name, own)
                else:
                    _add(archive, name, root / name, entry)
        disk.fsync(fd)
    finally:
        disk.close(fd)


def _add(archive: zipfile.ZipFile, name: str, path: Path, entry: PackedFile) -> None:
    with open_regular(path, MAX_BYTES) as (fd, _), archive.open(name, "w", force_zip64=True) as member:
        for piece in chunks(fd, entry.size):
            member.write(piece)


def unpack(source: Path, root: Path, name: str = "", disk: Disk = REAL) -> Session:
    """Make a session of a packed file, under its own or another name.

    Raises DamagedSession when anything in it is not as declared, UsageError for a name in use or a newer format;
    then nothing is left behind.
    """
    with open_regular(source, MAX_BYTES) as (fd, _), os.fdopen(os.dup(fd), "rb") as stream:
        with _reading(source):
            archive = zipfile.ZipFile(stream)
        with archive:
            return _unpack(archive, source, root, name, disk)


@contextmanager
def _reading(source: Path) -> Iterator[None]:
    """Whatever the zip reader stumbles over is damage of the packed file, never of the disk written to."""
    try:
        yield
    except _STUMBLES as error:
        raise DamagedSession(f"{shown(source)}: is no packed session, or damaged: {shown(str(error))}") from None


def _unpack(archive: zipfile.ZipFile, source: Path, root: Path, name: str, disk: Disk) -> Session:
    index = _index(archive, source)
    path = root / check_name(name or index.name)
    if os.path.lexists(path):
        raise UsageError(f"session {path.name} exists in {shown(root)}", "choose another name")
    temporary = root / f".unpack-{path.name}-{os.getpid()}"
    with storage_errors(root, needs=index.size):
        make_directories(disk, root)
        _sweep(root, path.name, disk)
        _require_room(root, index)
        try:
            _extract(archive, index, temporary, source, disk)
            _rename_inside(temporary, path.name, disk)
            disk.rename(temporary, path)
        finally:
            discard(disk, temporary)
        disk.fsync_dir(root)
    return Session.open(path, disk=disk)


def _sweep(root: Path, name: str, disk: Disk) -> None:
    """Delete what a killed unpacking of this name left a day ago or longer."""
    prefix = f".unpack-{name}-"
    for left in root.glob(f"{prefix}*"):
        if left.name.removeprefix(prefix).isdecimal() and time.time() - os.lstat(left).st_mtime > _ABANDONED_S:
            discard(disk, left)


def _index(archive: zipfile.ZipFile, source: Path) -> Index:
    """The declared contents, every name checked."""
    infos = archive.infolist()
    if not infos or infos[0].filename != INDEX or infos[0].file_size > INDEX_BYTES or len(infos) > MAX_FILES:
        raise DamagedSession(f"{shown(source)}: is no packed session")
    with _reading(source):
        data = _read_index(archive, infos[0])
    index = _parse(data, source)
    if sorted(info.filename for info in infos[1:]) != sorted(index.files):
        raise DamagedSession(f"{shown(source)}: it holds other files than it lists")
    for path in index.files:
        _require_safe(path, source)
    if SESSION_FILE not in index.files:
        raise DamagedSession(f"{shown(source)}: there is no {SESSION_FILE} in it")
    return index


def _read_index(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as member:
        return member.read(INDEX_BYTES)


def _parse(data: bytes, source: Path) -> Index:
    try:
        table = tomllib.loads(data.decode())
        if isinstance(table.get("format"), int) and table["format"] > FORMAT:
            raise UsageError(
                f"{shown(source)}: made by a newer version (format {table['format']})", "upgrade tui-trainer"
            )
        return msgspec.convert(table, Index)
    except (ValueError, RecursionError) as error:
        raise DamagedSession(f"{shown(source)}: its list of files is damaged: {shown(str(error))}") from None


def _require_safe(path: str, source: Path) -> None:
    parts = path.split("/")
    if len(parts) > MAX_DEPTH or not all(_PART.fullmatch(part) for part in parts) or path in _STAYS:
        raise DamagedSession(f"{shown(source)}: it holds a file named {shown(ascii(path[:80]))}")


def _require_room(root: Path, index: Index) -> None:
    free = shutil.disk_usage(root).free
    if any(entry.size < 0 for entry in index.files.values()) or index.size > free:
        raise StorageError(
            f"disk full: needs {format_size(index.size)} in {shown(root)}, where {format_size(free)} are free",
            "free some space, or choose another --sessions DIR",
        )


def _extract(archive: zipfile.ZipFile, index: Index, target: Path, source: Path, disk: Disk) -> None:
    discard(disk, target)
    disk.mkdir(target)
    made = {target}
    for name, entry in index.files.items():
        path = target / name
        for parent in reversed(path.relative_to(target).parents):
            _make(target / parent, made, disk)
        _copy(_pieces(archive, name, entry.size, source), path, entry, source, disk)
    for directory in made:
        disk.fsync_dir(directory)


def _make(directory: Path, made: set[Path], disk: Disk) -> None:
    if directory not in made:
        disk.mkdir(directory)
        made.add(directory)


def _copy(pieces: Iterator[bytes], path: Path, entry: PackedFile, source: Path, disk: Disk) -> None:
    digest = hashlib.sha256()
    fd = disk.open(path, CREATE)
    try:
        for piece in pieces:
            digest.update(piece)
            write_all(disk, fd, piece)
        disk.fsync(fd)
    finally:
        disk.close(fd)
    if digest.hexdigest() != entry.sha256:
        raise DamagedSession(f"{shown(source)}: {shown(path.name)} in it is not what was packed")


def _pieces(archive: zipfile.ZipFile, name: str, size: int, source: Path) -> Iterator[bytes]:
    """A member's bytes, never more than declared."""
    with _reading(source), archive.open(name) as member:
        left = size
        while left > 0 and (piece := member.read(min(CHUNK, left))):
            left -= len(piece)
            yield piece
        if member.read(1):
            raise DamagedSession(f"{shown(source)}: {shown(ascii(name))} in it is not what was packed")


def _rename_inside(directory: Path, name: str, disk: Disk) -> None:
    """session.toml must be readable before the session gets its place; it becomes one of this machine."""
    path = directory / SESSION_FILE
    packed = read_session_file(path)
    file = _at_home(packed, name)
    for missing in ("checkpoints", "crash"):
        if not (directory / missing).is_dir():
            disk.mkdir(directory / missing)
    if file != packed:
        disk.unlink(path)
        fd = disk.open(path, CREATE)
        try:
            write_all(disk, fd, encode_session_file(file))
            disk.fsync(fd)
        finally:
            disk.close(fd)
        disk.fsync_dir(directory)


def _at_home(file: SessionFile, name: str) -> SessionFile:
    """The name it has here; settings by which a stranger's session would start, send or write something stay behind."""
    file, _ = _travelling(file)
    renamed = {"packed_as": file.name} if file.name != name else {}
    return msgspec.structs.replace(file, name=name, lineage=file.lineage | renamed)


def _travelling(file: SessionFile) -> tuple[SessionFile, tuple[str, ...]]:
    """What of session.toml leaves the machine, and the settings left out, here or by an earlier packing."""
    config, left = without_outgoing(file.config)
    given, also_left = without_outgoing(file.overrides)
    told = file.lineage.get(LEFT_OUT)
    known = (*left, *also_left, *(told if isinstance(told, list) else ()))
    missing = tuple(key for key in OUTGOING if key in known)
    lineage = {key: value for key, value in file.lineage.items() if key != LEFT_OUT}
    provenance = dict(file.provenance)
    if isinstance(words := provenance.get("command"), list):
        provenance["command"] = [without_secrets(str(word)) for word in words]
    if missing:
        lineage[LEFT_OUT] = list(missing)
    if left or also_left:
        file = msgspec.structs.replace(file, config=config, overrides=dict(flatten(given)))
    return msgspec.structs.replace(file, lineage=lineage, provenance=provenance), missing

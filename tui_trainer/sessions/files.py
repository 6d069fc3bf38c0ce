"""Reading what may be damaged or hostile: regular files only, never more than a bound, never a hang."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w

from tui_trainer.core.format import size as format_size
from tui_trainer.core.text import clean, clean_line
from tui_trainer.errors import DamagedSession

TOML_BYTES = 1 << 20
TOML_DEPTH = 24
CHUNK = 1 << 20
_SEAL = re.compile(rb"# sha256 ([0-9a-f]{64})\n\Z")
_LINE = re.compile(r"at line (\d+)")


def shown(path: Path | str) -> str:
    """A path that is safe to print."""
    return clean_line(str(path))


@contextmanager
def open_regular(path: Path, max_bytes: int) -> Iterator[tuple[int, int]]:
    """(descriptor, size) of a regular file. Raises DamagedSession for links, devices, pipes and what is too large."""
    fd = _open(path)
    try:
        info = os.fstat(fd)
        _require_regular(path, info)
        if info.st_size > max_bytes:
            raise DamagedSession(f"{shown(path)}: {format_size(info.st_size)} is more than {format_size(max_bytes)}")
        yield fd, info.st_size
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        if os.path.islink(path):
            why = "a symbolic link; give the file itself"
        raise DamagedSession(f"{shown(path)}: cannot be read: {why}") from None


def _require_regular(path: Path, info: os.stat_result) -> None:
    if stat.S_ISDIR(info.st_mode):
        raise DamagedSession(f"{shown(path)}: is a directory, not a file")
    if not stat.S_ISREG(info.st_mode):
        raise DamagedSession(f"{shown(path)}: is not a regular file")


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """The whole of a small regular file. Raises DamagedSession."""
    with open_regular(path, max_bytes) as (fd, size):
        return b"".join(chunks(fd, size))


def chunks(fd: int, size: int) -> Iterator[bytes]:
    """A file's first `size` bytes, a piece at a time. Stops early at the end of the file."""
    offset = 0
    while offset < size:
        piece = os.pread(fd, min(CHUNK, size - offset), offset)
        if not piece:
            return
        offset += len(piece)
        yield piece


def file_sha256(fd: int, size: int) -> str:
    """Hash of an open file, in hexadecimal."""
    digest = hashlib.sha256()
    for piece in chunks(fd, size):
        digest.update(piece)
    return digest.hexdigest()


def read_toml(path: Path, max_bytes: int = TOML_BYTES) -> dict[str, Any]:
    """A TOML table, every text in it clean. Raises DamagedSession with file and line."""
    return parse_toml(read_bytes(path, max_bytes), path)


def parse_toml(data: bytes, path: Path) -> dict[str, Any]:
    """As `read_toml`, from bytes; `path` is for messages."""
    try:
        table = tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DamagedSession(f"{shown(path)}, line {line}: is not UTF-8 text") from None
    except ValueError as error:
        raise DamagedSession(f"{shown(path)}{_line(error, data)}: {clean_line(str(error), 120)}") from None
    except RecursionError:
        raise DamagedSession(f"{shown(path)}: is nested too deeply") from None
    _require_shallow(table, path)
    cleaned: dict[str, Any] = cleaned_texts(table)
    return cleaned


def _line(error: ValueError, data: bytes) -> str:
    if "at end of document" in str(error):
        return f", line {len(data.splitlines())}"
    found = _LINE.search(str(error))
    return f", line {found[1]}" if found else ""


def _require_shallow(table: dict[str, Any], path: Path) -> None:
    level: list[Any] = [table]
    for _ in range(TOML_DEPTH):
        level = [inner for outer in level for inner in _children(outer)]
        if not level:
            return
    raise DamagedSession(f"{shown(path)}: is nested too deeply")


def _children(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value
    return [item for item in inner if isinstance(item, (dict, list))]


def cleaned_texts(value: Any) -> Any:
    """The same value with every text cleaned of control characters."""
    match value:
        case str():
            return clean(value)
        case dict():
            return {clean_line(str(key)): cleaned_texts(item) for key, item in value.items()}
        case list() | tuple():
            return [cleaned_texts(item) for item in value]
        case _:
            return value


def toml_bytes(table: Mapping[str, Any]) -> bytes:
    """A table as TOML; entries that are None are left out, every text is clean."""
    return tomli_w.dumps(without_none(cleaned_texts(dict(table)))).encode()


def without_none(value: Any) -> Any:
    """TOML has no null: drop such entries at every depth."""
    match value:
        case dict():
            return {key: without_none(item) for key, item in value.items() if item is not None}
        case list():
            return [without_none(item) for item in value if item is not None]
        case _:
            return value


def sealed(body: bytes) -> bytes:
    """A text with its own hash as a comment in the last line."""
    return body + b"# sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n"


def seal_holds(data: bytes) -> bool:
    """True when nothing was changed since `sealed`."""
    found = _SEAL.search(data)
    return found is not None and hashlib.sha256(data[: found.start()]).hexdigest().encode() == found[1]

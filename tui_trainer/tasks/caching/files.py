"""Readers for request traces: plain ids, CSV, and libCacheSim's oracleGeneral.

oracleGeneral is a sequence of 24-byte little-endian records: clock uint32, id uint64, size uint32, next access int64
(the number of the request that asks for it again, -1 for none). Yang et al., libCacheSim.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import Array, Int

ORACLE_GENERAL = np.dtype([("clock", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])
MOST_REQUESTS = 5_000_000
"""Of a longer trace the first ones are used."""


class Trace(NamedTuple):
    """Requests in order."""

    ids: Int
    """(R,) objects, numbered from 0 in the order of their names."""
    sizes: Int
    """(R,) bytes; 1 where the file tells none."""


def read(path: Path, form: str = "auto") -> Trace:
    """A trace file; `form` is plain, csv, oracle_general, or auto: by its name. Raises UsageError naming the fault."""
    if not path.is_file():
        raise UsageError(f"{path} is no file", "task.data names a trace file")
    chosen = form if form != "auto" else _form_of(path)
    try:
        return {"plain": _plain, "csv": _csv, "oracle_general": _oracle_general}[chosen](path)
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text", "task.format = oracle_general reads 24-byte records") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _form_of(path: Path) -> str:
    if "oraclegeneral" in path.name.lower():
        return "oracle_general"
    return "csv" if path.suffix.lower() == ".csv" else "plain"


def _plain(path: Path) -> Trace:
    """One id a line; any text is an id. Empty lines are left out."""
    names = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if name := line.strip():
                names.append(name)
            if len(names) == MOST_REQUESTS:
                break
    return _numbered(path, names, [])


def _csv(path: Path) -> Trace:
    """Columns `id` (or obj_id, key) and, where there is one, `size`."""
    with path.open(newline="", encoding="utf-8-sig") as lines:
        rows = csv.reader(lines)
        header = [name.strip().lower() for name in next(rows, [])]
        place = next((header.index(name) for name in ("id", "obj_id", "key") if name in header), None)
        if place is None:
            raise UsageError(f"{path} lacks the column id", "its first line names: id and, if known, size")
        size = header.index("size") if "size" in header else None
        names: list[str] = []
        sizes: list[int] = []
        for number, cells in enumerate(rows, start=2):
            if not cells or len(names) == MOST_REQUESTS:
                continue
            names.append(_cell(path, cells, place, number))
            if size is not None:
                sizes.append(_size(path, _cell(path, cells, size, number), number))
    return _numbered(path, names, sizes)


def _cell(path: Path, cells: list[str], place: int, number: int) -> str:
    if place >= len(cells):
        raise UsageError(f"{path}, line {number}: {len(cells)} columns are too few", "mend the file")
    return cells[place].strip()


def _size(path: Path, text: str, number: int) -> int:
    try:
        size = int(text)
    except ValueError:
        size = -1
    if size < 0:
        raise UsageError(f"{path}, line {number}: {text!r} is no size", "bytes, a whole number")
    return size


def _oracle_general(path: Path) -> Trace:
    length = path.stat().st_size
    if length == 0 or length % ORACLE_GENERAL.itemsize:
        raise UsageError(
            f"{path} has {length} bytes, no whole number of {ORACLE_GENERAL.itemsize}-byte records",
            "compressed traces must be unpacked first",
        )
    records = np.fromfile(path, ORACLE_GENERAL, MOST_REQUESTS)
    bad = np.flatnonzero((np.diff(records["clock"].astype(np.int64)) < 0) | (records["next"][:-1] < -1))
    if len(bad) > len(records) // 100:
        raise UsageError(f"{path}: record {int(bad[0]) + 1} has a clock that runs back", "is it oracleGeneral?")
    return Trace(np.unique(records["id"], return_inverse=True)[1].astype(np.int64), records["size"].astype(np.int64))


def _numbered(path: Path, names: list[str], sizes: list[int]) -> Trace:
    if not names:
        raise UsageError(f"{path} holds no requests", "one id a line")
    ids: Array = np.unique(np.array(names), return_inverse=True)[1]
    return Trace(ids.astype(np.int64), np.array(sizes or np.ones(len(names)), np.int64))

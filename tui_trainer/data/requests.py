"""Readers for request traces: plain ids, CSV, and libCacheSim's oracleGeneral.

oracleGeneral is a sequence of 24-byte little-endian records: clock uint32, id uint64, size uint32, next access int64
(the number of the request that asks for it again, -1 for none). Yang et al., libCacheSim.
"""

from __future__ import annotations

import array
import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tui_trainer.errors import UsageError

Int = NDArray[np.int64]

ORACLE_GENERAL = np.dtype([("clock", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])
NAMES = ("id", "obj_id", "key")
"""What the column of ids may be called."""
MOST_REQUESTS = 5_000_000
"""Of a longer trace the first ones are used."""


class Trace(NamedTuple):
    """Requests in order."""

    ids: Int
    """(R,) objects, numbered from 0 as they first appear."""
    sizes: Int
    """(R,) bytes; 1 where the file tells none."""


def read(path: Path, form: str = "auto") -> Trace:
    """A trace file; `form` is plain, csv, oracle_general, or auto: by its name. Raises UsageError naming the fault."""
    if not path.is_file():
        raise UsageError(f"{path} is no file", "task.data names a trace file")
    chosen = form if form != "auto" else _form_of(path)
    try:
        return {"plain": _plain, "csv": _csv, "oracle_general": _oracle_general}[chosen](path)
    except (UnicodeDecodeError, csv.Error):
        raise UsageError(f"{path} is no text", "task.format = oracle_general reads 24-byte records") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _form_of(path: Path) -> str:
    if "oraclegeneral" in path.name.lower():
        return "oracle_general"
    return "csv" if path.suffix.lower() == ".csv" else "plain"


def _plain(path: Path) -> Trace:
    """One id a line; any text is an id. Empty lines are left out."""
    numbers = _Numbers()
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if name := line.strip():
                numbers.add(name)
            if numbers.are_enough:
                break
    return numbers.trace(path, ())


def _csv(path: Path) -> Trace:
    """Columns `id` (or obj_id, key) and, where there is one, `size`."""
    with path.open(newline="", encoding="utf-8-sig") as lines:
        rows = csv.reader(lines)
        header = [name.strip().lower() for name in next(rows, [])]
        place = next((header.index(name) for name in NAMES if name in header), None)
        if place is None:
            raise UsageError(f"{path} lacks the column id", "its first line names: id and, if known, size")
        size = header.index("size") if "size" in header else None
        numbers, sizes = _Numbers(), array.array("q")
        for number, cells in enumerate(rows, start=2):
            if not cells:
                continue
            numbers.add(_cell(path, cells, place, number))
            if size is not None:
                sizes.append(_size(path, _cell(path, cells, size, number), number))
            if numbers.are_enough:
                break
    return numbers.trace(path, sizes)


class _Numbers:
    """Names as numbers; each name is kept once, however often it is asked for."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._ids = array.array("q")

    def add(self, name: str) -> None:
        self._ids.append(self._known.setdefault(name, len(self._known)))

    @property
    def are_enough(self) -> bool:
        return len(self._ids) == MOST_REQUESTS

    def trace(self, path: Path, sizes: Iterable[int]) -> Trace:
        if not self._ids:
            raise UsageError(f"{path} holds no requests", "one id a line")
        found = np.fromiter(sizes, np.int64)
        return Trace(np.array(self._ids, np.int64), found if len(found) else np.ones(len(self._ids), np.int64))


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
    _, first, ids = np.unique(records["id"], return_index=True, return_inverse=True)
    order = np.empty(len(first), np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return Trace(order[ids], records["size"].astype(np.int64))


def scores(trace: Trace) -> dict[str, float]:
    """Requests, objects, the share asked for once, what the busiest tenth of the objects takes."""
    counts = np.sort(np.bincount(trace.ids))[::-1]
    busiest = counts[: max(1, len(counts) // 10)]
    return {
        "requests": float(len(trace.ids)),
        "objects": float(len(counts)),
        "asked once": float((counts == 1).sum() / len(trace.ids)),
        "busiest tenth": float(busiest.sum() / len(trace.ids)),
    }


def kind_of(measured: dict[str, float]) -> str:
    """A category for traces that lie in no folder of their own."""
    if measured["asked once"] >= 0.5:
        return "scanning"
    return "skewed" if measured["busiest tenth"] >= 0.5 else "even"

"""A user's bars: CSV files with the columns ts, open, high, low, close, volume; rows that cannot be are rejected.

`ts` is Unix seconds or milliseconds, or a date such as 2024-03-01 or 2024-03-01T09:30:00 (UTC where it names no zone).
"""

from __future__ import annotations

import csv
import datetime
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import Bool
from tui_trainer.tasks.market.bars import Bars, Double

COLUMNS = ("ts", "open", "high", "low", "close", "volume")
MOST_REJECTED = 0.2
"""A file of which more than this share is rejected is refused as a whole."""
OUTLIER = 15.0
"""A close that leaps this many typical moves away and back again is a bad tick."""
_MILLISECONDS_FROM = 1e11


class Reject(NamedTuple):
    """A row that is not used: its line in the file (the header is line 1) and why."""

    line: int
    reason: str


class Found(NamedTuple):
    """What a file held."""

    bars: Bars
    rejects: tuple[Reject, ...]
    gaps: int
    """Places where bars are missing."""


def find(path: Path) -> list[Path]:
    """The file, or a folder's CSV files by name. Raises UsageError where there is none."""
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix.lower() == ".csv" and p.is_file())
        if files:
            return files
        raise UsageError(f"{path} holds no CSV file", "one file an instrument: ts,open,high,low,close,volume")
    if not path.is_file():
        raise UsageError(f"{path} is no file and no folder", "task.data names a CSV file or a folder of them")
    return [path]


def read(path: Path) -> Found:
    """A file's good bars and its rejects. Raises UsageError naming file and reason where it is no such file."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            return examined(_rows(csv.reader(lines), path), str(path))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is no CSV text: {error}", "columns: " + ",".join(COLUMNS)) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def examined(rows: Iterable[tuple[int, list[float] | str]], name: str) -> Found:
    """Numbered rows as bars: broken, doubled, unordered, zero-volume and outlying ones become rejects."""
    good: list[list[float]] = []
    lines: list[int] = []
    rejects: list[Reject] = []
    for line, row in rows:
        if isinstance(row, str):
            rejects.append(Reject(line, row))
        elif reason := _objection(row, good[-1][0] if good else -math.inf):
            rejects.append(Reject(line, reason))
        else:
            good.append(row)
            lines.append(line)
    table = np.array(good, np.float64).reshape(-1, len(COLUMNS))
    told_volume = bool(table[:, 5].any())
    keep = np.ones(len(table), np.bool_)
    for reason, bad in (("zero volume", (table[:, 5] == 0) & told_volume), ("outlier", _outliers(table[:, 4]))):
        rejects += [Reject(lines[i], reason) for i in np.flatnonzero(bad & keep)]
        keep &= ~bad
    _require_enough(name, int(keep.sum()), rejects)
    bars = _as_bars(table[keep])
    return Found(bars, tuple(sorted(rejects)), _gaps(bars))


def summary(rejects: Iterable[Reject]) -> str:
    """Reasons with their counts and first lines, such as `3 duplicate (line 17 first)`."""
    counts, first = Counter(r.reason for r in rejects), dict[str, int]()
    for reject in rejects:
        first[reject.reason] = min(reject.line, first.get(reject.reason, reject.line))
    return ", ".join(f"{count} {reason} (line {first[reason]} first)" for reason, count in counts.most_common())


def _rows(reader: Iterator[list[str]], path: Path) -> Iterator[tuple[int, list[float] | str]]:
    header = [name.strip().lower() for name in next(reader, [])]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise UsageError(f"{path} lacks the column {missing[0]}", "its first line names: " + ",".join(COLUMNS))
    places = [header.index(name) for name in COLUMNS]
    for number, cells in enumerate(reader, start=2):
        if cells:
            yield number, _numbers(cells, places)


def _numbers(cells: list[str], places: list[int]) -> list[float] | str:
    if len(cells) <= max(places):
        return "too few columns"
    try:
        return [float(int(_time(cells[places[0]]))), *(float(cells[place]) for place in places[1:])]
    except (ValueError, OverflowError):
        return "not a number"


def _time(text: str) -> float:
    """Unix seconds. Raises ValueError."""
    try:
        number = float(text)
    except ValueError:
        moment = datetime.datetime.fromisoformat(text.strip())
        zone = moment.tzinfo or datetime.UTC
        return moment.replace(tzinfo=zone).timestamp()
    return number / 1000 if number > _MILLISECONDS_FROM else number


def _objection(row: list[float], last: float) -> str:
    ts, opened, high, low, close, volume = row
    if not all(map(math.isfinite, row)):
        return "not finite"
    if min(opened, high, low, close) <= 0 or volume < 0:
        return "price or volume below zero"
    if high < max(opened, close, low) or low > min(opened, close):
        return "high or low contradicts the bar"
    if ts == last:
        return "duplicate"
    return "out of order" if ts < last else ""


def _outliers(close: Double) -> Bool:
    """Closes that leap away from both neighbours by OUTLIER times the usual move, in the same direction."""
    if len(close) < 3:
        return np.zeros(len(close), np.bool_)
    moves = np.diff(np.log(close))
    usual = max(float(np.median(np.abs(moves))), 1e-6)
    there, back = moves[:-1], -moves[1:]
    leap = (np.minimum(np.abs(there), np.abs(back)) > OUTLIER * usual) & (np.sign(there) == np.sign(back))
    return np.pad(leap, 1)


def _require_enough(name: str, kept: int, rejects: list[Reject]) -> None:
    if kept == 0 or len(rejects) > MOST_REJECTED * (kept + len(rejects)):
        why = summary(rejects) or "it holds no rows"
        raise UsageError(f"{name}: {len(rejects)} of {kept + len(rejects)} rows cannot be used: {why}", "mend the file")


def _as_bars(table: Double) -> Bars:
    return Bars(table[:, 0].astype(np.int64), *(np.ascontiguousarray(table[:, k]) for k in range(1, 6)))


def _gaps(bars: Bars) -> int:
    steps = np.diff(bars.ts)
    return int((steps > 1.5 * np.median(steps)).sum()) if len(steps) else 0

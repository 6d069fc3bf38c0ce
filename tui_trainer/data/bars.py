"""OHLCV bars: a series, its readers, what is rejected of a file, and what the rest is worth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data import tables
from tui_trainer.data.tables import COLUMNS, SUFFIXES, Row
from tui_trainer.errors import UsageError

Double = NDArray[np.float64]

MOST_REJECTED = 0.2
"""A file of which more than this share is rejected is refused as a whole."""
OUTLIER = 15.0
"""A close that leaps this many typical moves away and back again is a bad tick."""
EFFICIENCY_SPAN = 16
_TINY = 1e-12


class Bars(NamedTuple):
    """One instrument's bars, oldest first; every field has shape (T,)."""

    ts: NDArray[np.int64]
    """Opening time, Unix seconds."""
    open: Double
    high: Double
    low: Double
    close: Double
    volume: Double

    def part(self, rows: slice) -> Bars:
        """Some of the bars."""
        ts, *prices = self
        return Bars(ts[rows], *(price[rows] for price in prices))


class Reject(NamedTuple):
    """A row that is not used: its line in the file (a CSV's header is line 1) and why."""

    line: int
    reason: str


class Found(NamedTuple):
    """What a file held."""

    bars: Bars
    rejects: tuple[Reject, ...]
    gaps: int
    """Places where bars are missing."""


def find(path: Path) -> list[Path]:
    """The file, or a folder's tables by name, its subfolders' too. Raises UsageError where there is none."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if files:
            return files
        raise UsageError(f"{path} holds no CSV or Parquet file", "one file an instrument: " + ",".join(COLUMNS))
    if not path.is_file():
        raise UsageError(f"{path} is no file and no folder", "task.data names a CSV or Parquet file, or a folder")
    return [path]


def read(path: Path) -> Found:
    """A file's good bars and its rejects. Raises UsageError naming file and reason where it is no such file."""
    return examined(tables.rows(path), str(path))


def examined(rows: Iterable[Row], name: str) -> Found:
    """Numbered rows as bars: broken, doubled, unordered, zero-volume and outlying ones become rejects.

    Whether a close is an outlier is told by the bars around it: cleaning, unlike trading, looks one bar ahead.
    """
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


def scores(found: Found) -> dict[str, float]:
    """What a file is worth: bars, gaps, rejected rows, the share of bars its time span lacks, mean efficiency ratio."""
    bars = found.bars
    span = (bars.ts[-1] - bars.ts[0]) / interval(bars) + 1
    ratio = efficiency(np.log(bars.close), EFFICIENCY_SPAN)[EFFICIENCY_SPAN:]
    return {
        "bars": float(len(bars.ts)),
        "gaps": float(found.gaps),
        "rejected": float(len(found.rejects)),
        "missing": float(np.clip(1 - len(bars.ts) / max(span, 1.0), 0, 1)),
        "efficiency": float(ratio.mean()) if len(ratio) else 0.0,
    }


def kind_of(measured: dict[str, float]) -> str:
    """A category for files that lie in no folder of their own: by the mean efficiency ratio over 16 bars.

    A random walk has about 0.21.
    """
    ratio = measured["efficiency"]
    return "trending" if ratio >= 0.26 else "ranging" if ratio <= 0.18 else "mixed"


def interval(bars: Bars) -> int:
    """Seconds from one bar to the next: the median."""
    return max(1, int(np.median(np.diff(bars.ts)))) if len(bars.ts) > 1 else 1


def efficiency(log_close: Double, span: int) -> Double:
    """Kaufman's efficiency ratio over the last `span` bars, (T,) in [0, 1].

    Net change / sum of absolute changes. Kaufman 1995.
    """
    changes = np.abs(np.diff(log_close, prepend=log_close[0]))
    total = np.concatenate([[0.0], np.cumsum(changes)])
    last = np.arange(1, len(log_close) + 1)
    path = np.maximum(total[last] - total[np.maximum(0, last - span)], _TINY)
    before = np.concatenate([np.full(min(span, len(log_close)), log_close[0]), log_close[:-span]])
    found: Double = np.clip(np.abs(log_close - before) / path, 0, 1)
    return found


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


def _outliers(close: Double) -> NDArray[np.bool_]:
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

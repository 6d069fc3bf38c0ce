"""A history cut down to columns of dots: lows and highs survive, gaps stay gaps."""

from __future__ import annotations

import msgspec

from tui_trainer.charts.axes import XAxis
from tui_trainer.core.series import Series


class Column(msgspec.Struct, frozen=True, array_like=True):
    """One column of dots of one line: lowest, highest, and the mean of its newest bucket."""

    x: int
    low: float
    high: float
    mean: float


def decimate(series: Series, axis: XAxis, columns: int) -> list[list[Column]]:
    """The series as runs of columns within the window; lows and highs survive, and a run ends at each gap.

    Columns are 0 .. `columns` - 1. The nearest points beyond each edge come along, with a column outside of that, so
    that a line can be drawn to the edge.
    """
    runs: list[list[Column]] = [[]]
    for bucket in series.buckets:
        if bucket.mean is None or bucket.low is None or bucket.high is None:
            if runs[-1]:
                runs.append([])
            continue
        x = _place(axis, axis.of(bucket), columns)
        run = runs[-1]
        if run and run[-1].x == x and 0 <= x < columns:
            run[-1] = Column(x, min(run[-1].low, bucket.low), max(run[-1].high, bucket.high), bucket.mean)
        else:
            run.append(Column(x, bucket.low, bucket.high, bucket.mean))
    return [kept for run in runs if (kept := _near(run, columns))]


_FAR = 1 << 20


def _place(axis: XAxis, x: float, columns: int) -> int:
    return round(max(-_FAR, min(_FAR, axis.share(x) * (columns - 1))))


def _near(run: list[Column], columns: int) -> list[Column]:
    """Without the points that no drawn line begins or ends at."""
    before = [column for column in run if column.x < 0][-1:]
    inside = [column for column in run if 0 <= column.x < columns]
    after = [column for column in run if column.x >= columns][:1]
    return [*before, *inside, *after] if inside or (before and after) else []


def unknown_columns(series: Series, axis: XAxis, width: int) -> list[int]:
    """Cells in which a value was no number."""
    places = (axis.column(axis.of(bucket), width) for bucket in series.buckets if bucket.mean is None)
    return sorted({place for place in places if place is not None})


def at(series: Series, axis: XAxis, x: float) -> float | None:
    """The value that stood at `x`: of the newest bucket not after it; None before the first and in a gap."""
    found = None
    for bucket in series.buckets:
        if axis.of(bucket) > x:
            break
        found = bucket
    return None if found is None else found.mean

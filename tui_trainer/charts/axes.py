"""The two axes: what x means, where a value stands, which numbers are written."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, TypeAlias, assert_never

import msgspec

from tui_trainer.charts.scale import log_range, log_ticks, nice_range, ticks, time_ticks
from tui_trainer.core.format import duration, si
from tui_trainer.core.series import Bucket

XKind: TypeAlias = Literal["steps", "time", "update"]
"""Environment steps, seconds of wall time since the start, or updates."""

LEAST = 1e-300
"""The smallest value with a place on a log axis: below it doubles lose their digits."""

X_KINDS: tuple[XKind, ...] = ("steps", "time", "update")
X_UNITS: dict[XKind, str] = {"steps": "steps", "time": "wall time", "update": "updates"}


def short(value: float) -> str:
    """`5M`, not `5.00M`."""
    text = si(value)
    number, prefix = (text[:-1], text[-1]) if text[-1].isalpha() else (text, "")
    return (number.rstrip("0").rstrip(".") if "." in number else number) + prefix


class XAxis(msgspec.Struct, frozen=True):
    """What is shown of x: [start, end] of a kind; `origin` is the Unix time at which wall time begins."""

    start: float
    end: float
    kind: XKind = "steps"
    origin: float = 0.0

    def of(self, bucket: Bucket) -> float:
        """Where a bucket stands."""
        match self.kind:
            case "steps":
                return float(bucket.step)
            case "time":
                return bucket.time - self.origin
            case "update":
                return float(bucket.update)
            case _:
                assert_never(self.kind)

    def share(self, x: float) -> float:
        """0 at the left edge, 1 at the right one; outside it is less or more."""
        return (x - self.start) / (self.end - self.start) if self.end > self.start else 0.0

    def column(self, x: float, width: int) -> int | None:
        """The cell of `x`, or None where it is not shown."""
        share = self.share(x)
        return round(share * (width - 1)) if 0 <= share <= 1 and width > 0 else None

    def ticks(self, parts: int) -> list[float]:
        """Round numbers that are shown."""
        return (time_ticks if self.kind == "time" else ticks)(self.start, self.end, parts)

    def text(self, x: float) -> str:
        """`5M`, or `1:30` of wall time."""
        return duration(x) if self.kind == "time" else short(x)

    def exactly(self, x: float) -> str:
        """`12.3M`: the same with all its digits."""
        return duration(x) if self.kind == "time" else si(x)


class YAxis(msgspec.Struct, frozen=True):
    """What is shown of y: [low, high], linear or logarithmic."""

    low: float
    high: float
    log: bool = False

    def share(self, value: float) -> float | None:
        """0 at the bottom, 1 at the top; None for what has no place: no number, or none above 0 on a log axis."""
        if not math.isfinite(value) or (self.log and value < LEAST):
            return None
        if not self.high > self.low:
            return 0.5
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def row(self, value: float, rows: int) -> int:
        """The row of a value, counted from the top; values beyond the edges stand at them."""
        share = self.share(value)
        return rows - 1 if share is None else max(0, min(rows - 1, round((1 - share) * (rows - 1))))

    def texts(self, rows: int, text: Callable[[float], str]) -> dict[int, str]:
        """Row -> number, as many as are legible."""
        parts = max(1, min(5, (rows - 1) // 2))
        values = (log_ticks if self.log else ticks)(self.low, self.high, parts)
        shown = values if len(values) > 1 else [self.low, self.high]
        return {self.row(value, rows): text(value) for value in shown}


def y_axis(lows: list[float], highs: list[float], *, log: bool) -> YAxis:
    """An axis with round ends around the data; what a log axis cannot show does not stretch it."""
    if not log:
        return YAxis(*nice_range(min(lows, default=0.0), max(highs, default=1.0), 5))
    positive = [value for value in (*lows, *highs) if value >= LEAST]
    return YAxis(*log_range(min(positive, default=1.0), max(positive, default=10.0)), log=True)

"""A series of OHLCV bars."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tui_trainer.tasks.arrays import Int, Small

Double = NDArray[np.float64]


class Bars(NamedTuple):
    """One instrument's bars, oldest first; every field has shape (T,)."""

    ts: Int
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


class Truth(NamedTuple):
    """What the generator knows of its bars, (T,) each."""

    regime: Small
    """Sign of the drift: -1, +1."""
    snr: Double
    """|drift| of a bar over its standard deviation."""

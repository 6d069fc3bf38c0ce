"""Segments of bars: where they may lie, what they are worth, which of them are for training.

The quality of a segment is the percentile, among the training segments, of

    efficiency ratio x liquidity x (1 - missing)

where the efficiency ratio is Kaufman's over 16 bars, averaged over the segment; liquidity is the segment's median
turnover over the series' usual one, at most 1; and missing is the share of bars that its time span lacks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tui_trainer.data.bars import EFFICIENCY_SPAN, Bars, Double, efficiency, interval
from tui_trainer.tasks.arrays import Array, Int, between
from tui_trainer.tasks.market.features import LOOKBACK

LENGTH = 256
"""Bars of a segment, one decision each."""
AHEAD = 2
"""Bars after a decision's bar that its fill needs: the next open and the one after it."""
LONGEST_GAP = 6
"""A segment never crosses a gap of more than this many bars' time; weekends of daily bars are shorter."""


class Segments(NamedTuple):
    """Segments in ascending quality, (S,) each."""

    start: Int
    """Index of the first decision's bar."""
    quality: Double

    def between(self, low: float, high: float) -> tuple[int, int]:
        """First and past-the-last index of the qualities in [low, high]; the nearest segment where there is none."""
        return between(self.quality, low, high)


class Split(NamedTuple):
    """Bars of a series for training and held out, as ranges of indices; an embargo lies between them."""

    train: tuple[int, int]
    held_out: tuple[int, int]

    def parted(self, share: float, embargo: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """The held-out bars in two: the first for the reference evaluation; after an embargo, the last `share` for the
        final one."""
        first, last = self.held_out
        cut = last - round((last - first) * share)
        return (first, max(first, cut - embargo)), (cut, last)


def walk_forward(length: int, folds: int, embargo: int) -> list[Split]:
    """`folds` splits that walk forward in time, the training range growing.

    The series is cut into folds + 1 equal blocks. Fold k (from 1) trains on the first k blocks and holds out the next;
    the embargo is taken from the held-out block's beginning, so that nothing it sees reaches back into training.
    """
    edges = [length * k // (folds + 1) for k in range(folds + 2)]
    return [Split((0, edges[k]), (min(edges[k] + embargo, edges[k + 1]), edges[k + 1])) for k in range(1, folds + 1)]


def starts(bars: Bars, span: tuple[int, int], stride: int) -> Int:
    """Where segments may begin within `span`: features, decisions and fills lie in it, with no long gap between."""
    first, last = span
    found = np.arange(first + LOOKBACK, last - LENGTH - AHEAD + 1, stride)
    broken = np.concatenate([[0], np.cumsum(np.diff(bars.ts) > LONGEST_GAP * interval(bars))])
    whole: Array = broken[found + LENGTH + AHEAD - 1] == broken[found - LOOKBACK]
    return found[whole]


def worth(bars: Bars, start: Int, train: tuple[int, int]) -> Double:
    """Efficiency ratio x liquidity x (1 - missing) of the segments that begin at `start`, (S,).

    The usual turnover is the median over the training range alone.
    """
    ratio = efficiency(np.log(bars.close), EFFICIENCY_SPAN)
    total = np.concatenate([[0.0], np.cumsum(ratio)])
    mean = (total[start + LENGTH] - total[start + EFFICIENCY_SPAN]) / (LENGTH - EFFICIENCY_SPAN)
    found: Double = mean * _liquidity(bars, start, train) * (1 - _missing(bars, start))
    return found


def _liquidity(bars: Bars, start: Int, train: tuple[int, int]) -> Double:
    turnover = bars.volume * bars.close
    usual = float(np.median(turnover[slice(*train)]))
    if usual <= 0:
        return np.ones(len(start))
    blocks = turnover[start[:, None] + np.arange(0, LENGTH, 8)]
    found: Double = np.minimum(1.0, np.median(blocks, axis=1) / usual)
    return found


def _missing(bars: Bars, start: Int) -> Double:
    elapsed = (bars.ts[start + LENGTH - 1] - bars.ts[start]) / interval(bars) + 1
    return np.clip(1 - LENGTH / np.maximum(elapsed, LENGTH), 0, 1)


def ranked(start: Int, values: Double, among: Double) -> Segments:
    """Segments by quality: the share of `among` that is worth no more."""
    quality = np.searchsorted(np.sort(among), values, "right") / max(1, len(among))
    order = np.argsort(quality, kind="stable")
    return Segments(start[order], quality[order])

"""What a trader sees at a bar's close: features of that bar and those before it, never of a later one."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tui_trainer.data.bars import Bars, Double, efficiency
from tui_trainer.tasks.arrays import Array, Float

SPANS = (1, 2, 4, 8, 16, 32, 64)
"""Bars over which returns are measured."""
LOOKBACK = 80
"""Bars before the first one whose features are complete."""
_CLIP = 5.0
_TINY = 1e-12

NAMES = (*(f"return over {span}" for span in SPANS), "efficiency 16", "efficiency 64", "channel 32",
         "volatility", "range", "close in range", "volume")  # fmt: skip


def features(bars: Bars) -> Float:
    """(T,) bars -> (T, len(NAMES)), each about 1 in size and within ±5; rows before LOOKBACK are 0.

    A return over k bars is divided by sqrt(k) and by the standard deviation of the last 64 returns.
    """
    log = np.log(bars.close)
    returns = np.diff(log, prepend=log[0])
    sigma = np.sqrt(np.maximum(_mean(returns**2, 64), _TINY))
    columns = [(log - _before(log, span)) / (sigma * np.sqrt(span)) for span in SPANS]
    columns += [3 * efficiency(log, 16) - 1, 4 * efficiency(log, 64) - 1, _channel(bars, 32)]
    columns += [np.log(np.sqrt(np.maximum(_mean(returns**2, 16), _TINY)) / sigma)]
    columns += [np.log(bars.high / bars.low) / sigma - 1.5, _place(bars.close, bars.low, bars.high)]
    columns += [_volume(bars.volume)]
    found: Float = np.clip(np.stack(columns, axis=1), -_CLIP, _CLIP).astype(np.float32)
    found[:LOOKBACK] = 0
    return found


def _before(values: Double, span: int) -> Double:
    """values[t - span]; the first value where there is none."""
    return np.concatenate([np.full(min(span, len(values)), values[0]), values[:-span]])


def _sum(values: Double, span: int) -> Double:
    total = np.concatenate([[0.0], np.cumsum(values)])
    last = np.arange(1, len(values) + 1)
    found: Array = total[last] - total[np.maximum(0, last - span)]
    return found


def _mean(values: Double, span: int) -> Double:
    return _sum(values, span) / np.minimum(span, np.arange(1, len(values) + 1))


def _channel(bars: Bars, span: int) -> Double:
    """Where the close lies between the lowest low and the highest high of the last `span` bars, -1..1."""
    high = sliding_window_view(np.pad(bars.high, (span - 1, 0), "edge"), span).max(axis=1)
    low = sliding_window_view(np.pad(bars.low, (span - 1, 0), "edge"), span).min(axis=1)
    return _place(bars.close, low, high)


def _place(value: Double, low: Double, high: Double) -> Double:
    return 2 * (value - low) / np.maximum(high - low, _TINY) - 1


def _volume(volume: Double) -> Double:
    """Log of the volume over its mean of the last 64 bars; 0 where no volume is told."""
    usual = _mean(volume, 64)
    return np.log(np.where(usual > 0, np.maximum(volume, _TINY) / np.maximum(usual, _TINY), 1.0))

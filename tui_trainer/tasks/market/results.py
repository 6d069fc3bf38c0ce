"""What a trader's episodes came to."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tui_trainer.core.values import Metrics, PartResult
from tui_trainer.data.bars import Double
from tui_trainer.tasks.arrays import Array, Int, Small
from tui_trainer.tasks.market.market import Market
from tui_trainer.tasks.market.segments import LENGTH
from tui_trainer.tasks.statistics import tally

QUARTERS = 4
RUIN = 0.99
"""The largest share of the equity that a bar takes."""


class Account(NamedTuple):
    """Episodes bar by bar; rows are traders."""

    start: Int
    """(N,) index of each segment's first bar."""
    steps: Int
    """(N,) bars traded so far."""
    position: Small
    """(N, LENGTH): held from the fill of bar t's decision to the next; 0 from `steps` on."""
    traded: Small
    """(N, LENGTH): units bought or sold for it; at the end, the position is closed as well."""
    log_gain: Double
    """(N, LENGTH): log of the equity's growth after costs."""

    @classmethod
    def of(cls, bars: Market, start: Int, position: Small, steps: Int, cost: float) -> Account:
        """Work out what positions earned; `cost` is the share of a unit traded that costs take."""
        at = start[:, None] + np.arange(LENGTH)
        going = np.arange(LENGTH) < steps[:, None]
        held = np.where(going, position, 0).astype(np.int8)
        traded = np.abs(np.diff(held, axis=1, prepend=np.int8(0))) * going
        traded[:, -1] += np.abs(held[:, -1])
        return cls(start, steps, held, traded, log_growth(held * bars.fill_return[at] - cost * traded))

    def equity(self, env: int) -> Double:
        """Equity after each bar traded, 1 at the beginning."""
        growth = self.log_gain[env, : int(self.steps[env])]
        found: Double = np.exp(np.concatenate([[0.0], np.cumsum(growth)]))
        return found


def log_growth(gain: Array) -> Array:
    """log(1 + gain), a loss counted as RUIN at most."""
    found: Array = np.log1p(np.maximum(gain, -RUIN))
    return found


def result(account: Account, scale: float, bars_per_year: float, frame: str) -> PartResult:
    """An evaluation's part. A win is a segment with a gain after costs; one that comes out even counts as a draw."""
    total = account.log_gain.sum(axis=1)
    return tally(
        total / scale,
        wins=int((total > 0).sum()),
        draws=int((total == 0).sum()),
        distinct=len(np.unique(account.start)),
        repeats=True,
        extra=_metrics(account, bars_per_year),
        frame=frame,
    )


def _metrics(account: Account, bars_per_year: float) -> Metrics:
    played = int(account.steps.max())
    gain = account.log_gain[:, :played]
    equity = np.cumsum(gain, axis=1)
    peak = np.maximum(np.maximum.accumulate(equity, axis=1), 0)
    drawdown = 1 - np.exp((equity - peak).min(axis=1))
    quarters = np.array_split(gain, QUARTERS, axis=1)
    return {
        "sharpe": sharpe(gain, bars_per_year),
        "return_percent": float(100 * np.expm1(gain.sum(axis=1)).mean()),
        "max_drawdown_percent": float(100 * drawdown.max()),
        "mean_drawdown_percent": float(100 * drawdown.mean()),
        "turnover": float(account.traded[:, :played].mean()),
        "consistency": float(np.mean([q.sum(axis=1) > 0 for q in quarters])),
    }


def sharpe(gain: Array, bars_per_year: float) -> float:
    """Mean over standard deviation of all bars' gains, annualised; 0 where nothing moved. Sharpe 1994."""
    spread = float(gain.std())
    return float(gain.mean()) / spread * math.sqrt(bars_per_year) if spread > 0 else 0.0

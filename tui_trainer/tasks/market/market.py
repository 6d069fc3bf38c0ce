"""A market ready for trading: features, fills and segments of all its series in flat arrays."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tui_trainer.core.data import DataReport
from tui_trainer.data import series as files
from tui_trainer.data.bars import Bars, Double
from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import Float, Int, Small
from tui_trainer.tasks.market.features import NAMES, features
from tui_trainer.tasks.market.generator import generate
from tui_trainer.tasks.market.segments import AHEAD, LENGTH, Segments, Split, ranked, starts, walk_forward, worth

STRIDE = 16
"""Bars between the beginnings of training segments; held-out ones do not overlap."""


class Market(NamedTuple):
    """Series laid end to end; B bars in all. No segment crosses from one series to the next."""

    features: Float
    """(B, F + 1): what is known at each close; the last column is 0, where the trader's position goes."""
    fill_return: Double
    """(B,): from the open after the bar to the one after that: what a position decided at its close earns."""
    log_close: Double
    regime: Small
    """(B,): sign of the drift while that position is held; 0 where nobody knows it."""
    train: Segments
    held_out: Segments
    scale: float
    """Standard deviation of the training bars' fill returns."""
    digest: str
    """Hash of the bars: a checkpoint goes on only with the data it was made with."""
    report: DataReport | None = None
    """What of a person's files is used; None for generated bars."""


@functools.lru_cache(maxsize=2)
def generated(seed: int, instruments: int, length: int, folds: int, fold: int, embargo: int) -> Market:
    """A generated market; the same arguments give the same one."""
    series = generate(seed, instruments, length)
    regimes = [_shifted(truth.regime) for _, truth in series]
    return prepare([bars for bars, _ in series], folds, fold, embargo, regimes)


def from_files(path: Path, folds: int, fold: int, embargo: int) -> Market:
    """The market in a table or a folder of them. Raises UsageError naming what is wrong."""
    catalogue, series = files.load(path)
    return prepare(series, folds, fold, embargo)._replace(report=catalogue.report())


def prepare(
    series: Sequence[Bars], folds: int, fold: int, embargo: int, regimes: Sequence[Small] | None = None
) -> Market:
    """Split, rank and lay the series end to end; `fold` counts from 1, 0 is the last. Raises UsageError for too few."""
    splits = [walk_forward(len(bars.ts), folds, embargo)[fold - 1] for bars in series]
    train = [starts(bars, split.train, STRIDE) for bars, split in zip(series, splits)]
    held_out = [starts(bars, split.held_out, LENGTH) for bars, split in zip(series, splits)]
    _require_segments(sum(map(len, train)), sum(map(len, held_out)), series)
    trained = [worth(bars, s, split.train) for bars, s, split in zip(series, train, splits)]
    tested = [worth(bars, s, split.train) for bars, s, split in zip(series, held_out, splits)]
    offsets = np.cumsum([0, *(len(bars.ts) for bars in series)])[:-1]
    among = np.concatenate(trained)
    fills = [_fill_return(bars) for bars in series]
    return Market(
        features=np.concatenate([np.pad(features(bars), ((0, 0), (0, 1))) for bars in series]),
        fill_return=np.concatenate(fills),
        log_close=np.concatenate([np.log(bars.close) for bars in series]),
        regime=np.concatenate(regimes or [np.zeros(len(bars.ts), np.int8) for bars in series]),
        train=ranked(_flat(train, offsets), among, among),
        held_out=ranked(_flat(held_out, offsets), np.concatenate(tested), among),
        scale=_scale(fills, splits),
        digest=_digest(series, folds, fold, embargo),
    )


def features_count() -> int:
    """Length of an observation: the features and the position."""
    return len(NAMES) + 1


def _flat(found: Sequence[Int], offsets: Int) -> Int:
    return np.concatenate([start + offset for start, offset in zip(found, offsets)]).astype(np.int64)


def _fill_return(bars: Bars) -> Double:
    """open[t + 2] / open[t + 1] - 1; 0 for the last bars, which no segment reaches."""
    later = bars.open[AHEAD:] / bars.open[1:-1] - 1
    return np.concatenate([later, np.zeros(len(bars.open) - len(later))])


def _shifted(regime: Small) -> Small:
    """The regime of the bar that a decision's position lives through: the next one."""
    return np.concatenate([regime[1:], regime[-1:]])


def _scale(fills: Sequence[Double], splits: Sequence[Split]) -> float:
    known = np.concatenate([fill[slice(*split.train)][:-AHEAD] for fill, split in zip(fills, splits)])
    return max(float(known.std()), 1e-9)


def _digest(series: Sequence[Bars], *how: int) -> str:
    found = hashlib.sha256(repr(how).encode())
    for bars in series:
        for field in bars:
            found.update(np.ascontiguousarray(field).tobytes())
    return found.hexdigest()


def _require_segments(train: int, held_out: int, series: Sequence[Bars]) -> None:
    if train and held_out:
        return
    bars = max(len(b.ts) for b in series)
    which = "training" if not train else "held-out"
    raise UsageError(
        f"no {which} segment of {LENGTH} bars without a long gap: the longest series has {bars} bars",
        "give more bars, or lower task.folds or task.embargo",
    )

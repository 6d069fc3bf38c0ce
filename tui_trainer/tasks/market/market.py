"""A market ready for trading: features, fills and segments of all its series in flat arrays."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from tui_trainer.core.data import DataReport
from tui_trainer.data import series as files
from tui_trainer.data.bars import Bars, Double
from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import Float, Int, Small
from tui_trainer.tasks.market.features import NAMES, features
from tui_trainer.tasks.market.generator import generate
from tui_trainer.tasks.market.segments import AHEAD, LENGTH, Segments, Split, ranked, starts, walk_forward, worth

Span = tuple[int, int]
"""Of bars: the first, and past the last."""
FINAL_PART = 2
"""For so many generated instruments there is one that only the final evaluation sees."""
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
    among: Double
    """What the training segments are worth, in no order."""
    kept: Segments | None = None
    """Of a person's bars, segments that nothing but the final evaluation sees; None where those held out serve it."""
    report: DataReport | None = None
    """What of a person's files is used; None for generated bars."""


@functools.lru_cache(maxsize=2)
def generated(seed: int, instruments: int, length: int, folds: int, fold: int, embargo: int) -> Market:
    """A generated market; the same arguments give the same one."""
    series = generate(seed, instruments, length)
    regimes = [_shifted(truth.regime) for _, truth in series]
    return prepare([bars for bars, _ in series], folds, fold, embargo, regimes=regimes)


@functools.lru_cache(maxsize=2)
def more(seed: int, instruments: int, length: int, folds: int, fold: int, embargo: int) -> Market:
    """Other instruments of a generated market, all of whose bars are held out: for the final evaluation."""
    market = generated(seed, instruments, length, folds, fold, embargo)
    found = generate(seed, max(1, instruments // FINAL_PART), length, first=instruments)
    series = [bars for bars, _ in found]
    splits = [walk_forward(length, folds, embargo)[fold - 1] for _ in series]
    segments = _ranked(series, splits, [(0, length)] * len(series), LENGTH, market.among)
    laid = _laid(series, [_shifted(truth.regime) for _, truth in found])
    return market._replace(**laid, train=segments, held_out=segments)


def from_files(path: Path, folds: int, fold: int, embargo: int, final_share: float) -> Market:
    """The market in a table or a folder of them. Raises UsageError naming what is wrong."""
    catalogue, series = files.load(path)
    market = prepare(series, folds, fold, embargo, final_share)
    counts = {"training": len(market.train.start), "held out": len(market.held_out.start)}
    if market.kept is not None:
        counts["final"] = len(market.kept.start)
    return market._replace(report=msgspec.structs.replace(catalogue.report(), split=counts))


def prepare(
    series: Sequence[Bars],
    folds: int,
    fold: int,
    embargo: int,
    final_share: float = 0.0,
    *,
    regimes: Sequence[Small] | None = None,
) -> Market:
    """Split, rank and lay the series end to end; `fold` counts from 1, 0 is the last. Raises UsageError for too few."""
    splits = [walk_forward(len(bars.ts), folds, embargo)[fold - 1] for bars in series]
    train, held_out = [split.train for split in splits], [split.held_out for split in splits]
    _require_segments(_count(series, train, STRIDE), _count(series, held_out, LENGTH), series)
    among = np.concatenate(_worths(series, splits, [starts(b, s, STRIDE) for b, s in zip(series, train)]))
    tested, final = _parted(series, splits, final_share, embargo)
    digest = _digest(series, folds, fold, embargo)
    return Market(
        **_laid(series, regimes or [np.zeros(len(bars.ts), np.int8) for bars in series]),
        train=_ranked(series, splits, train, STRIDE, among),
        held_out=_ranked(series, splits, tested, LENGTH, among),
        scale=_scale([_fill_return(bars) for bars in series], splits),
        digest=f"{digest} {final_share}" if final else digest,
        among=among,
        kept=_ranked(series, splits, final, LENGTH, among) if final else None,
    )


def _parted(
    series: Sequence[Bars], splits: Sequence[Split], share: float, embargo: int
) -> tuple[list[Span], list[Span]]:
    """Held-out bars for the reference evaluation and for the final one alone; none for that where either is too few."""
    whole = [split.held_out for split in splits]
    if not share:
        return whole, []
    tested, final = ([*spans] for spans in zip(*(split.parted(share, embargo) for split in splits)))
    enough = _count(series, tested, LENGTH) and _count(series, final, LENGTH)
    return (tested, final) if enough else (whole, [])


def _laid(series: Sequence[Bars], regimes: Sequence[Small]) -> dict[str, Any]:
    """The bars of all series, end to end: fields of a market."""
    return {
        "features": np.concatenate([np.pad(features(bars), ((0, 0), (0, 1))) for bars in series]),
        "fill_return": np.concatenate([_fill_return(bars) for bars in series]),
        "log_close": np.concatenate([np.log(bars.close) for bars in series]),
        "regime": np.concatenate(regimes),
    }


def _count(series: Sequence[Bars], spans: Sequence[Span], stride: int) -> int:
    return sum(len(starts(bars, span, stride)) for bars, span in zip(series, spans))


def _ranked(
    series: Sequence[Bars], splits: Sequence[Split], spans: Sequence[Span], stride: int, among: Double
) -> Segments:
    """The segments in these spans, where they lie in the bars laid end to end."""
    found = [starts(bars, span, stride) for bars, span in zip(series, spans)]
    offsets = np.cumsum([0, *(len(bars.ts) for bars in series)])[:-1]
    return ranked(_flat(found, offsets), np.concatenate(_worths(series, splits, found)), among)


def _worths(series: Sequence[Bars], splits: Sequence[Split], found: Sequence[Int]) -> list[Double]:
    return [worth(bars, start, split.train) for bars, start, split in zip(series, found, splits)]


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

"""Which model is the best: a score that one lucky evaluation cannot win."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tui_trainer.training.history import Point
from tui_trainer.training.statistics import median

WINDOW = 3
"""Evaluations in the median."""


class Best(msgspec.Struct, frozen=True):
    """The best evaluation so far: its score (up is better), the level it was reached at, its update."""

    score: float
    level: int
    update: int


def score(points: Sequence[Point], sign: float) -> float:
    """What the newest evaluation counts for; up is better.

    score = min(lower 95 % bound of the newest, median of the last three values). The bound keeps a small sample
    honest; the median stands for stability, since a single high value does not move it. `sign` is -1 for a metric that
    is better when lower: its upper bound then takes the lower one's place.
    """
    newest = points[-1]
    bound = newest.low if sign > 0 else -newest.high
    return min(bound, median([sign * point.value for point in points[-WINDOW:]]))


def is_better(score: float, level: int, best: Best | None) -> bool:
    """A higher score; of equal ones that at the higher difficulty level; of those the newer."""
    return best is None or (score, level) >= (best.score, best.level)

"""Intervals of evaluation scores, and an evaluation's part from its episodes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tui_trainer.core.values import Metrics, PartResult

if TYPE_CHECKING:
    from tui_trainer.tasks.arrays import Array

Z95 = 1.959963984540054


def wilson(wins: float, games: int) -> tuple[float, float]:
    """The 95 % score interval of a rate. Wilson 1927."""
    if games == 0:
        return 0.0, 1.0
    rate, z2 = wins / games, Z95 * Z95 / games
    centre = (rate + z2 / 2) / (1 + z2)
    half = Z95 * math.sqrt(rate * (1 - rate) / games + z2 / (4 * games)) / (1 + z2)
    return max(0.0, centre - half), min(1.0, centre + half)


def normal(mean: float, std: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a mean over `count` independent episodes with standard deviation `std`."""
    half = Z95 * std / math.sqrt(max(1, count))
    return mean - half, mean + half


def tally(
    scores: Array,
    wins: int,
    draws: int,
    *,
    distinct: int | None = None,
    repeats: bool = False,
    extra: Metrics | None = None,
    frame: str = "",
) -> PartResult:
    """A part of episodes that are won, drawn or lost; `scores` (N,) are their returns, N > 0.

    `repeats`: an episode that is not distinct comes out as it did before, so the interval rests on the distinct ones.
    """
    count = len(scores)
    known = distinct if repeats and distinct else count
    return PartResult(
        episodes=count,
        win_rate=wins / count,
        ci=wilson(wins if known == count else wins * known / count, known),
        draw_rate=draws / count,
        loss_rate=(count - wins - draws) / count,
        mean=float(scores.mean()),
        std=math.sqrt(float(scores.var())),
        min=float(scores.min()),
        max=float(scores.max()),
        distinct=distinct,
        extra=extra or {},
        frame=frame,
    )


def tally_games(
    scores: Array, *, distinct: int | None = None, extra: Metrics | None = None, frame: str = ""
) -> PartResult:
    """The same of games whose score is above 0 where they are won and 0 where they are drawn."""
    wins, losses = int((scores > 0).sum()), int((scores < 0).sum())
    return tally(scores, wins, len(scores) - wins - losses, distinct=distinct, extra=extra, frame=frame)

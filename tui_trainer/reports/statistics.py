"""Smoothing, means and intervals of a few numbers: pure, and the same answer every time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

Point = tuple[float, float]
"""x, y."""

RESAMPLES = 2000
_SEED = 20


def iqm(values: Sequence[float]) -> float:
    """Interquartile mean: the mean of the middle half, an outermost value counted by its share within it.

    Agarwal et al. 2021. Four values: the mean of the middle two; fewer than three: the plain mean.
    """
    ordered, n = sorted(values), len(values)
    if n < 3:
        return fmean(ordered)
    shares = [max(0.0, min(i + 1, 0.75 * n) - max(i, 0.25 * n)) for i in range(n)]
    return sum(share * value for share, value in zip(shares, ordered)) / sum(shares)


def bootstrap(
    values: Sequence[float],
    statistic: Callable[[Sequence[float]], float] = fmean,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic over runs; the same numbers always give the same interval.

    Efron 1979. A single value is its own interval.
    """
    if len(set(values)) == 1:
        return values[0], values[0]
    draw = random.Random(_SEED)
    found = sorted(statistic(draw.choices(values, k=len(values))) for _ in range(resamples))
    return quantile(found, (1 - level) / 2), quantile(found, (1 + level) / 2)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value at a share of an ordered sequence, linear between neighbours."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def best(points: Iterable[Point], *, higher: bool = True) -> Point | None:
    """The best point, the earliest of equals; None where there is none."""
    return max(points, key=lambda point: point[1] if higher else -point[1], default=None)


def value_at(points: Iterable[Point], x: float) -> float | None:
    """The newest value at or before `x`; None before the first."""
    return next((y for at, y in reversed(list(points)) if at <= x), None)


def reached(points: Iterable[Point], threshold: float, *, higher: bool = True) -> float | None:
    """First x where the threshold was met; None where it never was."""
    return next((x for x, y in points if (y >= threshold if higher else y <= threshold)), None)

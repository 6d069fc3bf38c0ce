"""Is B better than A? Statistics of differences paired by seed: pure, and the same answer every time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product
from statistics import fmean

import msgspec

RESAMPLES = 10_000
MOST_EXACT = 12
"""Up to so many pairs every sign pattern is counted; beyond, a sample of them."""
_SEED = 20


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """B against A over the pairs; a positive difference speaks for B, whichever way the score is better."""

    pairs: int
    difference: float
    """Mean of B - A, turned so that above 0 is better."""
    ci: tuple[float, float]
    """95 % bootstrap interval of the mean."""
    p: float
    """Two-sided sign-flip test: how often chance alone gives a mean at least as far from 0."""
    wins: int
    """Pairs in which B was better."""
    verdict: str


def compare(a: Sequence[float], b: Sequence[float], *, higher_is_better: bool) -> Comparison:
    """Scores of the same seeds in the same order, one pair at least."""
    sign = 1.0 if higher_is_better else -1.0
    differences = [sign * (y - x) for x, y in zip(a, b, strict=True)]
    ci, p = interval(differences), sign_flip(differences)
    return Comparison(
        pairs=len(differences),
        difference=fmean(differences),
        ci=ci,
        p=p,
        wins=sum(each > 0 for each in differences),
        verdict=verdict(ci, p, len(differences)),
    )


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """Percentile bootstrap of the mean, 95 % (Efron 1979). Narrow below about ten pairs: read it with `p`."""
    draw, n = random.Random(_SEED), len(differences)
    means = sorted(fmean(draw.choices(differences, k=n)) for _ in range(RESAMPLES))
    return means[round(0.025 * (RESAMPLES - 1))], means[round(0.975 * (RESAMPLES - 1))]


def sign_flip(differences: Sequence[float]) -> float:
    """Share of sign patterns whose mean is at least as far from 0 (Fisher 1935); 1 where all are 0.

    With n pairs it is never below 2 / 2^n: five pairs cannot show anything at 5 %, six can.
    """
    n = len(differences)
    draw = random.Random(_SEED)
    patterns = (
        list(product((1, -1), repeat=n))
        if n <= MOST_EXACT
        else [(1,) * n, *(tuple(draw.choices((1, -1), k=n)) for _ in range(RESAMPLES))]
    )
    seen = abs(sum(differences)) - 1e-12
    return sum(abs(sum(s * d for s, d in zip(p, differences))) >= seen for p in patterns) / len(patterns)


def verdict(ci: tuple[float, float], p: float, pairs: int) -> str:
    """In words; B or A is called better only where the interval and the test agree."""
    low, high = ci
    if low > 0 and p <= 0.05:
        return "B is better"
    if high < 0 and p <= 0.05:
        return "A is better"
    if low > 0 or high < 0:
        leader = "B" if low > 0 else "A"
        return f"{leader} leads, but {pairs} pairs are too few to be sure; add seeds"
    return "no difference shown"

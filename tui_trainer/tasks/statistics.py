"""Intervals of evaluation scores."""

from __future__ import annotations

import math

Z95 = 1.959963984540054


def wilson(wins: int, games: int) -> tuple[float, float]:
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

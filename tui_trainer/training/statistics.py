"""Small robust statistics over short series. Plain Python: a series here has tens of values, not thousands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import msgspec

Z95 = 1.959964
_NORMAL = NormalDist()
_MAD_TO_SD = 1.4826


def normal_cdf(z: float) -> float:
    """Share of a standard normal below `z`."""
    return _NORMAL.cdf(z)


def logistic(x: float) -> float:
    """1 / (1 + exp(-x)), without overflow."""
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean; 0 for none."""
    return math.fsum(values) / len(values) if values else 0.0


def median(values: Sequence[float]) -> float:
    """Middle value; 0 for none."""
    ordered = sorted(values)
    half = len(ordered) // 2
    if not ordered:
        return 0.0
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def deviation(values: Sequence[float]) -> float:
    """Sample standard deviation; 0 below two values."""
    if len(values) < 2:
        return 0.0
    centre = mean(values)
    return math.sqrt(math.fsum((v - centre) ** 2 for v in values) / (len(values) - 1))


def noise(values: Sequence[float]) -> float:
    """Standard deviation of the noise around a smooth curve, from second differences; 0 below four values.

    d_i = (y_{i-1} - 2 y_i + y_{i+1}) / sqrt(6) removes any line; their median absolute value, made consistent with the
    normal, ignores single outliers (Gasser, Sroka and Jennen-Steinmetz 1986, with the median in place of the mean).
    """
    if len(values) < 4:
        return 0.0
    triples = zip(values, values[1:], values[2:])
    return _MAD_TO_SD * median([abs(a - 2 * b + c) for a, b, c in triples]) / math.sqrt(6)


class Slope(msgspec.Struct, frozen=True):
    """Change a step: the estimate, its 95 % interval, and the probability that the true one is above 0."""

    value: float
    low: float
    high: float
    rising: float


def theil_sen(values: Sequence[float]) -> Slope:
    """Median of the pairwise slopes of equally spaced values.

    Interval: order statistics around the median by Kendall's variance n(n-1)(2n+5)/18 (Sen 1968). `rising` is the
    normal approximation of Kendall's one-sided test, with the continuity correction.
    """
    n = len(values)
    if n < 2:
        return Slope(0.0, 0.0, 0.0, 0.5)
    slopes = sorted((values[j] - values[i]) / (j - i) for i in range(n) for j in range(i + 1, n))
    spread = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    reach = Z95 * spread
    low = slopes[max(0, math.floor((len(slopes) - reach) / 2))]
    high = slopes[min(len(slopes) - 1, math.ceil((len(slopes) + reach) / 2))]
    s = sum(slope > 0 for slope in slopes) - sum(slope < 0 for slope in slopes)
    corrected = s - math.copysign(1, s) if s else 0.0
    return Slope(median(slopes), low, high, normal_cdf(corrected / spread))


def wilson(successes: float, trials: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927)."""
    if trials <= 0:
        return 0.0, 1.0
    p = successes / trials
    shrink = 1 + z * z / trials
    centre = (p + z * z / (2 * trials)) / shrink
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials)) / shrink
    return max(0.0, centre - half), min(1.0, centre + half)

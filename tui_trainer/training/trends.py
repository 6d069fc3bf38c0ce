"""Reading the reference evaluations: rising, flat, falling, too easy, too hard, and how sure that is.

Everything here looks only at the reference evaluation, whose games never change, so a raised level cannot look like a
fall. Windows and factors were chosen from generated histories with known truth: benchmarks/trends.py prints the table.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tui_trainer.core.protocols import TaskSpec
from tui_trainer.core.values import DifficultySpace, PartTrend, TrendName
from tui_trainer.training.history import UNKNOWN, Point, Share, Trend
from tui_trainer.training.statistics import Slope, deviation, logistic, mean, median, noise, normal_cdf, theil_sen

WINDOW = 12
"""Evaluations in the slope."""
LONGEST_WINDOW = 40
SMOOTH = 7
"""Evaluations in the running median."""
NOISE_WINDOW = 40
PROGRESS = 1.25
"""A rise of the running median by this many noise deviations is progress."""
FALL = 3.0
"""A running median this many noise deviations below its best is a fall."""
FALLEN_FOR = 3
PLATEAU_FOR = 8
RISING = 0.95
RISING_LATE = 0.98
"""The same, once it has stood still for PLATEAU_FOR evaluations: by then most rises are noise."""
IMPROVING_RIGHT = 0.93
"""Share of the readings *improving* that were right in the generated histories; the logistic curves alike."""
EXCELLING = 0.8
"""Win rate at the present level from which it is too easy."""
STRUGGLING = 0.2
RECENT = 3


class Course(msgspec.Struct, frozen=True):
    """How a noisy series went, oriented so that up is better."""

    sigma: float
    since_progress: int
    fallen: int
    drop: float
    """Best running median minus the last one."""


def assess(points: Sequence[Point], spec: TaskSpec, space: DifficultySpace | None, *, restart: int = 0) -> Trend:
    """The trend of the points. `restart`: index from which progress and falls count (the last change)."""
    if len(points) < 4:
        return UNKNOWN
    sign = 1.0 if spec.higher_is_better else -1.0
    values = [sign * p.value for p in points]
    course = follow(values, sampling_error(points), restart)
    slope = theil_sen(values[-_slope_window(course) :])
    name, confidence, evidence = _named(points, course, slope, spec, space)
    low, high = sorted((sign * slope.low, sign * slope.high))
    return Trend(
        name=name,
        confidence=min(0.99, max(0.0, confidence)),
        evidence=evidence,
        slope=sign * slope.value,
        slope_ci=(low, high),
        stability=deviation(values[-WINDOW:]),
        consistency=consistency(points, spec),
        noise=course.sigma,
        rising=slope.rising,
        since_progress=course.since_progress,
        fallen=course.fallen,
    )


def _slope_window(course: Course) -> int:
    """Once it has stood still for a while, only the evaluations since the last progress tell whether it still does."""
    if course.since_progress < PLATEAU_FOR:
        return WINDOW
    return min(course.since_progress, LONGEST_WINDOW)


def part_trends(points: Sequence[Point]) -> dict[str, PartTrend]:
    """Each part's own slope over the last evaluations; nothing below four of them, nor of a single part."""
    recent = points[-WINDOW:]
    if len(recent) < 4 or len(recent[-1].by) < 2:
        return {}
    return {part: _part_trend([p.by[part].value for p in recent if part in p.by]) for part in recent[-1].by}


def _part_trend(values: Sequence[float]) -> PartTrend:
    slope = theil_sen(values)
    around = deviation([value - slope.value * i for i, value in enumerate(values)])
    return PartTrend(slope=slope.value, slope_ci=(slope.low, slope.high), stability=around)


def sampling_error(points: Sequence[Point]) -> float:
    """Standard error that the intervals of the last evaluations tell."""
    return median([(p.high - p.low) / 3.92 for p in points[-WINDOW:]])


def follow(values: Sequence[float], sampling: float, restart: int = 0) -> Course:
    """Progress and falls of a series: running median against its best so far, in units of the noise.

    The noise is never taken for less than a quarter of the sampling error, so that a few equal values are no proof.
    """
    sigma = max(noise(values[-NOISE_WINDOW:]), sampling / 4, 1e-9)
    fresh = values[min(restart, len(values) - 1) :]
    medians = [median(fresh[max(0, i - SMOOTH + 1) : i + 1]) for i in range(len(fresh))]
    best, progressed, fallen = medians[0], 0, 0
    for i in range(1, len(medians)):
        if medians[i] > best + PROGRESS * sigma:
            best, progressed = medians[i], i
        fallen = fallen + 1 if medians[i] < best - FALL * sigma else 0
    return Course(sigma, len(fresh) - 1 - progressed, fallen, best - medians[-1])


def consistency(points: Sequence[Point], spec: TaskSpec) -> float:
    """Share of parts above their baseline: a win rate of one half, elsewhere the part's own first score."""
    last, first = points[-1].by, points[0].by
    if not last:
        return 0.0
    sign = 1.0 if spec.higher_is_better else -1.0
    above = [sign * (share.value - _baseline(name, first, spec)) > 0 for name, share in last.items()]
    return sum(above) / len(above)


def _baseline(part: str, first: dict[str, Share], spec: TaskSpec) -> float:
    if spec.metric == "win_rate" or part not in first:
        return 0.5
    return first[part].value


def present_shares(points: Sequence[Point], space: DifficultySpace | None) -> list[Share]:
    """How the present level's part went since that level was set, newest last; empty where levels are no parts."""
    if space is None or not points:
        return []
    level = points[-1].difficulty.level
    if level >= len(space.levels):
        return []
    shares: list[Share] = []
    for point in reversed(points):
        share = point.by.get(space.levels[level])
        if share is None or point.difficulty.level != level:
            break
        shares.append(share)
    return shares[::-1]


def chance_above(shares: Sequence[Share], threshold: float) -> float:
    """Probability that the true share lies above `threshold`, from the mean of the shares and their intervals.

    The games are the same in every evaluation, so several evaluations are not taken for more games than one.
    """
    if not shares:
        return 0.0
    value = mean([s.value for s in shares])
    error = mean([(s.high - s.low) / 3.92 for s in shares])
    return normal_cdf((value - threshold) / max(error, 1e-3))


def _named(
    points: Sequence[Point], course: Course, slope: Slope, spec: TaskSpec, space: DifficultySpace | None
) -> tuple[TrendName, float, str]:
    if course.fallen >= FALLEN_FOR:
        sigmas = course.drop / course.sigma
        return (
            "degrading",
            normal_cdf(sigmas - 2.5),
            f"{course.drop:.3f} below its best for {course.fallen} evaluations",
        )
    level = _level_reading(points, slope, spec, space)
    if level is not None:
        return level
    span = f"{slope.value:+.4f} an evaluation [{slope.low:+.4f}, {slope.high:+.4f}]"
    still = course.since_progress
    if still < PLATEAU_FOR:
        if slope.rising >= RISING:
            return "improving", min(slope.rising, IMPROVING_RIGHT), span
        return "stable", 0.1 + 0.017 * still, span
    if slope.rising >= RISING_LATE:
        return "improving", min(IMPROVING_RIGHT, logistic(-0.30 * (still - 18.2))), span
    return "plateau", logistic(0.354 * (still - 12.2)), f"no progress for {still} evaluations, {span}"


def _level_reading(
    points: Sequence[Point], slope: Slope, spec: TaskSpec, space: DifficultySpace | None
) -> tuple[TrendName, float, str] | None:
    """Excelling or struggling at the present level, or at the whole where levels are no parts of the evaluation."""
    if spec.metric != "win_rate":
        return None
    shares = present_shares(points, space)
    whole = not shares
    shares = (shares or [Share(p.value, p.low, p.high) for p in points])[-RECENT:]
    if len(shares) < RECENT:
        return None
    where = "overall" if whole else "at the present level"
    rate = f"{100 * mean([s.value for s in shares]):.0f} % won {where}"
    easy = chance_above(shares, EXCELLING)
    if easy >= 0.9:
        return "excelling", easy, rate
    hard = 1 - chance_above(shares, STRUGGLING)
    return ("struggling", hard, rate) if hard >= 0.9 and slope.rising < RISING else None

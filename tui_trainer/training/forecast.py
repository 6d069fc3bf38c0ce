"""Where the reference evaluation is going: at a later update, at the limit, and when it may reach the target.

A learning curve slows down: what took n updates takes about n more of them to happen again. So the curve is taken for a
line over the logarithm of the update, robustly fitted to the later half of the evaluations, and drawn on. The range
holds 80 % of what really came: its factors were chosen on generated and recorded histories, benchmarks/forecast.py.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from tui_trainer.core.conditions import Condition, parse_condition
from tui_trainer.core.config import TerminationSettings
from tui_trainer.core.protocols import TaskSpec
from tui_trainer.core.values import Expected, Forecast
from tui_trainer.training.history import Aim, Point
from tui_trainer.training.statistics import mean, median, noise
from tui_trainer.training.termination import Progress

FEWEST = 5
"""Evaluations before anything is foretold."""
LONGEST = 40
"""Evaluations in the fit, at most; the later half of the history below that."""
LEVEL = 7
"""Evaluations that tell where the curve is now."""
Z80 = 1.281552
SLOWING = 0.8
"""Share of the fitted rise that is carried on: most curves bend more than the logarithm does."""
DOUBT_OF_SLOPE = 1.2
"""Standard error for each unit of rise that is carried on."""
DOUBT_OF_CHANGE = 0.2
"""Standard error by the range of scores seen so far, for each e-fold of updates: what no slope tells."""
BELOW = 0.7
"""The range below the middle by the range above it: scores rise more often than they fall."""
DRIFT = 1.2
"""Noise of one evaluation by the noise between neighbours, which are more alike than evaluations far apart."""
LUCK = 2.0
"""The evaluation that first meets a target is a lucky one: so many deviations of its noise above the curve."""
FARTHEST = 10.0
"""A target is looked for up to so many times the updates done."""
STEPS = 120


class Line(msgspec.Struct, frozen=True):
    """A fitted curve: value = level + slope * ln(update / at); `sigma` is one evaluation's noise around it."""

    at: float
    level: float
    slope: float
    slope_error: float
    sigma: float
    seen: float
    """Highest minus lowest score so far."""
    points: int


Crossings: TypeAlias = tuple[int | None, int | None, int | None]
"""Earliest, likely and latest update; None for what is not in sight."""


class Range(msgspec.Struct, frozen=True):
    """The middle and the 80 % range of a score to come."""

    value: float
    low: float
    high: float


def fit(points: Sequence[Point], part: str = "") -> Line | None:
    """The curve through the later evaluations of the whole, or of one part; None while there are too few."""
    known = [p for p in points if p.update > 0 and (not part or part in p.by)]
    if len(known) < FEWEST:
        return None
    values = [p.by[part].value if part else p.value for p in known]
    errors = [(p.by[part].high - p.by[part].low if part else p.high - p.low) / 3.92 for p in known]
    count = min(LONGEST, max(FEWEST, len(known) // 2))
    x, y = [math.log(p.update) for p in known[-count:]], values[-count:]
    slope = _median_slope(x, y)
    level = median([v + slope * (x[-1] - u) for u, v in zip(x[-LEVEL:], y[-LEVEL:])])
    sigma = max(noise(values[-LONGEST:]), median(errors[-LONGEST:]) / 4, 1e-9)
    centre = mean(x)
    width = math.sqrt(sum((u - centre) ** 2 for u in x)) or 1.0
    return Line(known[-1].update, level, slope, sigma / width, sigma, max(values) - min(values), len(y))


def flat(points: Sequence[Point]) -> Line:
    """What stands in for a fit while there are too few evaluations: the score stays, or goes on as far as it came."""
    values = [p.value for p in points[-FEWEST:]]
    folds = math.log(max(1, points[-1].update) / max(1, points[0].update)) or 1.0
    spread = max(values) - min(values)
    sigma = max(noise(values), median([p.high - p.low for p in points[-FEWEST:]]) / 7.84, 1e-9)
    return Line(max(1, points[-1].update), mean(values), 0.0, spread / folds, sigma, spread, len(values))


def next_mean(points: Sequence[Point], spec: TaskSpec, evaluations: int) -> Range:
    """The mean of the next evaluations, if everything stays as it is."""
    line = fit(points) or flat(points)
    apart = median([b.update - a.update for a, b in itertools.pairwise(points)][-LEVEL:]) or max(1, points[-1].update)
    middle = line.at + apart * (evaluations + 1) / 2
    return at(line, max(1.0, middle), averaged=evaluations, within=bounds(spec))


def expectation(points: Sequence[Point], spec: TaskSpec, aim: Aim, evaluations: int) -> Expected:
    """What a change promises of the next evaluations, in figures: at least as good as without it, or better."""
    without = next_mean(points, spec, evaluations)
    up = spec.higher_is_better
    worst, best = (without.low, without.high) if up else (without.high, without.low)
    end = worst if aim == "hold" else best
    low, high = (end, None) if up else (None, end)
    return Expected(evaluations=evaluations, low=low, high=high, without=(without.low, without.high))


def told(expected: Expected) -> str:
    """An expectation in a person's words."""
    low, high = expected.without
    end = f"{expected.low:.3g} or more" if expected.high is None else f"{expected.high:.3g} or less"
    return f"mean of the next {expected.evaluations} evaluations {end} (as it is: {low:.3g} to {high:.3g})"


def _median_slope(x: Sequence[float], y: Sequence[float]) -> float:
    n = len(x)
    return median([(y[j] - y[i]) / (x[j] - x[i]) for i in range(n) for j in range(i + 1, n) if x[j] > x[i]])


def at(line: Line, update: float, *, averaged: int = 1, within: tuple[float, float] | None = None) -> Range:
    """The score of an evaluation at `update`, or the mean of `averaged` evaluations around it."""
    ahead = max(0.0, math.log(update / line.at))
    rise = SLOWING * line.slope * ahead
    own = DRIFT * line.sigma * math.sqrt(1 / averaged + 1 / min(LEVEL, line.points))
    doubts = (line.slope_error * ahead, DOUBT_OF_SLOPE * line.slope * ahead, DOUBT_OF_CHANGE * line.seen * ahead)
    above = Z80 * math.hypot(own, *doubts)
    below = Z80 * math.hypot(own, BELOW * math.hypot(*doubts))
    low, middle, high = line.level + rise - below, line.level + rise, line.level + rise + above
    if within is None:
        return Range(middle, low, high)
    return Range(*(min(within[1], max(within[0], value)) for value in (middle, low, high)))


def bounds(spec: TaskSpec) -> tuple[float, float] | None:
    """What the metric cannot leave."""
    return (0.0, 1.0) if spec.metric == "win_rate" else None


def limit_update(settings: TerminationSettings, done: Progress, *, wall_clock: bool) -> tuple[str, float] | None:
    """The hard limit that comes first at the pace so far, and the update at which it comes; None without one."""
    hours = settings.max_hours if wall_clock else 0
    pairs = (
        ("max_updates", done.update, settings.max_updates),
        ("max_steps", done.global_step, settings.max_steps),
        ("max_episodes", done.episodes, settings.max_episodes),
        ("max_hours", done.elapsed_s / 3600, hours),
    )
    found = [(name, done.update * limit / so_far) for name, so_far, limit in pairs if limit > 0 and so_far > 0]
    return min(found, key=lambda pair: pair[1], default=None)


def foretell(
    points: Sequence[Point], spec: TaskSpec, settings: TerminationSettings, done: Progress, *, wall_clock: bool
) -> Forecast | None:
    """The forecast after an evaluation; None while there is too little to go by.

    Without a limit it looks as far ahead as the run is old.
    """
    line = fit(points)
    if line is None:
        return None
    limit, update = limit_update(settings, done, wall_clock=wall_clock) or ("", 2.0 * done.update)
    update = max(update, line.at)
    range_ = at(line, update, within=bounds(spec))
    reached = target_updates(points, spec, settings)
    return Forecast(
        limit=limit, update=round(update), value=range_.value, low=range_.low, high=range_.high, target=reached
    )


def target_updates(points: Sequence[Point], spec: TaskSpec, settings: TerminationSettings) -> Crossings | None:
    """When the target may be met; None without one, or for one over something else than the reference evaluation."""
    if not settings.target:
        return None
    condition = parse_condition(settings.target)
    whole = f"eval/{spec.metric}"
    if condition.metric != whole and not condition.metric.startswith(f"{whole}/"):
        return None
    line = fit(points, condition.metric.removeprefix(whole).removeprefix("/"))
    return None if line is None else _crossings(line, condition, bounds(spec))


def _crossings(line: Line, condition: Condition, within: tuple[float, float] | None) -> Crossings:
    """The first updates at which the better end of the range, its middle and its worse end meet the condition."""
    updates = [line.at * FARTHEST ** (step / STEPS) for step in range(STEPS + 1)]
    ranges = [at(line, update, within=within) for update in updates]
    rising = condition.op in (">", ">=")

    def first(values: list[float]) -> int | None:
        met = (u for u, value in zip(updates, values) if condition.holds({condition.metric: value}))
        return next((round(u) for u in met), None)

    luck = LUCK * line.sigma if rising else -LUCK * line.sigma
    ends = ([r.high + luck for r in ranges], [r.value + luck for r in ranges], [r.low + luck for r in ranges])
    best, middle, worst = ends if rising else ends[::-1]
    return first(best), first(middle), first(worst)

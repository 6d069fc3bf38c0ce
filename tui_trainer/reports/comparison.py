"""Sessions side by side: scores, equal steps, thresholds, settings that differ, and groups of seeds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import msgspec

from tui_trainer.core.series import Bucket
from tui_trainer.errors import UsageError
from tui_trainer.reports.facts import Facts, flat
from tui_trainer.reports.statistics import Point, best, bootstrap, iqm, reached, value_at

RATES = (0.5, 0.8, 0.9, 0.95, 0.99)
"""Thresholds of a win rate; of anything else so many shares of the way from the lowest start to the best."""
SHARES = (0.5, 0.9)
LOWER = ("loss", "kl", "std")
"""Words in names of metrics of which less is better."""
COMMON = ("eval/mean_reward", "rollout/ep_rew_mean")
"""What runs of different tasks and tools may have in common, the best first."""
SEED = "run.seed"


class Reached(msgspec.Struct, frozen=True):
    """When a threshold was first met: environment steps, and seconds of wall time since the session began."""

    steps: float
    seconds: float


class Scored(msgspec.Struct, frozen=True):
    """One session's line; None where it has no value of the metric."""

    name: str
    seed: int | None
    best: float | None
    best_step: float | None
    last: float | None
    last_step: float | None
    at_equal_steps: float | None
    reached: dict[str, Reached | None]
    sps: float | None
    curve: tuple[Point, ...]


class Spread(msgspec.Struct, frozen=True):
    """A number over the seeds of a group: mean, its 95 % bootstrap interval, interquartile mean."""

    mean: float
    ci: tuple[float, float]
    iqm: float


class Group(msgspec.Struct, frozen=True):
    """Sessions that differ in their seed alone."""

    names: tuple[str, ...]
    best: Spread | None
    last: Spread | None
    at_equal_steps: Spread | None


class Comparison(msgspec.Struct, frozen=True):
    """Everything that `compare` tells. `equal_steps` is the last step that every session reached."""

    metric: str
    higher_is_better: bool
    equal_steps: float | None
    sessions: tuple[Scored, ...]
    settings: dict[str, tuple[str, ...]]
    """Settings that differ, each with one value a session, in their order."""
    groups: tuple[Group, ...]


def compare(sessions: Sequence[Facts], metric: str = "", thresholds: Sequence[float] = ()) -> Comparison:
    """The sessions in the given order; `metric` defaults to the first one's score, or what all of them have.

    Raises UsageError naming the metrics where none of them has it.
    """
    metric = metric or _usual(sessions)
    curves = [_buckets(facts, metric) for facts in sessions]
    _require_some(sessions, metric, curves)
    higher = _higher(sessions[0], metric)
    equal = min(float(curve[-1].step) for curve in curves if curve)
    levels = tuple(thresholds) or _thresholds(metric, curves, higher)
    scored = tuple(_scored(facts, curve, equal, levels, higher) for facts, curve in zip(sessions, curves))
    return Comparison(metric, higher, equal, scored, differences(sessions), _groups(sessions, scored))


def _usual(sessions: Sequence[Facts]) -> str:
    """The first one's score; where some have none of it, what all have; else what the first one has."""
    choices = (sessions[0].metric, *COMMON)
    held = [{name for name in choices if _buckets(facts, name)} for facts in sessions]
    everywhere = [name for name in choices if all(name in each for each in held)]
    return (everywhere or [name for name in choices if name in held[0]] or [sessions[0].metric])[0]


def differences(sessions: Sequence[Facts]) -> dict[str, tuple[str, ...]]:
    """Settings of which not all sessions have the same value, by name; empty text where one has none.

    What a run of another tool does not tell is no difference.
    """
    tables = [flat(facts.settings) for facts in sessions]
    keys = sorted({key for table in tables for key in table})
    values = {key: tuple(table.get(key, "") for table in tables) for key in keys}
    return {key: each for key, each in values.items() if len(_told(sessions, each)) > 1}


def _told(sessions: Sequence[Facts], values: Sequence[str]) -> set[str]:
    return {value for facts, value in zip(sessions, values) if value or not facts.origin}


def _buckets(facts: Facts, metric: str) -> list[Bucket]:
    series = facts.state.series.get(metric)
    return [bucket for bucket in series.buckets if bucket.mean is not None] if series else []


def _require_some(sessions: Sequence[Facts], metric: str, curves: Sequence[list[Bucket]]) -> None:
    if any(curves):
        return
    known = sorted({name for facts in sessions for name in facts.state.series})
    hint = f"there are {', '.join(known)}" if known else "they have not logged anything yet"
    raise UsageError(f"none of these sessions has values of {metric}", hint)


def _higher(facts: Facts, metric: str) -> bool:
    if metric.startswith("eval"):
        return facts.higher_is_better
    return not any(word in metric for word in LOWER)


def _points(curve: Sequence[Bucket]) -> list[Point]:
    return [(float(bucket.step), bucket.mean) for bucket in curve if bucket.mean is not None]


def _peaks(curve: Sequence[Bucket], higher: bool) -> list[Point]:
    """The best value within each bucket: a merged one hides none."""
    values = ((float(b.step), b.high if higher else b.low) for b in curve)
    return [(step, value) for step, value in values if value is not None]


def _thresholds(metric: str, curves: Sequence[list[Bucket]], higher: bool) -> tuple[float, ...]:
    """Those that at least one session reached."""
    tops = [peak[1] for curve in curves if (peak := best(_peaks(curve, higher), higher=higher))]
    top = max(tops) if higher else min(tops)
    if metric.rpartition("/")[2] == "win_rate":
        return tuple(rate for rate in RATES if rate <= top)
    starts = [_points(curve)[0][1] for curve in curves if curve]
    start = min(starts) if higher else max(starts)
    return tuple(start + share * (top - start) for share in SHARES) if top != start else ()


def _scored(facts: Facts, curve: list[Bucket], equal: float, thresholds: Sequence[float], higher: bool) -> Scored:
    points, peaks, s = _points(curve), _peaks(curve, higher), facts.state
    top = best(peaks, higher=higher)
    last = points[-1] if points else None
    times = {float(bucket.step): bucket.time for bucket in curve}
    begun = s.started.time if s.started else 0.0
    return Scored(
        name=facts.name,
        seed=s.started.seed if s.started else None,
        best=top[1] if top else None,
        best_step=top[0] if top else None,
        last=last[1] if last else None,
        last_step=last[0] if last else None,
        at_equal_steps=value_at(points, equal),
        reached={f"{level:.4g}": _reached(peaks, level, times, begun, higher) for level in thresholds},
        sps=s.global_step / s.elapsed_s if s.elapsed_s > 0 else None,
        curve=tuple(points),
    )


def _reached(
    peaks: Sequence[Point], threshold: float, times: dict[float, float], begun: float, higher: bool
) -> Reached | None:
    step = reached(peaks, threshold, higher=higher)
    return None if step is None else Reached(step, max(0.0, times[step] - begun))


# --- groups of seeds -------------------------------------------------------------------------------------------------


def _groups(sessions: Sequence[Facts], scored: Sequence[Scored]) -> tuple[Group, ...]:
    """Two or more sessions with the same settings but the seed, in order of their first."""
    found: dict[tuple[tuple[str, str], ...], list[Scored]] = {}
    for facts, line in zip(sessions, scored):
        key = tuple(sorted((name, value) for name, value in flat(facts.settings).items() if name != SEED))
        found.setdefault(key, []).append(line)
    return tuple(_group(lines) for lines in found.values() if len({line.seed for line in lines}) > 1)


def _group(lines: Sequence[Scored]) -> Group:
    return Group(
        names=tuple(line.name for line in lines),
        best=spread([line.best for line in lines]),
        last=spread([line.last for line in lines]),
        at_equal_steps=spread([line.at_equal_steps for line in lines]),
    )


def spread(values: Sequence[float | None]) -> Spread | None:
    """Over those that have a value; None where none has."""
    known = [value for value in values if value is not None]
    return Spread(fmean(known), bootstrap(known), iqm(known)) if known else None


def mean_curve(
    curves: Sequence[Sequence[Point]], columns: int = 60, resamples: int = 400
) -> list[tuple[float, float, float, float]]:
    """(x, mean, low, high) over runs at evenly spaced x, as far as all of them go; a 95 % bootstrap interval.

    Each run counts with its newest value at or before x; nothing before the first value of the last to begin.
    """
    known = [curve for curve in curves if curve]
    if len(known) < 2:
        return []
    start, end = max(curve[0][0] for curve in known), min(curve[-1][0] for curve in known)
    places = sorted({start + (end - start) * i / columns for i in range(columns + 1)}) if end >= start else []
    return [(x, *_mean_at(known, x, resamples)) for x in places]


def _mean_at(curves: Sequence[Sequence[Point]], x: float, resamples: int) -> tuple[float, float, float]:
    values = [value for curve in curves if (value := value_at(curve, x)) is not None]
    return fmean(values), *bootstrap(values, resamples=resamples)

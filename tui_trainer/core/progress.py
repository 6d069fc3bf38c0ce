"""How far each limit is, when the run may end and what it may reach by then: functions from RunState."""

from __future__ import annotations

import msgspec

from tui_trainer.core.format import about, count, percent, si
from tui_trainer.core.state import RunState

_SPREAD = 4


class LimitProgress(msgspec.Struct, frozen=True):
    """One limit: `done` of `limit`, with an ETA as a range in seconds (None while unknown)."""

    name: str
    done: float
    limit: float
    eta_s: tuple[float, float] | None

    @property
    def fraction(self) -> float:
        """0..1."""
        return max(0.0, min(1.0, self.done / self.limit)) if self.limit > 0 else 1.0


def limit_progress(state: RunState) -> tuple[LimitProgress, ...]:
    """Every hard limit that is set, the nearest to its end first."""
    done = {
        "max_updates": float(state.update),
        "max_steps": float(state.global_step),
        "max_episodes": float(state.episodes),
        "max_hours": state.elapsed_s / 3600,
    }
    rows = [LimitProgress(k, done[k], v, _eta(state, k, done[k], v)) for k, v in state.limits.items() if k in done]
    return tuple(sorted(rows, key=lambda row: -row.fraction))


def eta(state: RunState) -> tuple[LimitProgress, tuple[float, float]] | None:
    """The limit that will end the run first, and when, as a range in seconds."""
    known = [(row, row.eta_s) for row in limit_progress(state) if row.eta_s is not None]
    return min(known, key=lambda pair: pair[1][0]) if known else None


def forecast_told(state: RunState) -> str:
    """`64.0 to 71.0 % at update 5,000`: the 80 % range at the limit; empty without a forecast or past it."""
    found = state.trend.forecast if state.trend else None
    if found is None or found.update <= state.update:
        return ""
    low = _score(state, found.low).removesuffix(" %")
    return f"{low} to {_score(state, found.high)} at update {count(found.update)}"


def target_told(state: RunState) -> str:
    """`likely in 9 min (from 5 min on)`: when the target may be met at the pace so far; empty without either."""
    found = state.trend.forecast if state.trend else None
    if found is None or found.target is None or state.status == "ended":
        return ""
    first, likely, last = (_seconds_until(state, update) for update in found.target)
    if first is None:
        return "not in sight"
    if likely is None:
        return f"in {about(first, first)} at the earliest"
    span = about(first, last) if last is not None else f"from {about(first, first)} on"
    return f"likely in {about(likely, likely)} ({span})"


def _seconds_until(state: RunState, update: int | None) -> float | None:
    if update is None or state.update <= 0:
        return None
    return max(0, update - state.update) * state.elapsed_s / state.update


def _score(state: RunState, value: float) -> str:
    is_rate = state.started is not None and "rate" in state.started.metric.split("_")
    return percent(value) if is_rate else si(value)


def _eta(state: RunState, name: str, done: float, limit: float) -> tuple[float, float] | None:
    left = max(0.0, limit - done)
    if name == "max_hours":
        return left * 3600, left * 3600
    if state.elapsed_s <= 0 or done <= 0:
        return None
    overall = done / state.elapsed_s
    recent = _recent_rate(state, name) or overall
    slow, fast = sorted((overall, recent))
    return left / (fast * 1.02), left / (slow * 0.98)


def _recent_rate(state: RunState, name: str) -> float | None:
    """Units a second over the last quarter of the recorded SPS history."""
    series = state.series.get("time/fps")
    if series is None or state.global_step <= 0:
        return None
    buckets = series.buckets
    values = [b.mean for b in buckets[-max(1, len(buckets) // _SPREAD) :] if b.mean and b.mean > 0]
    if not values:
        return None
    steps_a_second = sum(values) / len(values)
    units = {"max_updates": state.update, "max_steps": state.global_step, "max_episodes": state.episodes}[name]
    return steps_a_second * units / state.global_step

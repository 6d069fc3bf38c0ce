"""When a run ends by itself: hard limits, the target, and intelligent termination."""

from __future__ import annotations

import msgspec

from tui_trainer.core.conditions import parse_condition
from tui_trainer.core.config import TerminationSettings
from tui_trainer.core.values import Metrics, Reason, ReasonName
from tui_trainer.training.history import Trend

NORMAL_ENDS = frozenset({"max_updates", "max_episodes", "max_steps", "max_hours", "target", "plateau", "degradation"})
"""Ends after which best and last are evaluated on unseen seeds."""
STILL_RISING = 0.8
"""No plateau while the slope since the last progress is this likely to be above 0."""
DEGRADED_SHARE = 0.5
"""A fall must last this share of the patience."""


class Progress(msgspec.Struct, frozen=True):
    """How far the run is."""

    update: int
    global_step: int
    episodes: int
    elapsed_s: float


def limit_reached(settings: TerminationSettings, at: Progress, *, wall_clock: bool) -> Reason | None:
    """The first hard limit that is reached, with its evidence."""
    hours = at.elapsed_s / 3600
    checks: tuple[tuple[ReasonName, float, float, str], ...] = (
        ("max_updates", at.update, settings.max_updates, "updates"),
        ("max_episodes", at.episodes, settings.max_episodes, "episodes"),
        ("max_steps", at.global_step, settings.max_steps, "steps"),
        ("max_hours", hours, settings.max_hours if wall_clock else 0, "hours of running"),
    )
    for name, done, limit, unit in checks:
        if 0 < limit <= done:
            return Reason(name=name, evidence=f"{done:,.6g} of {limit:,.6g} {unit}")
    return None


def target_reached(settings: TerminationSettings, metrics: Metrics) -> Reason | None:
    """The target, once its condition holds."""
    if not settings.target:
        return None
    condition = parse_condition(settings.target)
    if not condition.holds(metrics):
        return None
    return Reason(name="target", evidence=f"{condition.metric} is {metrics[condition.metric]:.4g}: {condition}")


def intelligent_end(settings: TerminationSettings, trend: Trend, update: int) -> Reason | None:
    """Plateau or degradation, once it has lasted and the minimum of updates is done."""
    if update < settings.min_updates:
        return None
    if trend.fallen >= degradation_patience(settings):
        return Reason(name="degradation", evidence=f"{trend.evidence} (patience {degradation_patience(settings)})")
    if trend.since_progress >= settings.patience and trend.fallen == 0 and trend.rising < STILL_RISING:
        text = f"no progress for {trend.since_progress} evaluations (patience {settings.patience})"
        return Reason(name="plateau", evidence=f"{text}, slope {trend.slope:+.4f} an evaluation")
    return None


def degradation_patience(settings: TerminationSettings) -> int:
    """Evaluations that a fall must last before it ends the run."""
    return max(3, round(DEGRADED_SHARE * settings.patience))


def outlook(settings: TerminationSettings, trend: Trend, update: int) -> str:
    """What intelligent termination makes of it, for the panel: `plateau 3 of 20`."""
    if trend.fallen:
        text = f"degradation {trend.fallen} of {degradation_patience(settings)}"
    else:
        text = f"plateau {trend.since_progress} of {settings.patience}"
    return text if update >= settings.min_updates else f"{text}, not before update {settings.min_updates:,}"


def signal_end(name: str, on_term: str) -> Reason:
    """Why a run ends after SIGINT (`int`) or SIGTERM, which may ask to be queued again."""
    if name == "int":
        return Reason(name="signal", evidence="SIGINT", exit_code=130)
    if on_term == "requeue":
        return Reason(name="scheduler", evidence="SIGTERM, to be queued again", exit_code=75)
    return Reason(name="signal", evidence="SIGTERM", exit_code=143)


def host_end(how: str, detail: str) -> Reason:
    """Why a guest's run ends when its script leaves the loop by itself."""
    if how == "failed":
        return Reason(name="failed", evidence=detail, exit_code=1)
    if how == "interrupted":
        return Reason(name="signal", evidence=detail or "KeyboardInterrupt in the script", exit_code=130)
    return Reason(name="finished", evidence=detail or "the script left its loop")


def fault_end(kind: str, detail: str) -> Reason:
    """Why a run ends after something broke in a phase."""
    faults: dict[str, tuple[ReasonName, int]] = {
        "nonfinite": ("diverged", 5),
        "out_of_memory": ("out_of_memory", 1),
        "storage": ("storage", 4),
    }
    name, code = faults.get(kind, ("failed", 1))
    return Reason(name=name, evidence=detail, exit_code=code)

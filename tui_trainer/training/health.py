"""Health of training: what the updates' metrics warn of. Alerts come with advice, and with hysteresis."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from tui_trainer.core.events import AlertCleared, AlertRaised, AnyEvent
from tui_trainer.core.values import Metrics

RAISE_AFTER = 5
"""Sick updates in a row that raise an alert."""
CLEAR_AFTER = 20
"""Well updates in a row that clear it."""
HIGH_KL = 0.1
LOW_ENTROPY = 0.02
"""Share of log n."""
NEGATIVE_VARIANCE = -0.5
WILD_Q = 1e4
"""No return of the tasks here comes near it; reward scales that do should be normalised."""


class Symptom(msgspec.Struct, frozen=True, array_like=True):
    """How long one thing has been amiss (or well again), and whether that was told."""

    sick: int = 0
    well: int = 0
    is_raised: bool = False


Check: TypeAlias = Callable[[Metrics, int], bool | None]
"""(metrics, number of discrete actions or 0) -> amiss; None where the metric is not told."""


def _kl(metrics: Metrics, actions: int) -> bool | None:
    return _compare(metrics, "train/approx_kl", lambda v: v > HIGH_KL)


def _entropy(metrics: Metrics, actions: int) -> bool | None:
    if actions < 2:
        return None
    return _compare(metrics, "train/entropy_loss", lambda v: -v < LOW_ENTROPY * math.log(actions))


def _explained_variance(metrics: Metrics, actions: int) -> bool | None:
    return _compare(metrics, "train/explained_variance", lambda v: v < NEGATIVE_VARIANCE)


def _q_values(metrics: Metrics, actions: int) -> bool | None:
    return _compare(metrics, "train/q_mean", lambda v: abs(v) > WILD_Q)


def _compare(metrics: Metrics, name: str, is_amiss: Callable[[float], bool]) -> bool | None:
    value = metrics.get(name)
    return None if value is None or not math.isfinite(value) else is_amiss(value)


CHECKS: Mapping[str, tuple[Check, str]] = {
    "kl_high": (_kl, f"updates move the policy far: approx_kl above {HIGH_KL:g}; a smaller learning rate helps"),
    "entropy_low": (_entropy, "the policy has become nearly deterministic; a larger ent_coef keeps it exploring"),
    "explained_variance_low": (
        _explained_variance,
        f"the value function predicts worse than a constant: explained_variance below {NEGATIVE_VARIANCE:g}; "
        "more epochs, a larger vf_coef or normalised rewards help",
    ),
    "q_diverging": (_q_values, f"Q values beyond ±{WILD_Q:g}; a smaller learning rate or reward scale helps"),
}


def examine(
    before: Mapping[str, Symptom], metrics: Metrics, *, actions: int
) -> tuple[dict[str, Symptom], list[AnyEvent]]:
    """One update's metrics: the symptoms after it, and the alerts raised or cleared by it."""
    after, events = dict(before), []
    for key, (check, advice) in CHECKS.items():
        amiss = check(metrics, actions)
        if amiss is None:
            continue
        symptom, event = _followed(before.get(key, Symptom()), amiss, key, advice)
        after[key] = symptom
        events += [event] if event else []
    return after, events


def standing(symptoms: Mapping[str, Symptom]) -> list[AnyEvent]:
    """The alerts that are up, to be told again after a resume."""
    raised = (key for key, symptom in symptoms.items() if symptom.is_raised and key in CHECKS)
    return [AlertRaised(key=key, severity="warning", text=CHECKS[key][1]) for key in raised]


def changed_standing(before: set[str], symptoms: Mapping[str, Symptom]) -> list[AnyEvent]:
    """Alerts to clear and to raise where another state is taken up: `before` were up until now."""
    now = [event for event in standing(symptoms) if isinstance(event, AlertRaised)]
    gone = sorted(before - {event.key for event in now})
    return [*(AlertCleared(key=key) for key in gone), *(event for event in now if event.key not in before)]


def _followed(s: Symptom, amiss: bool, key: str, advice: str) -> tuple[Symptom, AnyEvent | None]:
    now = Symptom(s.sick + 1, 0, s.is_raised) if amiss else Symptom(0, s.well + 1, s.is_raised)
    now = Symptom(min(now.sick, RAISE_AFTER), min(now.well, CLEAR_AFTER), now.is_raised)
    if not s.is_raised and now.sick >= RAISE_AFTER:
        return Symptom(now.sick, 0, True), AlertRaised(key=key, severity="warning", text=advice)
    if s.is_raised and now.well >= CLEAR_AFTER:
        return Symptom(0, now.well, False), AlertCleared(key=key)
    return now, None

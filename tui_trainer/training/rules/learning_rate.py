"""Halve the learning rate when updates overshoot, or when the score stands still or falls."""

from __future__ import annotations

from tui_trainer.core.values import Change
from tui_trainer.training.history import History, Proposal, recent_metric

TOO_FAR = 0.03
"""Mean approx_kl of an update; PPO's clip range of 0.2 is meant for about 0.01 to 0.02."""
EVALUATIONS = 3
LOWEST = 1e-6
SETTLED = 10
"""Evaluations since the last change before a plateau or a fall is laid to the learning rate."""
SURE = 0.7
"""Confidence of the trend from which a plateau or a fall counts."""


def learning_rate(history: History) -> Proposal | None:
    """Fires on a high KL three evaluations in a row, or on a sure plateau or fall since the last change."""
    key = "learning_rate" if history.spec.hosted else f"{history.algorithm}.learning_rate"
    now = history.settings.get(key)
    if now is None or now / 2 < LOWEST:
        return None
    found = _overshoot(history) or _stuck(history)
    if found is None:
        return None
    evidence, confidence = found
    return Proposal(
        subject="learning_rate",
        title=f"halve the learning rate: {now:.3g} → {now / 2:.3g}",
        change=Change(key=key, old=now, new=now / 2, label=f"{now:.3g} → {now / 2:.3g}"),
        evidence=(evidence,),
        expected="steadier evaluations, the score does not fall",
        confidence=confidence,
    )


def _overshoot(history: History) -> tuple[str, float] | None:
    values = recent_metric(history.since_change, "train/approx_kl", EVALUATIONS)
    if len(values) < EVALUATIONS or min(values) < TOO_FAR:
        return None
    return f"approx_kl {min(values):.3f} or more for {EVALUATIONS} evaluations (usual: below 0.02)", 0.8


def _stuck(history: History) -> tuple[str, float] | None:
    trend = history.trend
    if len(history.since_change) < SETTLED:
        return None
    if trend.name not in ("plateau", "degrading") or trend.confidence < SURE:
        return None
    return f"{trend.name}: {trend.evidence}", 0.85 * trend.confidence

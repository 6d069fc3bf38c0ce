"""Go back to the best checkpoint when the score has fallen for good."""

from __future__ import annotations

from tui_trainer.core.format import count
from tui_trainer.core.values import Change
from tui_trainer.training.history import History, Proposal

SURE = 0.9
"""Confidence of the trend from which a fall counts."""
LASTING = 6
"""Evaluations that the fall must last."""


def rollback(history: History) -> Proposal | None:
    """Fires on a sure fall that has lasted six evaluations, where a best checkpoint from before it exists."""
    trend = history.trend
    if history.spec.hosted:
        return None  # its script alone can load what it saved
    if trend.name != "degrading" or trend.confidence < SURE or trend.fallen < LASTING or not history.best_update:
        return None
    here, there = history.points[-1].update, history.best_update
    return Proposal(
        subject="rollback",
        title=f"go back to the best checkpoint, of update {count(there)}",
        change=Change(key="rollback", old=float(here), new=float(there), label=f"learner of update {count(there)}"),
        evidence=(f"{trend.evidence}: the fall has lasted {trend.fallen} evaluations",),
        expected=f"the score of update {count(there)} at once",
        confidence=0.9 * trend.confidence,
        aim="rise",
    )

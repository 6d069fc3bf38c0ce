"""Advise to stop when the reference evaluation has stood still for long."""

from __future__ import annotations

from tui_trainer.core.values import Change
from tui_trainer.training.history import History, Proposal

SURE = 0.9


def stop(history: History) -> Proposal | None:
    """Fires on a plateau that is 90 % sure."""
    trend = history.trend
    if trend.name != "plateau" or trend.confidence < SURE:
        return None
    return Proposal(
        subject="stop",
        title="stop: the reference evaluation stands still",
        change=Change(key="stop", old=0.0, new=1.0, label="end the run"),
        evidence=(trend.evidence,),
        expected="nothing is lost: the best checkpoint stays the best",
        confidence=trend.confidence,
        aim=None,
    )

"""Play more games against the past when self-play forgets what it could."""

from __future__ import annotations

from tui_trainer.core.values import Change
from tui_trainer.training.history import History, Proposal

KEY = "ppo.pool_share"
LARGEST = 0.6
SURE = 0.7
"""Confidence of the trend from which a fall counts."""
SETTLED = 4
"""Evaluations since the last change before a fall is laid to self-play."""


def opponent_pool(history: History) -> Proposal | None:
    """Fires in self-play on a sure fall of the reference score: playing only its present self, a policy forgets."""
    now = history.settings.get(KEY)
    if now is None or not 0 < now < LARGEST or history.spec.players != 2:
        return None
    trend = history.trend
    if trend.name != "degrading" or trend.confidence < SURE or len(history.since_change) < SETTLED:
        return None
    new = min(LARGEST, round(2 * now, 3))
    return Proposal(
        subject="opponent_pool",
        title=f"play the pool of earlier selves more often: {100 * now:.0f} % → {100 * new:.0f} % of environments",
        change=Change(key=KEY, old=now, new=new, label=f"pool_share {now:g} → {new:g}"),
        evidence=(f"degrading: {trend.evidence}", f"{100 * now:.0f} % of the environments play earlier selves"),
        expected="what was forgotten is learned again: the reference score rises",
        confidence=0.7 * trend.confidence,
        aim="rise",
    )

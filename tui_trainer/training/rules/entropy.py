"""Raise the entropy bonus when the policy has become almost deterministic while the score does not rise."""

from __future__ import annotations

import math

from tui_trainer.core.values import Change
from tui_trainer.training.history import History, Proposal, recent_metric

KEY = "ppo.ent_coef"
COLLAPSED = 0.05
"""Entropy as a share of its greatest value, log n."""
EVALUATIONS = 3
SMALLEST, LARGEST = 1e-3, 0.05


def entropy(history: History) -> Proposal | None:
    """Fires when entropy lay below 5 % of log n three evaluations in a row and the trend is no rise."""
    key = "ent_coef" if history.spec.hosted else KEY
    now = history.settings.get(key)
    if now is None or history.spec.action != "discrete" or history.spec.n < 2:
        return None
    shares = [
        -value / math.log(history.spec.n)
        for value in recent_metric(history.since_change, "train/entropy_loss", EVALUATIONS)
    ]
    new = min(LARGEST, max(SMALLEST, 2 * now))
    if len(shares) < EVALUATIONS or max(shares) >= COLLAPSED or new <= now:
        return None
    if history.trend.name in ("unknown", "improving", "excelling"):
        return None
    return Proposal(
        subject="entropy",
        title=f"raise the entropy bonus: {now:.3g} → {new:.3g}",
        change=Change(key=key, old=now, new=new, label=f"{now:.3g} → {new:.3g}"),
        evidence=(
            f"entropy {100 * max(shares):.1f} % of its greatest value for {EVALUATIONS} evaluations",
            f"{history.trend.name}: {history.trend.evidence}",
        ),
        expected="entropy rises within some updates, the score does not fall",
        confidence=0.7,
    )

"""Longer rollouts when the policy jumps from evaluation to evaluation without getting anywhere."""

from __future__ import annotations

from tui_trainer.core.values import Change
from tui_trainer.training.history import History, Proposal
from tui_trainer.training.trends import sampling_error

KEY = "ppo.n_steps"
SURE = 0.7
JUMPS = 3.0
"""Noise between neighbours by the sampling error, from which it is the policy that jumps."""
SETTLED = 12
LONGEST = 2048


def rollout(history: History) -> Proposal | None:
    """Fires on a sure plateau whose evaluations differ far more than their games explain."""
    now = history.fixed.get(KEY)
    trend, error = history.trend, sampling_error(history.points) if history.points else 0.0
    if now is None or 2 * now > LONGEST or len(history.since_change) < SETTLED:
        return None
    if trend.name != "plateau" or trend.confidence < SURE or error <= 0 or trend.noise < JUMPS * error:
        return None
    return Proposal(
        subject="rollout",
        title=f"longer rollouts: n_steps {now:g} → {2 * now:g}, in a fork",
        change=Change(key=f"fork.{KEY}", old=now, new=2 * now, label=f"n_steps {now:g} → {2 * now:g}"),
        evidence=(
            f"evaluations differ by {trend.noise:.3f} from one to the next, their games explain {error:.3f}",
            f"plateau: {trend.evidence}",
        ),
        expected="steadier steps from more experience each; needs a new run: fork",
        confidence=0.7 * trend.confidence,
        aim=None,
    )

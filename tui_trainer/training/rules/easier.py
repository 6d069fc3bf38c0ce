"""Lower the difficulty when the present one is lost nearly always and nothing improves."""

from __future__ import annotations

from tui_trainer.core.values import Change, DifficultySpace
from tui_trainer.training.difficulty import easier as one_step_easier
from tui_trainer.training.difficulty import label
from tui_trainer.training.history import History, Proposal, Share
from tui_trainer.training.statistics import mean, theil_sen
from tui_trainer.training.trends import STRUGGLING, chance_above, present_shares

SURE = 0.7
"""Confidence of the trend from which a fall counts."""
PATIENCE = 5
"""Evaluations at the present difficulty before it is called too hard."""


def easier(history: History) -> Proposal | None:
    """Fires when the last evaluations at this difficulty all lie below 20 % won and the score does not rise.

    Where nothing is won or lost: when the score falls surely at a difficulty above the one at the start.
    """
    space = history.space
    if space is None:
        return None
    if history.spec.metric != "win_rate":
        return _overtaxed(history, space)
    step = one_step_easier(history.difficulty, space, history.start.low, history.step)
    shares = _recent(history)
    if step is None or len(shares) < PATIENCE or max(s.value for s in shares) > STRUGGLING:
        return None
    slope = theil_sen([p.value for p in history.since_change[-2 * PATIENCE :]])
    if slope.rising >= 0.9:
        return None
    key, target = step
    now, then = label(history.difficulty, space), label(target, space)
    old, new = (
        (history.difficulty.level, target.level) if key == "difficulty.level" else (history.difficulty.low, target.low)
    )
    return Proposal(
        subject="difficulty",
        title=f"lower the difficulty: {now} → {then}",
        change=Change(key=key, old=float(old), new=float(new), label=f"{now} → {then}"),
        evidence=(
            f"{100 * mean([s.value for s in shares]):.0f} % won against {now} over the last {PATIENCE} evaluations",
            f"score {slope.value:+.4f} an evaluation [{slope.low:+.4f}, {slope.high:+.4f}]",
        ),
        expected="games that can be won teach again: the reference score rises",
        aim="rise",
        confidence=(1 - chance_above(shares, STRUGGLING)) * (1 - slope.rising / 2),
    )


def _overtaxed(history: History, space: DifficultySpace) -> Proposal | None:
    step = one_step_easier(history.difficulty, space, history.start.low, history.step)
    trend = history.trend
    if step is None or len(history.since_change) < PATIENCE or trend.name != "degrading" or trend.confidence < SURE:
        return None
    key, target = step
    now, then = label(history.difficulty, space), label(target, space)
    level, low = (history.difficulty.level, target.level), (history.difficulty.low, target.low)
    old, new = level if key == "difficulty.level" else low
    return Proposal(
        subject="difficulty",
        title=f"lower the difficulty: {now} → {then}",
        change=Change(key=key, old=float(old), new=float(new), label=f"{now} → {then}"),
        evidence=(f"the score falls at {now}: {trend.evidence}",),
        expected="easier episodes stop the fall: the reference score rises",
        aim="rise",
        confidence=0.85 * trend.confidence,
    )


def _recent(history: History) -> list[Share]:
    """Shares at the present level, or of the whole evaluation where levels are no parts, since the last change."""
    points = history.since_change
    if history.space is not None and history.space.levels and set(history.space.levels) <= set(history.spec.parts):
        return present_shares(points, history.space)[-PATIENCE:]
    return [Share(p.value, p.low, p.high) for p in points][-PATIENCE:]

"""Raise the difficulty when the present one is beaten clearly, several evaluations in a row."""

from __future__ import annotations

from tui_trainer.core.values import Change, DifficultySpace
from tui_trainer.training.difficulty import harder as one_step_harder
from tui_trainer.training.difficulty import label
from tui_trainer.training.history import History, Proposal, Share
from tui_trainer.training.statistics import mean
from tui_trainer.training.trends import EXCELLING, RECENT, chance_above, present_shares

SETTLED = 10
"""Evaluations at a difficulty before a plateau is laid to it."""
SURE = 0.7
"""Confidence of the trend from which a plateau counts."""


def harder(history: History) -> Proposal | None:
    """Fires when the last evaluations at this difficulty all lie above 80 % won, probably in truth as well.

    Where nothing is won or lost: when the score has stood still at this difficulty for long, without a fall.
    """
    space = history.space
    if space is None:
        return None
    if history.spec.metric != "win_rate":
        return _exhausted(history, space)
    step = one_step_harder(history.difficulty, space, history.floor, history.step)
    shares = _recent(history)
    if step is None or len(shares) < RECENT or min(s.value for s in shares) < EXCELLING:
        return None
    key, target = step
    now, then = label(history.difficulty, space), label(target, space)
    won = mean([s.value for s in shares])
    return Proposal(
        subject="difficulty",
        title=f"raise the difficulty: {now} → {then}",
        change=_change(key, history, target.level, target.low, f"{now} → {then}"),
        evidence=(f"{100 * won:.0f} % won against {now} over the last {RECENT} evaluations (clear from 80 %)",),
        expected="harder games teach more: the reference score does not fall",
        confidence=chance_above(shares, EXCELLING),
    )


def _exhausted(history: History, space: DifficultySpace) -> Proposal | None:
    step = one_step_harder(history.difficulty, space, history.floor, history.step)
    trend = history.trend
    if step is None or len(history.since_change) < SETTLED or trend.name != "plateau" or trend.confidence < SURE:
        return None
    key, target = step
    now, then = label(history.difficulty, space), label(target, space)
    return Proposal(
        subject="difficulty",
        title=f"raise the difficulty: {now} → {then}",
        change=_change(key, history, target.level, target.low, f"{now} → {then}"),
        evidence=(f"nothing more is learned at {now}: {trend.evidence}",),
        expected="harder episodes teach more: the reference score does not fall",
        confidence=0.85 * trend.confidence,
    )


def _recent(history: History) -> list[Share]:
    """Shares at the present level, or of the whole evaluation, since the last change."""
    points = history.since_change
    shares = present_shares(points, history.space)
    if history.space is not None and history.space.levels:
        return shares[-RECENT:]
    return [Share(p.value, p.low, p.high) for p in points][-RECENT:]


def _change(key: str, history: History, level: int, low: float, words: str) -> Change:
    if key == "difficulty.level":
        return Change(key=key, old=float(history.difficulty.level), new=float(level), label=words)
    return Change(key=key, old=history.difficulty.low, new=low, label=words)

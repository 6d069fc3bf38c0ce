"""Difficulty as arithmetic: what a task can vary, one step up, one step down, and why a wish is impossible."""

from __future__ import annotations

import msgspec

from tui_trainer.core.config import ContinuousSettings
from tui_trainer.core.values import Difficulty, DifficultySpace

_DIGITS = 6


def initial(settings: ContinuousSettings, space: DifficultySpace | None) -> Difficulty:
    """Where training starts: the configured level and range, cut to what the task has."""
    low, high = settings.initial_quality_range
    if space is None:
        return Difficulty(level=0, low=low, high=high)
    top = max(0, len(space.levels) - 1)
    return Difficulty(level=min(settings.level, top), low=max(low, space.floor) if space.ranged else low, high=high)


def fitted(wish: Difficulty, present: Difficulty, space: DifficultySpace) -> Difficulty:
    """`wish` with the parts that this task does not have left as they are."""
    return Difficulty(
        level=wish.level if space.levels else present.level,
        low=wish.low if space.ranged else present.low,
        high=wish.high if space.ranged else present.high,
    )


def objection(wish: Difficulty, space: DifficultySpace) -> str:
    """Why `wish` cannot be, in one sentence; empty when it can."""
    if space.levels and not 0 <= wish.level < len(space.levels):
        return f"level {wish.level} does not exist: this task has 0 ({space.levels[0]}) to {len(space.levels) - 1}"
    if space.ranged and not space.floor - 1e-9 <= wish.low < wish.high <= 1:
        return f"the range {wish.low:g}-{wish.high:g} is impossible: {space.floor:g} <= low < high <= 1"
    return ""


def label(d: Difficulty, space: DifficultySpace | None) -> str:
    """The difficulty in the task's words, such as `minimax-2` or `0.55-1.00`."""
    if space is None:
        return "fixed"
    level = space.levels[d.level] if d.level < len(space.levels) else ""
    span = f"{d.low:.2f}-{d.high:.2f}" if space.ranged else ""
    return " ".join(part for part in (level, span) if part)


def harder(d: Difficulty, space: DifficultySpace, floor: float, step: float) -> tuple[str, Difficulty] | None:
    """One step up and the key that moves (`difficulty.level` or `difficulty.low`); None at the top.

    The range widens before the level rises, and narrows last on the way down: the range is the finer step.
    """
    bottom = max(floor, space.floor)
    if space.ranged and d.low > bottom + 1e-9:
        return "difficulty.low", msgspec.structs.replace(d, low=round(max(bottom, d.low - step), _DIGITS))
    if d.level + 1 < len(space.levels):
        return "difficulty.level", msgspec.structs.replace(d, level=d.level + 1)
    return None


def easier(d: Difficulty, space: DifficultySpace, ceiling: float, step: float) -> tuple[str, Difficulty] | None:
    """One step down and the key that moves; None at the bottom. `ceiling` is the initial lower bound."""
    if d.level > 0 and space.levels:
        return "difficulty.level", msgspec.structs.replace(d, level=d.level - 1)
    top = min(max(ceiling, d.low), d.high - step)
    if space.ranged and d.low < top - 1e-9:
        return "difficulty.low", msgspec.structs.replace(d, low=round(min(top, d.low + step), _DIGITS))
    return None

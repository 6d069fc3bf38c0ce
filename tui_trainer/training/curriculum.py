"""A scheduled difficulty: stages in order, each with a condition.

Order of precedence: a person's order, then the curriculum, then the adviser. While stages are left the adviser says
nothing about difficulty; the first order of a person about it ends the curriculum for the rest of the run.
"""

from __future__ import annotations

import msgspec

from tui_trainer.core.config import CurriculumSettings, StageSettings
from tui_trainer.core.values import Difficulty, DifficultySpace
from tui_trainer.errors import ConfigError
from tui_trainer.training import difficulty as ladder


class CurriculumState(msgspec.Struct, frozen=True):
    """How far the schedule is: the next stage, whether its condition held, whether a person took over."""

    stage: int = 0
    is_due: bool = False
    is_overridden: bool = False


def check(settings: CurriculumSettings, start: Difficulty, space: DifficultySpace | None, task: str) -> None:
    """Raises ConfigError naming the first stage that this task cannot have."""
    present = start
    for number, stage in enumerate(settings.schedule, start=1):
        if space is None:
            raise ConfigError(f"curriculum.schedule: {task} has no difficulty", "leave the curriculum out")
        present = target(stage, present, space)
        problem = ladder.objection(present, space)
        if problem:
            raise ConfigError(f"curriculum.schedule: stage {number}: {problem}")


def next_stage(settings: CurriculumSettings, state: CurriculumState) -> StageSettings | None:
    """The stage that is waited for; None when all are done or a person took over."""
    if state.is_overridden or state.stage >= len(settings.schedule):
        return None
    return settings.schedule[state.stage]


def target(stage: StageSettings, present: Difficulty, space: DifficultySpace) -> Difficulty:
    """The difficulty that a stage asks for."""
    wish = Difficulty(
        level=present.level if stage.level is None else stage.level,
        low=present.low if stage.low is None else stage.low,
        high=present.high if stage.high is None else stage.high,
    )
    return ladder.fitted(wish, present, space)

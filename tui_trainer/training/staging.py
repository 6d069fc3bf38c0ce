"""The curriculum, followed: a change of stage first evaluates, then saves a `stage` checkpoint, then moves."""

from __future__ import annotations

import msgspec

from tui_trainer.core.config import StageSettings
from tui_trainer.training import curriculum, wishes
from tui_trainer.training.desk import Desk, condition
from tui_trainer.training.state import Evaluating, Move


def is_scheduled(desk: Desk) -> bool:
    """Whether the curriculum still decides the difficulty."""
    return _next_stage(desk) is not None


def follow(desk: Desk) -> None:
    """One step towards the next stage, where its condition holds and nothing else is under way."""
    s, stage = desk.state, _next_stage(desk)
    is_busy = s.trying is not None or s.phase != "boundary" or s.evaluating is not None or s.move is not None
    if stage is None or is_busy:
        return
    if not s.curriculum.is_due and not condition(stage.when).holds(desk.facts):
        return
    if s.evaluated_at != s.update:
        s.curriculum = msgspec.structs.replace(s.curriculum, is_due=True)
        s.evaluating = Evaluating("reference")
        return
    _enter(desk, stage)


def leave(desk: Desk) -> str:
    """A person's order about difficulty ends the curriculum; says so."""
    if not is_scheduled(desk):
        return ""
    desk.state.curriculum = msgspec.structs.replace(desk.state.curriculum, is_overridden=True, is_due=False)
    return "; the curriculum is left"


def _next_stage(desk: Desk) -> StageSettings | None:
    return curriculum.next_stage(desk.config.curriculum, desk.state.curriculum)


def _enter(desk: Desk, stage: StageSettings) -> None:
    s = desk.state
    s.curriculum = curriculum.CurriculumState(stage=s.curriculum.stage + 1)
    if desk.space is None:
        return
    wish = curriculum.target(stage, s.difficulty, desk.space)
    if wish != s.difficulty:
        s.move = Move(wish, "curriculum", f"stage {s.curriculum.stage}: {stage.when}")
        wishes.queue_save(desk.wall, "stage")

"""What was decided and is not yet done: changes, evaluations, saves, causes of a pause. They wait in the state.

The TrainingManager alone decides what goes in and when it is served; here is only how each queue is kept.
"""

from __future__ import annotations

import msgspec

from tui_trainer.core.actions import AnyAction, ApplyDifficulty, ApplySetting, Restore
from tui_trainer.core.events import AnyEvent, EvaluationStopped, RunContinued, RunPaused
from tui_trainer.core.values import Author, Change, CheckpointKind, Difficulty
from tui_trainer.training.state import Cause, Evaluating, Hold, ManagerState, Move, Tuning, WallState

SAVE_ORDER: tuple[CheckpointKind, ...] = ("stage", "manual", "best", "regular")


# --- changes ---------------------------------------------------------------------------------------------------------


def plan(state: ManagerState, change: Change, by: Author, why: str, recommendation: int | None) -> None:
    """Note a decided change; the loop applies it at the next boundary after learn."""
    present = planned_difficulty(state)
    match change.key:
        case "difficulty.level":
            wish = msgspec.structs.replace(present, level=int(change.new))
            state.move = Move(wish, by, why, recommendation)
        case "difficulty.low":
            wish = msgspec.structs.replace(present, low=change.new)
            state.move = Move(wish, by, why, recommendation)
        case "rollback":
            state.rollback = True
        case key:
            tune(state, key, change.new, by, why)


def tune(state: ManagerState, key: str, value: float, by: Author, why: str) -> None:
    """Note a setting of the learner; a later wish for the same setting takes its place."""
    others = tuple(t for t in state.tunings if t.key != key)
    state.tunings = (*others, Tuning(key, value, by, why))


def planned_difficulty(state: ManagerState) -> Difficulty:
    """The difficulty once everything is applied."""
    return state.move.difficulty if state.move else state.difficulty


def planned_settings(state: ManagerState) -> dict[str, float]:
    """The learner's settings once everything is applied."""
    return {**state.live, **{t.key: t.value for t in state.tunings}}


def stands_at(state: ManagerState, change: Change) -> bool:
    """Whether what a change set still is, or is planned to be, so."""
    planned = planned_difficulty(state)
    match change.key:
        case "difficulty.level":
            return planned.level == int(change.new)
        case "difficulty.low":
            return abs(planned.low - change.new) < 1e-9
        case key:
            return planned_settings(state).get(key) == change.new


def next_change(state: ManagerState) -> AnyAction | None:
    """The action that applies the next one; None when nothing waits."""
    if state.move is not None:
        return ApplyDifficulty(state.move.difficulty)
    if state.rollback:
        return Restore("best")
    if state.tunings:
        return ApplySetting(state.tunings[0].key, state.tunings[0].value)
    return None


def stop_evaluating(state: ManagerState, wall: WallState, why: str) -> list[AnyEvent]:
    """An evaluation under way begins anew when it is taken up again."""
    running = state.evaluating
    if running is None or not running.done:
        return []
    state.evaluating = Evaluating(running.suite)
    wall.evaluation_s = 0.0
    return [EvaluationStopped(suite=running.suite, why=why, parts=len(running.done))]


# --- saves -----------------------------------------------------------------------------------------------------------


def queue_save(wall: WallState, kind: CheckpointKind) -> None:
    """The regular one comes last: any other save of the same moment makes it needless."""
    wall.saves = tuple(k for k in SAVE_ORDER if k == kind or k in wall.saves)


# --- pauses ----------------------------------------------------------------------------------------------------------


def hold(wall: WallState, cause: Cause, by: Author, why: str) -> list[AnyEvent]:
    """One more cause of a pause, or a newer reason for it."""
    wall.holds = (*(h for h in wall.holds if h.cause != cause), Hold(cause, by, why))
    return [RunPaused(by=by, why=why)]


def release(wall: WallState, causes: tuple[Cause, ...], by: Author) -> list[AnyEvent]:
    """Without these causes: the run goes on once none is left."""
    before = wall.holds
    wall.holds = tuple(hold for hold in before if hold.cause not in causes)
    if not before:
        return []
    if wall.holds:
        left = wall.holds[-1]
        return [RunPaused(by=left.by, why=left.why)] if wall.holds != before else []
    return [RunContinued(by=by)]


def held_by(wall: WallState, cause: Cause) -> str:
    """Why this cause holds the run; empty when it does not."""
    return next((hold.why for hold in wall.holds if hold.cause == cause), "")

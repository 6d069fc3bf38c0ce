"""Trying a change: the same updates once as it is and once with the change, from the same state; the better one stays.

Pure pieces for the TrainingManager, which decides when they happen:

    start ─Keep─▶ without ─N updates, evaluation, Keep─▶ return ─Restore─▶ with ─N updates, evaluation─▶
        the change won:  adopt ─save the other─▶ over
        it did not:      give_up ─save the other─▶ leave ─Restore─▶ over
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from tui_trainer.core import commands as orders
from tui_trainer.core.actions import AnyAction, Keep, Restore, SaveCheckpoint
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.config import TerminationSettings
from tui_trainer.core.values import Author, Change, Difficulty, Metrics
from tui_trainer.training.forecast import limit_update
from tui_trainer.training.health import Symptom
from tui_trainer.training.history import Point
from tui_trainer.training.models import Best
from tui_trainer.training.orders import LEARNER_KEYS
from tui_trainer.training.statistics import mean
from tui_trainer.training.termination import Progress

if TYPE_CHECKING:
    from tui_trainer.training.continuous import AdviserState
    from tui_trainer.training.state import ManagerState

Stage: TypeAlias = Literal["start", "without", "keep", "return", "with", "adopt", "give_up", "leave"]


class Average(msgspec.Struct, frozen=True, array_like=True):
    """A running mean."""

    total: float
    count: int


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What the manager remembers of one line of training, to be put back where that line is taken up again."""

    update: int
    global_step: int
    episodes: int
    failed_episodes: int
    difficulty: Difficulty
    live: dict[str, float]
    metrics: Metrics
    averages: dict[str, Average]
    best: Best | None
    score: float | None
    evaluated_at: int
    health: dict[str, Symptom]
    points: tuple[Point, ...]
    evaluations: int
    changed_at: int
    moved_at: int


class Trying(msgspec.Struct, frozen=True, kw_only=True):
    """A recommendation being tried, and how far."""

    recommendation: int
    title: str
    change: Change
    by: Author
    updates: int
    """Of each branch."""
    stage: Stage = "start"
    base: Line | None = None
    without: Line | None = None
    why: str = ""
    """How it was decided, once it is."""
    with_change: float | None = None
    without_change: float | None = None

    @property
    def is_probing(self) -> bool:
        """True while the state at hand is the one with the change, undecided: nothing of it may be saved as ours."""
        return self.stage in ("with", "adopt", "give_up", "leave")

    @property
    def end(self) -> int:
        """The update at which a branch ends."""
        return (self.base.update if self.base else 0) + self.updates

    def action(self) -> AnyAction | None:
        """What this stage waits for; None while it trains."""
        match self.stage:
            case "start":
                return Keep("start")
            case "keep":
                return Keep("without")
            case "return":
                return Restore("start")
            case "adopt":
                return SaveCheckpoint("try", "without")
            case "give_up":
                return SaveCheckpoint("try")
            case "leave":
                return Restore("without")
            case _:
                return None

    def at(self, stage: Stage, **more: object) -> Trying:
        """The same at another stage."""
        return msgspec.structs.replace(self, stage=stage, **more)


OF_THE_MANAGER = (
    "update", "global_step", "episodes", "failed_episodes", "difficulty", "live", "metrics", "averages", "best",
    "score", "evaluated_at", "health",
)  # fmt: skip
OF_THE_ADVISER = ("points", "evaluations", "changed_at", "moved_at")


def line_of(state: ManagerState, adviser: AdviserState) -> Line:
    """The present line of training."""
    own = {name: getattr(state, name) for name in OF_THE_MANAGER}
    own |= {name: dict(own[name]) for name in ("live", "metrics", "averages", "health")}
    return Line(**own, **{name: getattr(adviser, name) for name in OF_THE_ADVISER})


def put_back(line: Line, state: ManagerState, adviser: AdviserState) -> None:
    """Go on from `line`, at the boundary where it was left; what was planned for another line is dropped."""
    for name in OF_THE_MANAGER:
        value = getattr(line, name)
        setattr(state, name, dict(value) if isinstance(value, dict) else value)
    for name in OF_THE_ADVISER:
        setattr(adviser, name, getattr(line, name))
    state.phase, state.evaluating, state.move, state.tunings = "boundary", None, None, ()
    state.rollback = False


def objection(change: Change, updates: int, settings: TerminationSettings, done: Progress) -> str:
    """Why a change cannot be tried, in one sentence; empty when it can. The limits have to leave room for a branch."""
    if change.key in ("stop", "rollback"):
        return "there is nothing to try in it: accept or reject it"
    limit = limit_update(settings, done, wall_clock=False)
    if limit is not None and limit[1] <= done.update + updates + 1:
        return f"the run ends by {limit[0]} before a branch of {updates} updates is through"
    return ""


def meanwhile(trying: Trying, command: AnyCommand) -> str:
    """Why an order has to wait for the end of the try; empty for those that are met meanwhile."""
    match command:
        case orders.Answer(verdict="reject"):
            return ""
        case orders.Answer() | orders.SetDifficulty():
            pass
        case orders.SetSetting(key=key) if key in LEARNER_KEYS:
            pass
        case _:
            return ""
    number = trying.recommendation
    return f"recommendation {number} is being tried and nothing else may change; rejecting {number} calls the try off"


def reached(line: Line, since: Line) -> float:
    """A branch's score: the mean of the reference evaluations made in it."""
    return mean([p.value for p in line.points if p.update > since.update])


def verdict(trying: Trying, now: Line, *, higher_is_better: bool) -> tuple[bool, float, float]:
    """Whether the change won, and the scores with it and without it. A tie leaves everything as it is."""
    assert trying.base is not None
    assert trying.without is not None
    with_change, without = reached(now, trying.base), reached(trying.without, trying.base)
    won = with_change > without if higher_is_better else with_change < without
    return won, with_change, without

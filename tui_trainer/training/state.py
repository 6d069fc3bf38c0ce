"""What the TrainingManager remembers: plain values, in two parts, so that resume and rerun can be compared."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tui_trainer.core.values import (
    Author,
    CheckpointKind,
    Difficulty,
    Metrics,
    PartResult,
    ReasonName,
    Suite,
)
from tui_trainer.training.balance import Played
from tui_trainer.training.continuous import AdviserState
from tui_trainer.training.curriculum import CurriculumState
from tui_trainer.training.health import Symptom
from tui_trainer.training.models import Best
from tui_trainer.training.pace import Pace
from tui_trainer.training.trial import Average, Trying

FORMAT = 1

Phase: TypeAlias = Literal["boundary", "collect", "learn"]
Cause: TypeAlias = Literal["order", "storage", "memory"]


class Evaluating(msgspec.Struct, frozen=True):
    """An evaluation under way: the parts that are played already."""

    suite: Suite
    done: dict[str, PartResult] = {}


class Hold(msgspec.Struct, frozen=True):
    """One cause of a pause."""

    cause: Cause
    by: Author
    why: str


class Move(msgspec.Struct, frozen=True):
    """A difficulty that was decided and not yet applied."""

    difficulty: Difficulty
    by: Author
    why: str
    recommendation: int | None = None


class Tuning(msgspec.Struct, frozen=True):
    """A setting of the learner that was decided and not yet applied."""

    key: str
    value: float
    by: Author
    why: str


class Override(msgspec.Struct, frozen=True):
    """A setting changed during the run, with what the configuration said then."""

    base: float
    value: float


class ManagerState(msgspec.Struct, kw_only=True):
    """Everything that decides later actions and does not depend on wall time."""

    difficulty: Difficulty
    update: int = 0
    global_step: int = 0
    episodes: int = 0
    failed_episodes: int = 0
    phase: Phase = "boundary"
    metrics: Metrics = {}
    averages: dict[str, Average] = {}
    move: Move | None = None
    tunings: tuple[Tuning, ...] = ()
    rollback: bool = False
    """To the best checkpoint, decided and not yet done."""
    evaluating: Evaluating | None = None
    overrides: dict[str, Override] = {}
    live: dict[str, float] = {}
    """Settings of the learner as it last reported them."""
    pause_when: str = ""
    pause_at: int = 0
    """Update before which the run pauses by order; 0 = none."""
    best: Best | None = None
    score: float | None = None
    touched: bool = False
    ended: ReasonName | None = None
    curriculum: CurriculumState = CurriculumState()
    trying: Trying | None = None
    evaluated_at: int = -1
    """Update of the last reference evaluation."""
    health: dict[str, Symptom] = {}
    played: Played | None = None
    """By part, where evaluations are bounded; None also before the first, and where all parts are to be played anew."""
    adviser: AdviserState = msgspec.field(default_factory=AdviserState)


class WallState(msgspec.Struct, kw_only=True):
    """What depends on when things happened: clock, pauses, pending saves."""

    elapsed_s: float = 0.0
    saved_at_s: float = 0.0
    evaluation_s: float = 0.0
    saves: tuple[CheckpointKind, ...] = ()
    holds: tuple[Hold, ...] = ()
    failures_told: int = 0
    """Broken episodes when they were last told of."""
    told: Metrics = {}
    """Latest numbers from callbacks: nobody can compute them again, so that they stand beside what decides bits."""
    pace: Pace = msgspec.field(default_factory=Pace)
    """Timings, and the advice that rests on them."""
    introduce: bool = False
    """The task has yet to be told the difficulty, at the start of a process."""

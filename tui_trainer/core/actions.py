"""What the TrainingManager tells the loop to do next. One action is at most about a second of work."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from tui_trainer.core.values import BranchName, CheckpointKind, Difficulty, Reason, Suite


class Action(msgspec.Struct, frozen=True, tag_field="type", tag=True):
    """Base of the actions."""


class Collect(Action, frozen=True):
    """Step the environments, one slice of a rollout."""


class Learn(Action, frozen=True):
    """Update the parameters from the finished rollout."""


class Evaluate(Action, frozen=True):
    """Play `episodes` greedy episodes of one part (opponent or category) of a suite."""

    suite: Suite
    part: str
    episodes: int
    seed: int


class SaveCheckpoint(Action, frozen=True):
    """Save everything that decides the next bit: the present state, or one that `Keep` has kept."""

    kind: CheckpointKind
    branch: BranchName | None = None


class Keep(Action, frozen=True):
    """Copy everything that decides the next bit in memory, under a name."""

    branch: BranchName


class Restore(Action, frozen=True):
    """Go back to what was kept under this name, which is forgotten.

    `best` is the newest best checkpoint on the disk: learner and task go back to it, counters and generators do not.
    """

    branch: BranchName


class ApplyDifficulty(Action, frozen=True):
    """Hand the task a new difficulty; it acts at each next episode start."""

    difficulty: Difficulty


class ApplySetting(Action, frozen=True):
    """Change one live setting of the learner, such as `learning_rate`."""

    key: str
    value: float


class Wait(Action, frozen=True):
    """Paused: sleep until an order, a signal or about `seconds` have passed."""

    seconds: float


class End(Action, frozen=True):
    """The run is over: save if `save`, evaluate best and last on unseen seeds if `evaluate`, then leave.

    `judge`: before that the last parameters play the reference evaluation, by which a trial counts.
    `branch`: what was kept under this name is the run's last state, not what is at hand.
    """

    reason: Reason
    save: bool
    evaluate: bool
    branch: BranchName | None = None
    judge: bool = False


AnyAction: TypeAlias = (
    Collect | Learn | Evaluate | SaveCheckpoint | Keep | Restore | ApplyDifficulty | ApplySetting | Wait | End
)  # fmt: skip

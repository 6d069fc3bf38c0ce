"""What the TrainingManager tells the loop to do next. One action is at most about a second of work."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from tui_trainer.core.values import CheckpointKind, Difficulty, Reason, Suite


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
    """Save everything that decides the next bit."""

    kind: CheckpointKind


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
    """The run is over: save if `save`, evaluate best and last on unseen seeds if `evaluate`, then leave."""

    reason: Reason
    save: bool
    evaluate: bool


AnyAction: TypeAlias = Collect | Learn | Evaluate | SaveCheckpoint | ApplyDifficulty | ApplySetting | Wait | End

"""What hooks of one's own are: `--callback`, `train(callbacks=...)`, packages that register some. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from tui_trainer.core.events import (
    CheckpointSaved,
    CommandApplied,
    CommandRefused,
    DifficultyChanged,
    EvaluationFinished,
    RecommendationAnswered,
    RunEnded,
    RunResumed,
    RunStarted,
    SettingChanged,
)
from tui_trainer.core.values import Metrics

ENTRY_POINTS = "tui_trainer.callbacks"

Told: TypeAlias = Mapping[str, float] | None
"""What a hook may return: numbers by name, published as metrics `task/<name>`."""
Decided: TypeAlias = RecommendationAnswered | DifficultyChanged | SettingChanged | CommandApplied | CommandRefused


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """A full rollout. `episodes` and `global_step` count from the start of the session."""

    update: int
    global_step: int
    episodes: int
    metrics: Metrics


class Updated(msgspec.Struct, frozen=True, kw_only=True):
    """A finished update, every one of them: the journal sums several up, this does not."""

    update: int
    global_step: int
    episodes: int
    metrics: Metrics


class Callback:
    """A hook with a method for each moment. Any object with one or more of these will do; this class spares the rest.

    Methods run on the training thread: what takes long holds training up, and what raises is told once and switched
    off. Each may return numbers by name, which become metrics `task/<name>`: charted, exported, usable in conditions.
    """

    def on_start(self, event: RunStarted | RunResumed) -> Told:
        """A session's first run began, or was taken up from a checkpoint."""

    def on_collect(self, collected: Collected) -> Told:
        """A rollout is full; learning follows."""

    def on_update(self, updated: Updated) -> Told:
        """An update is finished."""

    def on_evaluation(self, event: EvaluationFinished) -> Told:
        """All parts of an evaluation were played."""

    def on_checkpoint(self, event: CheckpointSaved) -> Told:
        """A checkpoint is on the disk."""

    def on_decision(self, event: Decided) -> Told:
        """Something was decided, by a person, the manager or the adviser, or an order was refused."""

    def on_end(self, event: RunEnded) -> Told:
        """The run is over; numbers returned here come too late to be published."""


MOMENTS = ("on_start", "on_collect", "on_update", "on_evaluation", "on_checkpoint", "on_decision", "on_end")
BY_EVENT: Mapping[type, str] = {
    RunStarted: "on_start",
    RunResumed: "on_start",
    EvaluationFinished: "on_evaluation",
    CheckpointSaved: "on_checkpoint",
    RecommendationAnswered: "on_decision",
    DifficultyChanged: "on_decision",
    SettingChanged: "on_decision",
    CommandApplied: "on_decision",
    CommandRefused: "on_decision",
    RunEnded: "on_end",
}
"""Which moment an event is; the others are none."""

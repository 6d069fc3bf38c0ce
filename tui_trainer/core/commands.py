"""Orders from a person or a script to a live run: imperative, each with an id.

A command is answered twice: *received* at once, *applied* or *refused* as an event at the next phase boundary.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tui_trainer.core.values import Difficulty


class Command(msgspec.Struct, frozen=True, tag_field="type", tag=True, kw_only=True):
    """Base of the commands; `id` is unique to the sender."""

    id: str


class Pause(Command, frozen=True):
    """Stop at the next phase boundary; `when` (such as `eval/win_rate > 0.9`) delays it until that holds."""

    when: str = ""


class Resume(Command, frozen=True):
    """Go on after a pause."""


class SaveCheckpoint(Command, frozen=True):
    """Save a manual checkpoint after the current update."""


class Answer(Command, frozen=True):
    """Answer the recommendation with this number."""

    recommendation: int
    verdict: Literal["accept", "reject", "undo", "try"]


class SetDifficulty(Command, frozen=True):
    """Move the difficulty by hand."""

    difficulty: Difficulty


class SetSetting(Command, frozen=True):
    """Change a safe setting of the live run, such as `ppo.learning_rate`."""

    key: str
    value: float


class RunFor(Command, frozen=True):
    """Go on for this many updates, then pause."""

    updates: int


class Stop(Command, frozen=True):
    """Save and end."""


AnyCommand: TypeAlias = Pause | Resume | SaveCheckpoint | Answer | SetDifficulty | SetSetting | RunFor | Stop


def describe(command: AnyCommand) -> str:
    """The command in a person's words, for the decision log."""
    match command:
        case Pause(when=""):
            return "pause"
        case Pause(when=when):
            return f"pause when {when}"
        case Resume():
            return "resume"
        case SaveCheckpoint():
            return "checkpoint"
        case Answer(recommendation=number, verdict=verdict):
            return f"{verdict} {number}"
        case SetDifficulty(difficulty=d):
            return f"difficulty level {d.level}, range {d.low:.2f}-{d.high:.2f}"
        case SetSetting(key=key, value=value):
            return f"set {key} = {value:g}"
        case RunFor(updates=updates):
            return f"run for {updates} updates"
        case Stop():
            return "stop"

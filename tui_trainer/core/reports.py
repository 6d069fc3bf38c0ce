"""What the loop tells the TrainingManager after each action, and what befalls the run from outside."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tui_trainer.core.values import BranchName, CheckpointKind, Difficulty, Metrics, PartResult, Suite


class Report(msgspec.Struct, frozen=True, tag_field="type", tag=True, kw_only=True):
    """Base of the reports."""


class CollectReport(Report, frozen=True):
    """A slice of a rollout: environment steps taken, episodes finished, seconds by phase (`env`, `forward`)."""

    steps: int
    episodes: int
    complete: bool
    """True when the rollout is full and Learn is due."""
    metrics: Metrics = {}
    seconds: dict[str, float] = {}
    failed_episodes: int = 0
    """Episodes that broke in the task and were started afresh; counted neither as steps nor as episodes."""
    failure: str = ""
    """Why the last of them broke."""


class UpdateReport(Report, frozen=True):
    """A finished update with the algorithm's metrics (`train/*`) and seconds by phase (`learn`)."""

    metrics: Metrics = {}
    seconds: dict[str, float] = {}
    updates: int = 1
    """How many updates it stands for: a guest's script hands over several at once."""


class EvaluationReport(Report, frozen=True):
    """One part of an evaluation."""

    suite: Suite
    part: str
    result: PartResult
    seconds: float = 0.0
    is_offered: bool = False
    """True where nobody asked for it: a guest's script evaluates when it likes."""


class CheckpointReport(Report, frozen=True):
    """A snapshot was taken and handed to the disk. Says nothing of when the save completes."""

    kind: CheckpointKind
    number: int


class KeptReport(Report, frozen=True):
    """The present state was copied in memory."""

    branch: BranchName


class RestoredReport(Report, frozen=True):
    """Learner, task and generators are back where they were kept; not `ok` where there was nothing to go back to."""

    branch: BranchName
    ok: bool = True


class DifficultyReport(Report, frozen=True):
    """The task took a new difficulty."""

    difficulty: Difficulty


class SettingReport(Report, frozen=True):
    """The learner took a new setting; `old` is what it was."""

    key: str
    old: float
    new: float


class TickReport(Report, frozen=True):
    """Nothing but time has passed."""


class SignalReport(Report, frozen=True):
    """A signal that asks for an end (`term`, `int`), a checkpoint (`usr1`) or pause/resume (`usr2`)."""

    name: Literal["term", "int", "usr1", "usr2"]


class FaultReport(Report, frozen=True):
    """Something broke in a phase; `detail` is one clean sentence."""

    kind: Literal["nonfinite", "out_of_memory", "storage", "exception", "memory_limit"]
    detail: str


class StorageReport(Report, frozen=True):
    """The disk's state changed: a save failed (`ok` False, with the reason) or works again."""

    ok: bool
    detail: str = ""


class MachineReport(Report, frozen=True):
    """How busy the machine is: all cores together 0..100, this process 100 for each busy core. Decides no bit."""

    cores: int
    busy_percent: float
    own_percent: float


class MetricsReport(Report, frozen=True):
    """Numbers from outside the run, such as a callback's: usable in conditions, no part of what decides bits."""

    metrics: Metrics


class HostReport(Report, frozen=True):
    """What a guest's script lets be done with it: whether it can be saved, and its live settings as they are."""

    can_save: bool
    settings: dict[str, float] = {}


class FinishedReport(Report, frozen=True):
    """A guest's script left its loop by itself: with nothing amiss, by ctrl+c, or by an exception (`detail`)."""

    how: Literal["done", "interrupted", "failed"]
    detail: str = ""


AnyReport: TypeAlias = (
    CollectReport | UpdateReport | EvaluationReport | CheckpointReport | KeptReport | RestoredReport | DifficultyReport
    | SettingReport | TickReport | SignalReport | FaultReport | StorageReport | MachineReport
    | MetricsReport | HostReport | FinishedReport
)  # fmt: skip

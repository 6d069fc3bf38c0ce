"""What happened, past tense: the only thing a view, a log line or a replay is made of.

In the journal an event is one JSON object a line: `type`, `seq` (1, 2, 3 ... without a gap), `time` (Unix seconds),
`update`, `global_step` and its own fields. Transient events have seq 0 and are never journaled.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypeVar

import msgspec

from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.data import DataReport
from tui_trainer.core.text import clean, is_clean
from tui_trainer.core.values import (
    Author,
    BranchName,
    Change,
    CheckpointKind,
    Difficulty,
    DifficultySpace,
    EvalResult,
    Expected,
    Forecast,
    Metrics,
    PartResult,
    PartTrend,
    RankLoad,
    Reason,
    Resources,
    Suite,
    TrendName,
    Verdict,
)


class Event(msgspec.Struct, frozen=True, tag_field="type", tag=True, kw_only=True, gc=False):
    """Base of the events. An event is made without a stamp; the loop stamps it when it happens."""

    seq: int = 0
    time: float = 0.0
    update: int = 0
    global_step: int = 0


# --- the run -----------------------------------------------------------------------------------------------------


class RunStarted(Event, frozen=True):
    """A session's first run began."""

    session: str
    task: str
    algorithm: str
    seed: int | None
    """None where a run of another tool does not say."""
    device: str
    mode: Literal["production", "optuna"]
    threads: int
    pid: int
    host: str
    metric: str
    """Name of the score that evaluations report, such as `win_rate`."""
    higher_is_better: bool
    players: int
    parts: tuple[str, ...]
    """Opponents or categories of the reference evaluation, in order."""
    space: DifficultySpace | None
    difficulty: Difficulty
    limits: dict[str, float]
    """Hard limits that are set, by name: max_updates, max_episodes, max_steps, max_hours."""
    target: str = ""
    evaluate_every: int = 0
    steps_per_update: int = 0
    parameters: int = 0
    """Number of trainable parameters."""
    exact: bool = True
    notes: tuple[str, ...] = ()
    baselines: dict[str, float] = {}
    """Scores of known players or policies in the reference evaluation, by name."""
    origin: str = ""
    """The tool that logged the run, such as `TensorBoard`; empty for one of ours."""

    @property
    def seed_told(self) -> str:
        """`seed 3`, or empty."""
        return "" if self.seed is None else f"seed {self.seed}"


class DataExamined(Event, frozen=True):
    """The files that the task learns from: what of them is used, what is rejected and why."""

    report: DataReport


class RunResumed(Event, frozen=True):
    """The run was taken up from a checkpoint: everything after `from_update` is undone in the fold."""

    from_update: int
    from_step: int
    checkpoint: str
    pid: int
    host: str
    exact: bool
    limits: dict[str, float]
    note: str = ""
    orders: int = 0
    """Orders that the checkpoint had already taken in; later ones did not survive."""
    changed: tuple[str, ...] = ()
    """Settings that were given anew for this resume."""
    difficulty: Difficulty | None = None
    """What the checkpoint had; None where the task has none to vary, or in older journals."""
    episodes: int | None = None
    elapsed_s: float | None = None


class RunPaused(Event, frozen=True):
    """Training waits, at whose wish and why."""

    by: Author
    why: str


class RunContinued(Event, frozen=True):
    """Training goes on after a pause."""

    by: Author


class RunEnded(Event, frozen=True):
    """The last event of a run."""

    reason: Reason
    checkpoint: str = ""
    """The newest saved checkpoint, relative to the session."""
    elapsed_s: float = 0.0


# --- the loop ----------------------------------------------------------------------------------------------------


class UpdateFinished(Event, frozen=True):
    """Sums up the updates since the last such event."""

    updates: int
    """How many updates this event stands for."""
    metrics: Metrics
    """Latest `rollout/*`, `train/*`, `game/*`, `task/*` values."""
    sps: float
    """Environment steps a second of wall time, pauses left out."""
    seconds: dict[str, float]
    """Seconds by phase since the last such event: env, forward, learn, evaluate, save, wait."""
    episodes: int
    """Finished episodes since the run began."""
    elapsed_s: float
    """Seconds of running since the session began, pauses left out."""


class EvaluationFinished(Event, frozen=True):
    """All parts of a suite were played."""

    suite: Suite
    result: EvalResult
    seconds: float = 0.0
    checkpoint: str = ""
    """For the final suite: which checkpoint was evaluated."""


class EvaluationStopped(Event, frozen=True):
    """An evaluation was left before its end; its parts count for nothing."""

    suite: Suite
    why: str
    parts: int = 0
    """How many had been played."""


class TrendAssessed(Event, frozen=True):
    """The adviser's reading of the reference evaluations."""

    trend: TrendName
    confidence: float
    slope: float
    """Change of the score an evaluation, robust."""
    slope_ci: tuple[float, float]
    evaluations: int
    stability: float
    """Standard deviation over the last evaluations."""
    consistency: float
    """Share of parts above their baseline."""
    evidence: str
    termination: str
    """What intelligent termination makes of it, such as 'off' or 'plateau 3 of 10'."""
    forecast: Forecast | None = None
    parts: dict[str, PartTrend] = {}
    """The same for each part, where there are several."""


class EpisodeFailed(Event, frozen=True):
    """An episode broke in the task and was reset."""

    why: str
    failed: int


# --- checkpoints -------------------------------------------------------------------------------------------------


class CheckpointSaved(Event, frozen=True):
    """A checkpoint is on the disk, fsynced and complete."""

    number: int
    kind: CheckpointKind
    path: str
    at_update: int
    at_step: int
    size: int
    """Bytes."""
    state_sha256: str
    score: float | None = None
    seconds: float = 0.0
    exact: bool = True
    parent: str = ""
    """Path of the checkpoint before it on the same branch; empty for the first."""


class CheckpointFailed(Event, frozen=True):
    """A save did not reach the disk."""

    kind: CheckpointKind
    why: str


class CheckpointsPruned(Event, frozen=True):
    """Old checkpoints were deleted by the retention rule."""

    paths: tuple[str, ...]


# --- steering ----------------------------------------------------------------------------------------------------


class RecommendationRaised(Event, frozen=True):
    """The adviser asks."""

    id: int
    rule: str
    subject: str
    """What it is about, such as `difficulty`; a rejected subject stays quiet for a while."""
    title: str
    change: Change
    evidence: tuple[str, ...]
    expected: str
    confidence: float
    expires_update: int
    expects: Expected | None = None
    """`expected` in figures; the outcome is measured by it. None where nothing measurable is expected."""
    timed: bool = False
    """Rests on timings: never accepted by itself, and a rerun neither finds nor needs it."""


class RecommendationAnswered(Event, frozen=True):
    """A recommendation was answered, ran out or was undone."""

    id: int
    verdict: Verdict
    by: Author
    note: str = ""


class RecommendationScored(Event, frozen=True):
    """What became of an accepted recommendation, some evaluations later."""

    id: int
    outcome: Literal["helped", "hurt", "unclear"]
    evidence: str
    gain: float | None = None
    """Mean score since, minus what the trend before foretold; above 0 is better in every metric."""
    met: bool | None = None
    """Whether the mean lay in the range that the recommendation expected."""


class TryStarted(Event, frozen=True):
    """A recommendation is tried: so many updates as it is, then as many with the change, from the same state."""

    id: int
    """The recommendation's."""
    updates: int
    by: Author


class TryReturned(Event, frozen=True):
    """Training goes back: to where the try began, or to the end of the branch without the change."""

    id: int
    branch: BranchName
    to_update: int
    to_step: int


class TryEnded(Event, frozen=True):
    """The try is over, decided or not. Recorded as a decision; the answer to the recommendation follows it."""

    id: int
    won: Literal["with", "without", ""]
    """Empty: not decided; it goes on without the change."""
    why: str
    with_change: float | None = None
    without: float | None = None


class DifficultyChanged(Event, frozen=True):
    """The task took a new difficulty; it acts at each next episode start."""

    old: Difficulty
    new: Difficulty
    by: Author
    why: str
    recommendation: int | None = None


class SettingChanged(Event, frozen=True):
    """A live setting was changed."""

    key: str
    old: float
    new: float
    by: Author
    why: str = ""


class CommandApplied(Event, frozen=True):
    """An order took effect."""

    id: str
    order: str
    by: Author
    effect: str
    phase: str = ""
    """Boundary at which it was applied: the name of the action before which it was drained."""
    turn: int = 0
    """How many deterministic actions came before it: where a rerun gives the same order again."""
    command: AnyCommand | None = None
    """The order itself, for a rerun."""


class CommandRefused(Event, frozen=True):
    """An order changed nothing, and why."""

    id: str
    order: str
    by: Author
    why: str


# --- machine and log ---------------------------------------------------------------------------------------------


class ResourcesSampled(Event, frozen=True):
    """One sample of the machine."""

    resources: Resources


class RanksSampled(Event, frozen=True):
    """How each rank of a run on several fares, in their order."""

    ranks: tuple[RankLoad, ...]


class AlertRaised(Event, frozen=True):
    """Something needs attention; `key` names it until it is cleared."""

    key: str
    severity: Literal["warning", "critical"]
    text: str


class AlertCleared(Event, frozen=True):
    """The alert's cause is gone."""

    key: str


class LogWritten(Event, frozen=True):
    """A line for the log panel."""

    level: Literal["debug", "info", "warning", "error"]
    text: str


# --- transient: no seq, not journaled ----------------------------------------------------------------------------


class FrameDrawn(Event, frozen=True):
    """The game being trained, as text."""

    text: str


class PhaseStarted(Event, frozen=True):
    """A tick: which phase the loop is in and how far."""

    phase: str
    part: str = ""
    done: int = 0
    of: int = 0


AnyEvent: TypeAlias = (
    RunStarted | DataExamined | RunResumed | RunPaused | RunContinued | RunEnded
    | UpdateFinished | EvaluationFinished | EvaluationStopped | TrendAssessed | EpisodeFailed
    | CheckpointSaved | CheckpointFailed | CheckpointsPruned
    | RecommendationRaised | RecommendationAnswered | RecommendationScored
    | TryStarted | TryReturned | TryEnded
    | DifficultyChanged | SettingChanged | CommandApplied | CommandRefused
    | ResourcesSampled | RanksSampled | AlertRaised | AlertCleared | LogWritten
    | FrameDrawn | PhaseStarted
)  # fmt: skip

TRANSIENT: tuple[type[Event], ...] = (FrameDrawn, PhaseStarted)

E = TypeVar("E", bound=Event)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def stamp(event: E, *, seq: int, time: float, update: int, global_step: int) -> E:
    """The same event with its place in history."""
    return msgspec.structs.replace(event, seq=seq, time=time, update=update, global_step=global_step)


def encode(event: Event) -> bytes:
    """One JSON object, no newline. Text that is no Unicode (lone surrogates of a file name) is cleaned."""
    try:
        return _encoder.encode(event)
    except UnicodeEncodeError:
        return _encoder.encode(_cleaned(msgspec.to_builtins(event)))


def decode(line: bytes) -> AnyEvent:
    """Read one event; every text in it comes out clean. Raises msgspec.MsgspecError on anything else."""
    try:
        if line.isascii() and b"\\" not in line and b"\x7f" not in line:
            return _decoder.decode(line)
        event: AnyEvent = msgspec.convert(_cleaned(msgspec.json.decode(line)), AnyEvent)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(f"no event: {error}") from None
    return event


def _cleaned(value: object) -> object:
    match value:
        case str():
            return value if is_clean(value) else clean(value)
        case list() | tuple():
            return [_cleaned(item) for item in value]
        case dict():
            return {_cleaned(key): _cleaned(item) for key, item in value.items()}
        case _:
            return value


__all__ = [
    "TRANSIENT", "AlertCleared", "AlertRaised", "AnyEvent", "CheckpointFailed", "CheckpointSaved",
    "CheckpointsPruned", "CommandApplied", "CommandRefused", "DataExamined", "DifficultyChanged", "EpisodeFailed",
    "EvaluationFinished", "EvaluationStopped", "Event", "FrameDrawn", "LogWritten", "PartResult", "PhaseStarted",
    "RanksSampled", "RecommendationAnswered", "RecommendationRaised", "RecommendationScored", "ResourcesSampled",
    "RunContinued",
    "RunEnded", "RunPaused", "RunResumed", "RunStarted", "SettingChanged", "TrendAssessed", "TryEnded", "TryReturned",
    "TryStarted", "UpdateFinished",
    "decode", "encode", "stamp",
]  # fmt: skip

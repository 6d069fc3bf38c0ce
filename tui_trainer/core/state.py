"""RunState: everything a view knows. `apply` folds one event; live screens, headless lines and replays all use it."""

from __future__ import annotations

from typing import Literal, TypeAlias, assert_never

import msgspec

from tui_trainer.core.data import DataReport, sentence
from tui_trainer.core.events import (
    AlertCleared,
    AlertRaised,
    AnyEvent,
    CheckpointFailed,
    CheckpointSaved,
    CheckpointsPruned,
    CommandApplied,
    CommandRefused,
    DataExamined,
    DifficultyChanged,
    EpisodeFailed,
    EvaluationFinished,
    EvaluationStopped,
    FrameDrawn,
    LogWritten,
    PhaseStarted,
    RanksSampled,
    RecommendationAnswered,
    RecommendationRaised,
    RecommendationScored,
    ResourcesSampled,
    RunContinued,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
    SettingChanged,
    TrendAssessed,
    TryEnded,
    TryReturned,
    TryStarted,
    UpdateFinished,
)
from tui_trainer.core.series import Series
from tui_trainer.core.values import Author, BranchName, Difficulty, Metrics, RankLoad, Resources, Verdict

Status: TypeAlias = Literal["starting", "running", "paused", "ended"]
MarkKind: TypeAlias = Literal["evaluation", "checkpoint", "decision", "level", "alert", "resume", "end"]

KEPT_LOG = 500
KEPT_DECISIONS = 300
KEPT_EVALUATIONS = 400
KEPT_CHECKPOINTS = 200
KEPT_MARKS = 600
KEPT_RECOMMENDATIONS = 120


TOLD_BY_FACTS = ("accept", "reject", "undo", "try", "set", "difficulty")
"""Orders whose effect is an event of its own: listing both would say everything twice."""


class LogLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One line of the log panel."""

    time: float
    update: int
    level: str
    text: str


class Decision(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was done, by whom and why."""

    time: float
    update: int
    by: Author
    what: str
    why: str = ""
    applied: bool = True
    outcome: str = ""
    recommendation: int | None = None
    seq: int = 0
    """The event that told it."""


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A tick on the timeline and in the charts."""

    kind: MarkKind
    seq: int
    time: float
    update: int
    global_step: int
    label: str


class Recommendation(msgspec.Struct, frozen=True, gc=False):
    """A recommendation and what became of it; open while `verdict` is None."""

    raised: RecommendationRaised
    verdict: Verdict | None = None
    by: Author | None = None
    answered_update: int | None = None
    outcome: str = ""

    @property
    def id(self) -> int:
        return self.raised.id

    @property
    def is_open(self) -> bool:
        return self.verdict is None


class AdviceRecord(msgspec.Struct, frozen=True, gc=False):
    """What became of the advice: how much was accepted, and how that turned out."""

    accepted: int = 0
    helped: int = 0
    hurt: int = 0
    unclear: int = 0
    undone: int = 0

    @property
    def told(self) -> str:
        """`accepted 6: 5 helped, 1 unclear`; empty while nothing was accepted."""
        counts = ((self.helped, "helped"), (self.hurt, "hurt"), (self.unclear, "unclear"), (self.undone, "undone"))
        waiting = self.accepted - sum(count for count, _ in counts)
        shown = [f"{count} {word}" for count, word in (*counts, (waiting, "not told yet")) if count > 0]
        return f"accepted {self.accepted}: {', '.join(shown)}" if self.accepted else ""


class RunState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The fold of a session's events. Bounded in size however long the run."""

    seq: int = 0
    time: float = 0.0
    update: int = 0
    global_step: int = 0
    status: Status = "starting"
    paused_why: str = ""
    paused_by: Author | None = None
    started: RunStarted | None = None
    resumed: RunResumed | None = None
    ended: RunEnded | None = None
    data: DataReport | None = None
    """What was found in the files that the task learns from."""
    limits: dict[str, float] = {}
    exact: bool = True
    episodes: int = 0
    failed_episodes: int = 0
    elapsed_s: float = 0.0
    sps: float = 0.0
    metrics: Metrics = {}
    """Latest value of every metric, evaluations included (`eval/win_rate`, `eval/win_rate/random`)."""
    series: dict[str, Series] = {}
    seconds: dict[str, float] = {}
    """Seconds by phase since the session began."""
    recent_seconds: dict[str, float] = {}
    """Seconds by phase, exponentially weighted over recent updates, for shares."""
    evaluations: tuple[EvaluationFinished, ...] = ()
    final_evaluations: tuple[EvaluationFinished, ...] = ()
    trend: TrendAssessed | None = None
    recommendations: tuple[Recommendation, ...] = ()
    difficulty: Difficulty | None = None
    checkpoints: tuple[CheckpointSaved, ...] = ()
    resources: Resources | None = None
    ranks: tuple[RankLoad, ...] = ()
    """How each rank of a run on several fares; empty for a run on one process."""
    alerts: tuple[AlertRaised, ...] = ()
    decisions: tuple[Decision, ...] = ()
    marks: tuple[Mark, ...] = ()
    log: tuple[LogLine, ...] = ()
    trying: TryStarted | None = None
    """The try that is under way."""
    branches: dict[BranchName, RunState] = {}
    """What the screen goes back to when a try does; at most one state each, without branches of its own."""
    frame: str = ""
    phase: PhaseStarted | None = None

    # --- derived ---------------------------------------------------------------------------------------------

    @property
    def open_recommendations(self) -> tuple[Recommendation, ...]:
        """Unanswered ones, oldest first."""
        return tuple(r for r in self.recommendations if r.is_open)

    @property
    def advice(self) -> AdviceRecord:
        """The adviser's record over the recommendations that are remembered."""
        taken = [r for r in self.recommendations if r.verdict in ("accepted", "undone")]
        outcomes = [r.outcome or (r.verdict if r.verdict == "undone" else "") for r in taken]
        counts = {name: outcomes.count(name) for name in ("helped", "hurt", "unclear", "undone")}
        return AdviceRecord(accepted=len(taken), **counts)

    @property
    def best(self) -> CheckpointSaved | None:
        """The newest checkpoint saved as best."""
        return next((c for c in reversed(self.checkpoints) if c.kind == "best"), None)

    @property
    def last_evaluation(self) -> EvaluationFinished | None:
        """The newest reference evaluation."""
        return self.evaluations[-1] if self.evaluations else None

    def durable(self) -> RunState:
        """Without what transient events left behind, so that a replay can be compared with the live state."""
        return msgspec.structs.replace(self, frame="", phase=None)

    # --- the fold --------------------------------------------------------------------------------------------

    def apply(self, event: AnyEvent) -> RunState:
        """The state after `event`."""
        if event.seq == 0:
            return _transient(self, event)
        at = msgspec.structs.replace(
            self,
            seq=event.seq,
            time=max(self.time, event.time),
            update=event.update,
            global_step=event.global_step,
        )
        return _folded(at, event)


def fold(events: list[AnyEvent], state: RunState | None = None) -> RunState:
    """All of `events` applied in order."""
    state = state or RunState()
    for event in events:
        state = state.apply(event)
    return state


def _transient(s: RunState, event: AnyEvent) -> RunState:
    match event:
        case FrameDrawn(text=text):
            return _with(s, frame=text)
        case PhaseStarted():
            return _with(s, phase=event)
        case _:
            return s


def _folded(s: RunState, e: AnyEvent) -> RunState:
    match e:
        case RunStarted():
            return _started(s, e)
        case DataExamined(report=report):
            return _log(_with(s, data=report), e, "info", f"data: {sentence(report)}")
        case RunResumed():
            return _resumed(s, e)
        case RunPaused(by=by, why=why):
            return _log(_with(s, status="paused", paused_why=why, paused_by=by), e, "info", f"paused by {by}: {why}")
        case RunContinued(by=by):
            return _log(_with(s, status="running", paused_why="", paused_by=None), e, "info", f"continued by {by}")
        case RunEnded():
            return _ended(s, e)
        case UpdateFinished():
            return _updated(s, e)
        case EvaluationFinished():
            return _evaluated(s, e)
        case EvaluationStopped(suite=suite, why=why):
            return _log(s, e, "info", f"{suite} evaluation stopped: {why}")
        case TrendAssessed():
            return _with(s, trend=e)
        case EpisodeFailed(why=why, failed=failed):
            return _log(_with(s, failed_episodes=failed), e, "warning", f"episode failed: {why}")
        case CheckpointSaved():
            return _saved(s, e)
        case CheckpointFailed(kind=kind, why=why):
            return _log(s, e, "error", f"{kind} checkpoint failed: {why}")
        case CheckpointsPruned(paths=paths):
            return _with(s, checkpoints=tuple(c for c in s.checkpoints if c.path not in paths))
        case RecommendationRaised():
            return _raised(s, e)
        case RecommendationAnswered():
            return _answered(s, e)
        case RecommendationScored():
            return _scored(s, e)
        case TryStarted() | TryReturned() | TryEnded():
            return _tried(s, e)
        case DifficultyChanged():
            return _difficulty(s, e)
        case SettingChanged(key=key, old=old, new=new, by=by, why=why):
            return _decided(_with(s, limits=_limits(s, key, new)), e, by, f"{key} {old:g} → {new:g}", why)
        case CommandApplied(order=order, by=by, effect=effect):
            return s if order.startswith(TOLD_BY_FACTS) else _decided(s, e, by, order, effect)
        case CommandRefused(order=order, by=by, why=why):
            return _decided(s, e, by, order, why, applied=False)
        case ResourcesSampled(resources=resources):
            return _with(s, resources=resources, series=_appended(s.series, e, resource_metrics(resources)))
        case RanksSampled(ranks=ranks):
            return _with(s, ranks=ranks)
        case AlertRaised(key=key, text=text):
            alerts = (*(a for a in s.alerts if a.key != key), e)
            return _mark(_log(_with(s, alerts=alerts), e, "warning", text), e, "alert", text)
        case AlertCleared(key=key):
            return _with(s, alerts=tuple(a for a in s.alerts if a.key != key))
        case LogWritten(level=level, text=text):
            return _log(s, e, level, text)
        case FrameDrawn() | PhaseStarted():
            return _transient(s, e)
        case _:
            assert_never(e)


# --- one step each ---------------------------------------------------------------------------------------------------


def _started(s: RunState, e: RunStarted) -> RunState:
    s = _with(s, status="running", started=e, limits=e.limits, exact=e.exact, difficulty=e.difficulty, ended=None)
    for note in e.notes:
        s = _log(s, e, "info", note)
    return _log(s, e, "info", ", ".join(filter(None, (f"started {e.task} with {e.algorithm}", e.seed_told))))


def _resumed(s: RunState, e: RunResumed) -> RunState:
    """Go back to the checkpoint's update: later points, evaluations, answers and marks did not survive."""
    series = {name: series.until(e.from_update, e.from_step) for name, series in s.series.items()}
    s = _with(
        s,
        status="running",
        resumed=e,
        ranks=(),
        ended=None,
        paused_why="",
        paused_by=None,
        update=e.from_update,
        global_step=e.from_step,
        limits=e.limits,
        exact=s.exact and e.exact,
        series=series,
        metrics={name: kept.last.mean for name, kept in series.items() if kept.last},
        evaluations=tuple(v for v in s.evaluations if v.update <= e.from_update),
        final_evaluations=(),
        trend=s.trend if s.trend and s.trend.update <= e.from_update else None,
        difficulty=e.difficulty or s.difficulty,
        episodes=s.episodes if e.episodes is None else e.episodes,
        elapsed_s=s.elapsed_s if e.elapsed_s is None else e.elapsed_s,
        recommendations=tuple(_reopened(r, e) for r in s.recommendations if r.raised.update <= e.from_update),
        marks=tuple(m for m in s.marks if m.update <= e.from_update),
        alerts=(),
        trying=None,
        branches={},
    )
    text = f"resumed from update {e.from_update}" + (f" ({e.note})" if e.note else "")
    return _mark(_log(s, e, "info", text), e, "resume", text)


def _reopened(r: Recommendation, e: RunResumed) -> Recommendation:
    undone = r.answered_update is not None and r.answered_update > e.from_update
    return Recommendation(r.raised) if undone else r


def _ended(s: RunState, e: RunEnded) -> RunState:
    s = _with(s, status="ended", ended=e, paused_why="", paused_by=None, phase=None)
    text = f"ended: {e.reason.name}" + (f", {e.reason.evidence}" if e.reason.evidence else "")
    return _mark(_decided(s, e, "manager", "end", text), e, "end", e.reason.name)


def _updated(s: RunState, e: UpdateFinished) -> RunState:
    points = {**e.metrics, "time/fps": e.sps}
    return _with(
        s,
        episodes=e.episodes,
        elapsed_s=e.elapsed_s,
        sps=e.sps,
        metrics={**s.metrics, **points},
        series=_appended(s.series, e, points),
        seconds=_summed(s.seconds, e.seconds),
        recent_seconds=_recent(s.recent_seconds, e.seconds),
    )


def _evaluated(s: RunState, e: EvaluationFinished) -> RunState:
    if e.suite == "final":
        return _mark(_with(s, final_evaluations=(*s.final_evaluations, e)), e, "evaluation", "final evaluation")
    points = evaluation_metrics(e)
    s = _with(s, metrics={**s.metrics, **points}, series=_appended(s.series, e, points))
    if e.suite == "reference":
        repeated = bool(s.evaluations) and s.evaluations[-1].update == e.update
        earlier = s.evaluations[:-1] if repeated else s.evaluations
        s = _with(s, evaluations=(*earlier, e)[-KEPT_EVALUATIONS:])
        s = _mark(s, e, "evaluation", f"{e.result.metric} {e.result.value:.3f}")
    return s


def evaluation_metrics(e: EvaluationFinished) -> Metrics:
    """An evaluation as metrics: `eval/<metric>`, `eval/mean_reward` and one per part (`eval/win_rate/random`)."""
    prefix = "eval" if e.suite == "reference" else f"eval_{e.suite}"
    points: Metrics = {f"{prefix}/mean_reward": e.result.mean, f"{prefix}/{e.result.metric}": e.result.value}
    for part, result in e.result.by.items():
        rate = result.win_rate
        points[f"{prefix}/{e.result.metric}/{part}"] = result.mean if rate is None else rate
    return points


def _saved(s: RunState, e: CheckpointSaved) -> RunState:
    checkpoints = (*s.checkpoints, e)[-KEPT_CHECKPOINTS:]
    s = _log(_with(s, checkpoints=checkpoints), e, "info", f"{e.kind} checkpoint of update {e.at_update} saved")
    return _mark(s, e, "checkpoint", e.kind)


def _raised(s: RunState, e: RecommendationRaised) -> RunState:
    s = _with(s, recommendations=(*s.recommendations, Recommendation(e))[-KEPT_RECOMMENDATIONS:])
    return _log(s, e, "info", f"recommendation {e.id}: {e.title}")


def _answered(s: RunState, e: RecommendationAnswered) -> RunState:
    found = next((r for r in s.recommendations if r.id == e.id), None)
    title = found.raised.title if found else ""
    s = _amended(s, e.id, verdict=e.verdict, by=e.by, answered_update=e.update)
    return _decided(s, e, e.by, f"{e.verdict} {e.id}: {title}", e.note, recommendation=e.id)


def _scored(s: RunState, e: RecommendationScored) -> RunState:
    s = _amended(s, e.id, outcome=e.outcome)
    decisions = tuple(
        msgspec.structs.replace(d, outcome=f"{e.outcome}: {e.evidence}") if d.recommendation == e.id else d
        for d in s.decisions
    )
    return _log(_with(s, decisions=decisions), e, "info", f"recommendation {e.id} {e.outcome}: {e.evidence}")


_OF_A_BRANCH = (
    "update", "global_step", "episodes", "failed_episodes", "sps", "metrics", "series", "evaluations", "trend",
    "difficulty",
)  # fmt: skip
"""What belongs to one line of training; decisions, log, marks, time and the machine go on."""


def _tried(s: RunState, e: TryStarted | TryReturned | TryEnded) -> RunState:
    match e:
        case TryStarted():
            return _try_started(s, e)
        case TryReturned():
            return _try_returned(s, e)
        case TryEnded():
            return _try_ended(s, e)


def _try_started(s: RunState, e: TryStarted) -> RunState:
    found = next((r for r in s.recommendations if r.id == e.id), None)
    what = f"try {e.id}: {found.raised.title}" if found else f"try {e.id}"
    s = _with(s, trying=e, branches={"start": _branch(s)})
    return _decided(s, e, e.by, what, f"{e.updates} updates without it and with it", recommendation=e.id)


def _branch(s: RunState) -> RunState:
    """Only what has to be put back."""
    return RunState(**{name: getattr(s, name) for name in _OF_A_BRANCH})


def _try_returned(s: RunState, e: TryReturned) -> RunState:
    target = s.branches.get(e.branch)
    left: dict[BranchName, RunState] = {}
    if e.branch == "start" and s.trying is not None:
        left = {"without": _with(_branch(s), update=e.to_update + s.trying.updates)}
    kept = {} if target is None else {name: getattr(target, name) for name in _OF_A_BRANCH}
    kept |= {"update": e.to_update, "global_step": e.to_step}
    what = "now with the change" if e.branch == "start" else "back to the branch without the change"
    return _log(_with(s, **kept, branches=left), e, "info", f"try {e.id}: {what}, from update {e.to_update}")


def _try_ended(s: RunState, e: TryEnded) -> RunState:
    s = _with(s, trying=None, branches={})
    result = f"the change {'won' if e.won == 'with' else 'did not win'}" if e.won else "not decided"
    return _decided(s, e, "manager", f"try {e.id}: {result}", e.why, recommendation=e.id)


def _difficulty(s: RunState, e: DifficultyChanged) -> RunState:
    s = _with(s, difficulty=e.new)
    label = difficulty_label(s, e.new)
    return _mark(_decided(s, e, e.by, f"difficulty → {label}", e.why), e, "level", label)


def _limits(s: RunState, key: str, new: float) -> dict[str, float]:
    """The hard limits after a setting was changed; 0 takes a limit away."""
    prefix, _, name = key.rpartition(".")
    if prefix != "manager.termination" or not name.startswith("max_"):
        return s.limits
    return {k: v for k, v in {**s.limits, name: new}.items() if v > 0}


def difficulty_label(s: RunState, d: Difficulty) -> str:
    """A difficulty in the task's own words, such as `minimax-2` or `0.55-1.00`."""
    space = s.started.space if s.started else None
    if space is None:
        return "fixed"
    level = space.levels[d.level] if d.level < len(space.levels) else str(d.level)
    span = f"{d.low:.2f}-{d.high:.2f}" if space.ranged else ""
    return " ".join(part for part in (level if space.levels else "", span) if part)


# --- helpers ----------------------------------------------------------------------


def _with(s: RunState, **changes: object) -> RunState:
    return msgspec.structs.replace(s, **changes)


def _log(s: RunState, e: AnyEvent, level: str, text: str) -> RunState:
    return _with(s, log=(*s.log, LogLine(e.time, e.update, level, text))[-KEPT_LOG:])


def _mark(s: RunState, e: AnyEvent, kind: MarkKind, label: str) -> RunState:
    mark = Mark(kind, e.seq, e.time, e.update, e.global_step, label)
    return _with(s, marks=_thinned((*s.marks, mark)))


def _thinned(marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    """When there are too many, every other evaluation and checkpoint goes; decisions and levels stay longest."""
    if len(marks) <= KEPT_MARKS:
        return marks
    routine = [m for m in marks if m.kind in ("evaluation", "checkpoint")]
    dropped = {m.seq for m in routine[1:-1:2]}
    return tuple(m for m in marks if m.seq not in dropped)[-KEPT_MARKS:]


def _decided(
    s: RunState,
    e: AnyEvent,
    by: Author,
    what: str,
    why: str = "",
    *,
    applied: bool = True,
    recommendation: int | None = None,
) -> RunState:
    decision = Decision(e.time, e.update, by, what, why, applied, "", recommendation, e.seq)
    s = _with(s, decisions=(*s.decisions, decision)[-KEPT_DECISIONS:])
    s = _mark(s, e, "decision", what) if applied else s
    text = f"{by}: {what}" + (f" ({why})" if why else "")
    return _log(s, e, "info" if applied else "warning", text if applied else f"refused {text}")


def _amended(s: RunState, number: int, **changes: object) -> RunState:
    amended = tuple(msgspec.structs.replace(r, **changes) if r.id == number else r for r in s.recommendations)
    return _with(s, recommendations=amended)


def _appended(series: dict[str, Series], e: AnyEvent, points: Metrics) -> dict[str, Series]:
    fresh = dict(series)
    for name, value in points.items():
        fresh[name] = fresh.get(name, Series()).append(e.global_step, e.time, e.update, value)
    return fresh


def resource_metrics(r: Resources) -> Metrics:
    """A sample of the machine as metrics: `system/*`, those of a GPU with its index; left out where unknown."""
    points: Metrics = {
        "system/cpu_percent": r.cpu_percent,
        "system/process_cpu_percent": r.process_cpu_percent,
        "system/memory_used_gib": r.memory_used_gib,
        "system/process_rss_gib": r.process_rss_gib,
        "system/disk_free_gib": r.disk_free_gib,
        "system/disk_write_mib_s": r.disk_write_mib_s,
        "system/network_mib_s": r.network_mib_s,
    }
    for gpu in r.gpus:
        told: Metrics = {
            "percent": gpu.utilisation,
            "memory_gib": gpu.memory_used_gib,
            "process_memory_gib": gpu.process_memory_gib,
            "power_w": gpu.power_w,
            "temperature_c": gpu.temperature_c,
        }
        points |= {f"system/gpu{gpu.index}_{name}": value for name, value in told.items() if value is not None}
    return points


def _summed(total: dict[str, float], more: dict[str, float]) -> dict[str, float]:
    return {name: total.get(name, 0.0) + more.get(name, 0.0) for name in total | more}


def _recent(recent: dict[str, float], more: dict[str, float]) -> dict[str, float]:
    return {name: 0.9 * recent.get(name, 0.0) + more.get(name, 0.0) for name in recent | more}

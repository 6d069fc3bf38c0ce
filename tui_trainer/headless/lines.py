"""An event as one readable line: time, update, a word, what happened."""

from __future__ import annotations

import time
from typing import assert_never

from tui_trainer.core.data import sentence
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
from tui_trainer.core.format import about, count, duration, percent, si, size
from tui_trainer.core.progress import eta
from tui_trainer.core.state import TOLD_BY_FACTS, RunState, difficulty_label
from tui_trainer.core.text import clean
from tui_trainer.core.values import EvalResult, PartResult

SEPARATOR = " · "
_SHOWN_METRICS = (
    ("return", "rollout/ep_rew_mean"),
    ("loss", "train/loss"),
    ("kl", "train/approx_kl"),
    ("epsilon", "rollout/exploration_rate"),
)


def event_line(event: AnyEvent, state: RunState) -> str | None:
    """The line for `event`, `state` being the fold up to and with it; None for what a person does not need."""
    told = _told(event, state)
    if told is None:
        return None
    word, text = told
    clock = time.strftime("%H:%M:%S", time.localtime(event.time))
    return f"{clock} {count(event.update):>9}  {word:<10}  {_one_line(text)}"


def _told(e: AnyEvent, s: RunState) -> tuple[str, str] | None:
    """A word for the column, and the sentence."""
    match e:
        case RunStarted():
            return "start", started_text(e)
        case DataExamined(report=report):
            return "data", sentence(report)
        case RunResumed(from_update=update, checkpoint=path, exact=exact, note=note):
            return "resume", _joined(f"from update {count(update)}", path, "" if exact else "not bit-exact", note)
        case RunPaused(by=by, why=why):
            return "paused", f"by {by}: {why}"
        case RunContinued(by=by):
            return "continued", f"by {by}"
        case RunEnded():
            return "end", ended_text(e)
        case UpdateFinished():
            return "update", update_text(e, s)
        case EvaluationFinished():
            return "eval", evaluation_text(e)
        case EvaluationStopped(suite=suite, why=why):
            return "eval", f"{suite} evaluation stopped: {why}"
        case EpisodeFailed(why=why, failed=failed):
            return "failed", f"episode reset, {count(failed)} so far: {why}"
        case CheckpointSaved():
            return "checkpoint", _saved_text(e)
        case CheckpointFailed(kind=kind, why=why):
            return "NOT SAVED", f"{kind} checkpoint: {why}"
        case RecommendationRaised():
            return "advice", _advice_text(e)
        case RecommendationAnswered(id=number, verdict=verdict, by=by, note=note):
            return "decision", _joined(f"advice {number} {verdict} by {by}", note)
        case RecommendationScored(id=number, outcome=outcome, evidence=evidence):
            return "outcome", f"advice {number} {outcome}: {evidence}"
        case TryStarted(id=number, updates=updates):
            return "try", f"advice {number}: {count(updates)} updates as it is, then as many with the change"
        case TryReturned(id=number, branch=branch, to_update=update):
            what = "now with the change" if branch == "start" else "the branch without the change goes on"
            return "try", f"advice {number}: {what}, from update {count(update)}"
        case TryEnded(id=number, won=won, why=why):
            result = {"with": "the change won", "without": "the change did not win", "": "not decided"}[won]
            return "try", _joined(f"advice {number}: {result}", why)
        case DifficultyChanged(new=new, by=by, why=why):
            return "difficulty", _joined(f"{difficulty_label(s, new)} by {by}", why)
        case SettingChanged(key=key, old=old, new=new, by=by, why=why):
            return "setting", _joined(f"{key} {old:g} → {new:g} by {by}", why)
        case CommandApplied(order=order, by=by, effect=effect):
            told = order.startswith(TOLD_BY_FACTS)
            return None if told else ("order", _joined(f"{order} by {by}", effect))
        case CommandRefused(order=order, by=by, why=why):
            return "refused", f"{order} by {by}: {why}"
        case AlertRaised(severity=severity, text=text):
            return "ALERT", f"{severity}: {text}"
        case AlertCleared(key=key):
            return "alert over", key
        case LogWritten(level=level, text=text):
            return None if level == "debug" else ("log", text if level == "info" else f"{level}: {text}")
        case TrendAssessed() | CheckpointsPruned() | ResourcesSampled() | RanksSampled():
            return None
        case FrameDrawn() | PhaseStarted():
            return None
        case _:
            assert_never(e)


def _one_line(text: str) -> str:
    """Clean and on one line; runs of blanks stay, for columns."""
    return clean(" ".join(text.splitlines()), 2000)


# --- one sentence each ---


def started_text(e: RunStarted) -> str:
    """Task, algorithm, seed, device, mode, size, limits."""
    limits = ", ".join(f"{name} {value:,g}" for name, value in e.limits.items())
    return _joined(
        f"{e.task} with {e.algorithm}",
        e.seed_told,
        e.device,
        f"logged by {e.origin}" if e.origin else e.mode,
        f"{count(e.parameters)} parameters" if e.parameters else "",
        f"until {limits}" if limits else "" if e.origin else "no limit",
        f"session {e.session}",
    )


def ended_text(e: RunEnded) -> str:
    """Why, after how long, what is saved."""
    reason = f"{e.reason.name}: {e.reason.evidence}" if e.reason.evidence else e.reason.name
    saved = f"saved {e.checkpoint}" if e.checkpoint else "nothing saved"
    code = f"exit code {e.reason.exit_code}" if e.reason.exit_code else ""
    return _joined(reason, f"after {duration(e.elapsed_s)}", saved, code)


def update_text(e: UpdateFinished, s: RunState) -> str:
    """Steps, SPS, a few metrics, and when the run may end; aligned from line to line."""
    found = [(label, e.metrics.get(key)) for label, key in _SHOWN_METRICS if key in e.metrics]
    shown = [f"{label} {_number(value):>7}" for label, value in found]
    return _joined(f"{si(e.global_step):>5} steps", f"{si(e.sps):>5} SPS", *shown, eta_text(s))


def eta_text(s: RunState) -> str:
    """When the run may end and by which limit; nothing while that is unknown."""
    nearest = eta(s)
    if nearest is None:
        return ""
    limit, (low, high) = nearest
    if high <= 0:
        return f"{limit.name} reached"
    return f"ends in {about(low, high)} by {limit.name}"


def evaluation_text(e: EvaluationFinished) -> str:
    """The score with its interval, then every part."""
    lead = {"reference": "", "present": "at the present level: ", "final": "final, unseen seeds: "}[e.suite]
    parts = [f"{name} {part_text(part)}" for name, part in e.result.by.items()]
    return _joined(f"{lead}{score_text(e.result)}", *(parts if len(parts) > 1 else ()), e.checkpoint)


def score_text(result: EvalResult) -> str:
    """The score and, where it is known, its 95 % interval."""
    score = f"{result.metric} {_number(result.value)}"
    if result.interval is None:
        return score
    low, high = result.interval
    return f"{score} ({_number(low)} to {_number(high)})"


def part_text(part: PartResult) -> str:
    """A part's win rate, or its mean return where there is no winning."""
    return _number(part.mean) if part.win_rate is None else percent(part.win_rate)


def interval_text(part: PartResult) -> str:
    """The 95 % interval in the unit of `part_text`; empty where there is none."""
    if part.ci is None:
        return ""
    low, high = (_number(bound) if part.win_rate is None else percent(bound) for bound in part.ci)
    return f"({low} to {high})"


def _saved_text(e: CheckpointSaved) -> str:
    score = "" if e.score is None else f"score {_number(e.score)}"
    return _joined(f"{e.kind}, {size(e.size)}", score, "" if e.exact else "not exact", e.path)


def _advice_text(e: RecommendationRaised) -> str:
    change = e.change.label or f"{e.change.key} {e.change.old:g} → {e.change.new:g}"
    return _joined(
        f"{e.id}: {e.title}", change, f"confidence {e.confidence:.2f}", f"tui-trainer accept|reject|try --id {e.id}"
    )


def _joined(*parts: str) -> str:
    return SEPARATOR.join(part for part in parts if part)


def _number(value: float | None) -> str:
    """About four digits, never an exponent without need."""
    if value is None:
        return "-"
    return f"{value:.4f}" if abs(value) < 10 else si(value, 4)

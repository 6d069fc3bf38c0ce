"""Model versions: the checkpoints of a session with what they reached and where each came from. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from statistics import stdev

import msgspec

from tui_trainer.core.events import CheckpointSaved, EvaluationFinished
from tui_trainer.core.state import RunState, difficulty_label
from tui_trainer.core.values import CheckpointKind, PartResult

WINDOW = 5
"""Evaluations in the stability."""
FORMULA = (
    "score = the smaller of the evaluation's lower 95 % bound and the median of the last 3 evaluations; "
    "of equal scores the one at the higher level, then the newer, is the better"
)


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One checkpoint. What is None was not evaluated at that update."""

    number: int
    kind: CheckpointKind
    update: int
    global_step: int
    score: float | None
    """What it counts for in the choice of the best; `FORMULA`."""
    is_best: bool
    value: float | None
    """The reference evaluation at this update, in the task's metric."""
    ci: tuple[float, float] | None
    by: dict[str, float]
    """The same for each opponent or category."""
    stability: float | None
    """Standard deviation of the last five evaluations up to it."""
    level: str
    """The difficulty it was trained at; empty where the task has none."""
    parent: int | None
    """Number of the version that it was trained from, pruned or not; None for the first, and in older journals."""
    exact: bool
    size: int
    path: str
    state_sha256: str
    time: float


def versions(state: RunState) -> list[Version]:
    """Those that are still on the disk, newest first."""
    return [_version(state, saved) for saved in reversed(state.checkpoints)]


def _version(state: RunState, saved: CheckpointSaved) -> Version:
    upto = [e for e in state.evaluations if e.update <= saved.at_update]
    at = upto[-1] if upto and upto[-1].update == saved.at_update else None
    best = state.best
    return Version(
        number=saved.number,
        kind=saved.kind,
        update=saved.at_update,
        global_step=saved.at_step,
        score=saved.score,
        is_best=best is not None and best.number == saved.number,
        value=at.result.value if at else None,
        ci=at.result.ci if at else None,
        by=_by(at) if at else {},
        stability=stability(upto),
        level=_level(state, saved.at_update),
        parent=_number(saved.parent),
        exact=saved.exact,
        size=saved.size,
        path=saved.path,
        state_sha256=saved.state_sha256,
        time=saved.time,
    )


def _number(path: str) -> int | None:
    """Of `checkpoints/12-u600` the 12; it may be pruned by now."""
    found = re.fullmatch(r"checkpoints/(\d+)-u\d+", path)
    return int(found[1]) if found else None


def stability(evaluations: Sequence[EvaluationFinished]) -> float | None:
    """Standard deviation of the last values; None before there are two."""
    values = [e.result.value for e in evaluations[-WINDOW:] if math.isfinite(e.result.value)]
    return stdev(values) if len(values) > 1 else None


def _by(evaluation: EvaluationFinished) -> dict[str, float]:
    return {name: part_score(evaluation.result.metric, part) for name, part in evaluation.result.by.items()}


def part_score(metric: str, part: PartResult) -> float:
    """A part in the evaluation's metric: its win rate or the named figure, otherwise its mean return."""
    if metric == "win_rate" and part.win_rate is not None:
        return part.win_rate
    named = part.extra.get(metric)
    return part.mean if named is None else named


def _level(state: RunState, update: int) -> str:
    """In the task's words, from the changes that the state remembers; they act after the update that they name."""
    started = state.started
    if started is None or started.space is None:
        return ""
    before = [mark.label for mark in state.marks if mark.kind == "level" and mark.update < update]
    return before[-1] if before else _first_level(state)


def _first_level(state: RunState) -> str:
    return difficulty_label(state, state.started.difficulty) if state.started else ""

"""SIGKILLs of the real `run --no-ui` at random moments, one session resumed again and again; what they broke."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.engine import process as p
from tests.warm import Program, Warm
from tui_trainer.errors import TuiTrainerError
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.journal import iter_journal
from tui_trainer.sessions.store import Session

BUSY_SAVING = (
    *p.TINY, "--set=manager.checkpoints.every_updates=1", "--set=manager.checkpoints.keep_last=3",
    "--set=manager.evaluation.every_updates=1000", "--max-updates=100000000",
)  # fmt: skip
LONGEST_S = 0.3
STARTING_SHARE = 0.2
"""Kills that do not wait for the first line."""
SAVING = 4
"""Of so many lives one is let live until its first save: on a machine that is busy no other may come so far."""


class Result(NamedTuple):
    """What so many kills did."""

    kills: int
    acknowledged: int
    in_save: int
    """Kills that left a half-written directory behind."""
    before_training: int
    """Kills that came before the first line was told."""
    broken: list[str]


class Promise(NamedTuple):
    """What a later life must find: the newest acknowledged checkpoint and the last seq that was on the disk then."""

    number: int = 0
    update: int = 0
    seq: int = 0


def kill_often(warm: Warm, root: Path, kills: int, seed: int) -> Result:
    """Start or resume, kill after a random time (the start included), check, again."""
    chance = random.Random(seed)
    session = root / "a"
    promise, broken = Promise(), []
    acknowledged = in_save = early = 0
    for kill in range(kills):
        while_starting = chance.random() < STARTING_SHARE
        before = leftovers(session)
        until = "" if while_starting else "CheckpointSaved" if kill % SAVING == 0 else "Run"
        told = one_life(warm, root, chance.uniform(0.0, LONGEST_S), session.exists(), until)
        saved = [e for e in told if e["type"] == "CheckpointSaved"]
        acknowledged += len(saved)
        early += not told
        if saved:
            promise = Promise(saved[-1]["number"], saved[-1]["at_update"], saved[-1]["seq"])
        if session.exists():
            in_save += bool(leftovers(session) - before)
            broken += [f"kill {kill}: {why}" for why in check(session, promise, told)]
    return Result(kills, acknowledged, in_save, early, broken)


def leftovers(session: Path) -> set[str]:
    """Directories that were under way when their writer died."""
    place = session / "checkpoints"
    return {name for name in os.listdir(place) if name.startswith(".")} if place.exists() else set()


def one_life(warm: Warm, root: Path, delay_s: float, is_resumed: bool, until: str) -> list[dict[str, Any]]:
    """The events that a run told until it was killed, so long after its start or its first event of a kind."""
    words = ("resume", "a", "--max-updates=100000000") if is_resumed else ("run", "--name=a", *BUSY_SAVING)
    program = warm.start(root, words[0], *words[1:], "--no-ui", "--json")
    told = until_told(program, until) if until else []
    time.sleep(delay_s)
    return told + program.kill()


def until_told(program: Program, kind: str) -> list[dict[str, Any]]:
    """Up to the first event whose type begins so."""
    told = []
    for event in program.events():
        told.append(event)
        if event["type"].startswith(kind):
            break
    return told


def check(session: Path, promise: Promise, told: list[dict[str, Any]]) -> list[str]:
    """What of the promises does not hold."""
    try:
        Session.open(session).read()
        survey = CheckpointStore(session).survey()
    except TuiTrainerError as error:
        return [str(error)]
    wrong = [f"unloadable: {bad}" for bad in survey.bad]
    if promise.number:
        newest = CheckpointStore(session).newest_good().manifest
        if newest.number < promise.number:
            wrong.append(f"save {promise.number} was acknowledged, {newest.path} is the newest")
    resumed = [e for e in told if e["type"] == "RunResumed"]
    if resumed and promise.seq < resumed[0]["seq"] and resumed[0]["from_update"] < promise.update:
        wrong.append(f"update {promise.update} was acknowledged, resumed from {resumed[0]['from_update']}")
    return wrong + _journal_gaps(session, promise)


def _journal_gaps(session: Path, promise: Promise) -> list[str]:
    seqs = [entry.event.seq for entry in iter_journal(session / "events.jsonl") if entry.event is not None]
    wrong = [] if seqs == list(range(1, len(seqs) + 1)) else ["seq has a gap"]
    return wrong if not seqs or seqs[-1] >= promise.seq else [*wrong, f"event {promise.seq} is lost"]

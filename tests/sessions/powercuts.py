"""Simulated power cuts: a session is written once, then cut short at random moments and read again."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import NamedTuple

from tui_trainer.errors import TuiTrainerError
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.journal import Journal, read_journal
from tui_trainer.sessions.store import Session

from .faulty_disks import Medium, RecordingDisk
from .world import line, new_session, save, saved_event

SAVES = 8


class Promise(NamedTuple):
    """After so many calls, this much was acknowledged."""

    calls: int
    number: int
    state_sha256: str
    seq: int
    update: int = 0
    """As session.toml has it."""


class Result(NamedTuple):
    cuts: int
    broken: list[str]


def record(root: Path, disk: RecordingDisk) -> list[Promise]:
    """Write a session as an engine does; the promises grow with each acknowledged checkpoint."""
    root.mkdir()
    session = new_session(root, disk=disk)
    promises = [Promise(len(disk.calls), 0, "", 0)]
    store, journal = CheckpointStore(session.path, disk), Journal(session.journal_path, disk)
    for update in range(1, SAVES + 1):
        journal.append([line(journal.last_seq + 1), line(journal.last_seq + 2)])
        manifest = save(store, update, kind="best" if update % 3 == 0 else "regular", score=update)
        journal.append([saved_event(manifest, journal.last_seq + 1)])
        journal.sync()
        promise = Promise(len(disk.calls), manifest.number, manifest.state_sha256, journal.last_seq, update - 1)
        promises.append(promise)
        session.write_status("running", update=update)
        promises.append(promise._replace(calls=len(disk.calls), update=update))
        store.prune(2, 1, 0)
    journal.close()
    return promises


def cut_at_random(directory: Path, disk: RecordingDisk, cuts: int, seed: int) -> Result:
    """Cut the recorded session's power `cuts` times and list every broken promise."""
    chance = random.Random(seed)
    promises = record(directory / "real", disk)
    broken = []
    for cut in range(cuts):
        calls = chance.randint(promises[0].calls, len(disk.calls))
        target = directory / f"cut{cut}"
        medium = Medium(directory / "real")
        medium.play(disk.calls[:calls])
        medium.cut(target, chance)
        promise = [p for p in promises if p.calls <= calls][-1]
        broken += [f"cut {cut} after call {calls}: {why}" for why in check(target / "a", promise)]
        shutil.rmtree(target)
    return Result(cuts, broken)


def check(path: Path, promise: Promise) -> list[str]:
    """What of a promise does not hold."""
    try:
        file = Session.open(path).read()
        survey = CheckpointStore(path).survey()
        events = read_journal(path / "events.jsonl").events
        loaded = CheckpointStore(path).newest_good() if promise.number else None
    except TuiTrainerError as error:
        return [str(error)]
    lost = [f"{bad.directory} is neither whole nor gone: {bad.why}" for bad in survey.bad]
    if file.status.update < promise.update:
        lost.append("status lost")
    if [e.seq for e in events][: promise.seq] != list(range(1, promise.seq + 1)):
        lost.append("events lost")
    if loaded and loaded.manifest.number < promise.number:
        lost.append(f"checkpoint {promise.number} lost, {loaded.manifest.number} found")
    return lost

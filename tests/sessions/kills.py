"""Real SIGKILLs: a child saves, syncs and prunes as fast as it can, dies at random, and its session is read."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import NamedTuple

from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.journal import Journal
from tui_trainer.sessions.store import Session

from .powercuts import Promise, check
from .world import line, new_session, save, saved_event

LONGEST_S = 0.08


class Result(NamedTuple):
    kills: int
    acknowledged: int
    in_save: int
    """Kills that left a temporary directory: they hit a save or a pruning."""
    broken: list[str]


def kill_at_random(directory: Path, kills: int, seed: int) -> Result:
    """Kill a writer of one and the same session again and again; list what broke."""
    chance = random.Random(seed)
    session = new_session(directory)
    broken: list[str] = []
    acknowledged = in_save = 0
    promise = Promise(0, 0, "", 0)
    for kill in range(kills):
        told = _one_life(session.path, chance.uniform(0.0, LONGEST_S))
        acknowledged += len(told)
        promise = told[-1] if told else promise
        in_save += any(name.startswith(".") for name in os.listdir(session.checkpoints_dir))
        broken += [f"kill {kill}: {why}" for why in check(session.path, promise)]
    return Result(kills, acknowledged, in_save, broken)


def _one_life(path: Path, delay: float) -> list[Promise]:
    """Fork a writer, let it acknowledge its first save, kill it `delay` seconds later; what it acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _write_until_killed(path, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.readline()
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        told += pipe.read()
    os.waitpid(child, 0)
    words = [text.split() for text in told.decode().splitlines(keepends=True) if text.endswith("\n")]
    return [Promise(0, int(number), digest, int(seq)) for number, digest, seq in words]


def _write_until_killed(path: Path, pipe: int) -> None:
    try:
        session = Session.open(path)
        with session.lock():
            store, journal = CheckpointStore(path), Journal(path / "events.jsonl")
            store.clean()
            while True:
                update = store.manifests()[0].update + 1 if store.manifests() else 1
                journal.append([line(journal.last_seq + 1)])
                manifest = save(store, update)
                journal.append([saved_event(manifest, journal.last_seq + 1)])
                journal.sync()
                os.write(pipe, f"{manifest.number} {manifest.state_sha256} {journal.last_seq}\n".encode())
                session.write_status("running", update=update)
                store.prune(2, 1, 0)
    finally:
        os._exit(1)

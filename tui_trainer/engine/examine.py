"""Evaluate a checkpoint without training: the same task, the same games, a policy read from a file."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tui_trainer.core.config import Config, Layer, nearest, resolve, without_outgoing
from tui_trainer.core.protocols import Applied, Arbiter, HasApply, HasBound, HasSplit, Policy, Task
from tui_trainer.core.values import EvalResult, Pairing, Ratings
from tui_trainer.errors import DamagedSession, UsageError
from tui_trainer.sessions.checkpoints import CheckpointStore, load_foreign
from tui_trainer.sessions.store import Session

ANCHOR = "random"
"""The player whose rating is 0."""


class Subject(msgspec.Struct):
    """What is evaluated: a state, where it came from and the settings it was trained with."""

    label: str
    state: Mapping[str, Any]
    config: Config


def from_session(session: Session, checkpoint: str) -> Subject:
    """`best`, `latest` or a checkpoint's number. `best` falls back to the latest where none was saved."""
    store = CheckpointStore(session.path)
    config = session.read().settings()
    if checkpoint == "latest":
        loaded = store.newest_good()
        return Subject(loaded.manifest.path, loaded.state, config)
    for manifest in store.manifests():
        if checkpoint in (manifest.kind, str(manifest.number)):
            state, _ = store.load(manifest)
            return Subject(manifest.path, state, config)
    if checkpoint == "best":
        return from_session(session, "latest")
    known = ", ".join(str(manifest.number) for manifest in store.manifests())
    raise UsageError(f"{session.name} has no checkpoint {checkpoint}", f"best, latest or one of {known or 'none'}")


def from_file(path: Path) -> Subject:
    """A state.pt from anywhere, checked strictly before torch sees it; its settings start and send nothing."""
    state = load_foreign(path)
    wall = state.get("wall")
    if not isinstance(wall, Mapping) or not isinstance(wall.get("config"), str):
        raise DamagedSession(f"{path} does not say which settings it was trained with")
    settings, _ = without_outgoing(msgspec.json.decode(wall["config"]))
    return Subject(str(path), state, resolve([Layer(str(path), settings)]).config)


def policy_of(subject: Subject) -> Policy:
    """The greedy policy in a checkpoint, on the CPU."""
    from tui_trainer.engine import assembly

    task = assembly.examined_task(subject.config)
    try:
        return assembly.make_learner(task, subject.config, "cpu").policy_from(subject.state["learner"])
    finally:
        task.close()


def apply(subject: Subject, source: Path, target: Path, pixels: int) -> Iterator[Applied]:
    """Let the policy work on a person's files. Raises UsageError for a task that has no use for them."""
    from tui_trainer.engine import assembly

    task = assembly.examined_task(subject.config)
    try:
        if not isinstance(task, HasApply):
            raise UsageError(f"{task.spec.id} has nothing to apply to files", "vectorize has")
        policy = assembly.make_learner(task, subject.config, "cpu").policy_from(subject.state["learner"])
        yield from task.apply(policy, source, target, pixels)
    finally:
        task.close()


class Examined(NamedTuple):
    """A result, and whether what it was played on is what the session held out."""

    result: EvalResult
    same_split: bool


def evaluate(subject: Subject, episodes: int, seed: int) -> Examined:
    """Play every part of the reference suite with `seed`, on what the session held out where that is still known."""
    import torch

    from tui_trainer import algorithms
    from tui_trainer.engine.assembly import bare_task
    from tui_trainer.training.evaluation import merge

    torch.set_num_threads(subject.config.run.threads)
    task = bare_task(subject.config)
    try:
        learner = algorithms.build(subject.config.run.algorithm, task, subject.config, "cpu")
        policy = learner.policy_from(subject.state["learner"])
        same_split = task.recall_split(subject.state.get("task", {})) if isinstance(task, HasSplit) else True
        parts = {part: task.evaluate(policy, part=part, episodes=episodes, seed=seed) for part in task.spec.parts}
        bound = task.bound() if isinstance(task, HasBound) else None
        return Examined(merge(task.spec, parts, baselines=task.baselines(), bound=bound), same_split)
    finally:
        task.close()


def rate(
    subject: Subject,
    snapshots: Mapping[str, Mapping[str, Any]],
    opponents: Sequence[str],
    games: int,
    seed: int,
    told: Callable[[Pairing], None],
) -> Ratings:
    """Every pair of snapshots and opponents plays `games` games; `told` hears of each pair when it is done.

    `snapshots`: learner states by name. Raises UsageError for a task whose players cannot meet, or an opponent that
    it has not.
    """
    import torch

    from tui_trainer.engine import assembly
    from tui_trainer.tasks.ratings import rated

    torch.set_num_threads(subject.config.run.threads)
    task = assembly.examined_task(subject.config)
    try:
        arbiter = _arbiter(task, subject.config.run.task, opponents)
        learner = assembly.make_learner(task, subject.config, "cpu")
        players: dict[str, Policy | str] = {name: name for name in opponents or arbiter.opponents}
        players |= {name: learner.policy_from(state) for name, state in snapshots.items()}
        pairings = []
        for one, two in itertools.combinations(players, 2):
            score = arbiter.match(players[one], players[two], games=games, seed=seed)
            pairings.append(Pairing(one=one, two=two, wins=score.wins, draws=score.draws, losses=score.losses))
            told(pairings[-1])
        return rated(subject.config.run.task, pairings, ANCHOR, games, seed)
    finally:
        task.close()


def _arbiter(task: Task, task_id: str, opponents: Sequence[str]) -> Arbiter:
    if not isinstance(task, Arbiter) or ANCHOR not in task.opponents:
        raise UsageError(f"{task_id} is no game whose players can meet", "games for two have ratings")
    for name in opponents:
        if name not in task.opponents:
            close = nearest(name, list(task.opponents))
            known = ", ".join(task.opponents)
            raise UsageError(
                f"there is no opponent {name!r}", f"did you mean {close}?" if close else f"there are {known}"
            )
    if opponents and ANCHOR not in opponents:
        raise UsageError(f"--against leaves out {ANCHOR}", f"every rating is counted from {ANCHOR}, which has 0")
    return task

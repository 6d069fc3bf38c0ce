"""Evaluate a checkpoint without training: the same task, the same games, a policy read from a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tui_trainer.core.config import Config, Layer, resolve, without_outgoing
from tui_trainer.core.protocols import Applied, HasApply, HasBound, Policy
from tui_trainer.core.values import EvalResult
from tui_trainer.errors import DamagedSession, UsageError
from tui_trainer.sessions.checkpoints import CheckpointStore, load_foreign
from tui_trainer.sessions.store import Session


class Subject(msgspec.Struct):
    """What is evaluated: a state, where it came from and the settings it was trained with."""

    label: str
    state: Mapping[str, Any]
    config: Config


def from_session(session: Session, checkpoint: str) -> Subject:
    """`best`, `latest` or a checkpoint's number. `best` falls back to the latest where none was saved."""
    store = CheckpointStore(session.path)
    config = resolve(session.read().layers()).config
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

    task = assembly.bare_task(subject.config)
    try:
        return assembly.make_learner(task, subject.config, "cpu").policy_from(subject.state["learner"])
    finally:
        task.close()


def apply(subject: Subject, source: Path, target: Path, pixels: int) -> Iterator[Applied]:
    """Let the policy work on a person's files. Raises UsageError for a task that has no use for them."""
    from tui_trainer.engine import assembly

    task = assembly.bare_task(subject.config)
    try:
        if not isinstance(task, HasApply):
            raise UsageError(f"{task.spec.id} has nothing to apply to files", "vectorize has")
        policy = assembly.make_learner(task, subject.config, "cpu").policy_from(subject.state["learner"])
        yield from task.apply(policy, source, target, pixels)
    finally:
        task.close()


def evaluate(subject: Subject, episodes: int, seed: int) -> EvalResult:
    """Play every part of the reference suite with `seed`."""
    import torch

    from tui_trainer import algorithms
    from tui_trainer.engine.assembly import bare_task
    from tui_trainer.training.evaluation import merge

    torch.set_num_threads(subject.config.run.threads)
    task = bare_task(subject.config)
    try:
        learner = algorithms.build(subject.config.run.algorithm, task, subject.config, "cpu")
        policy = learner.policy_from(subject.state["learner"])
        parts = {part: task.evaluate(policy, part=part, episodes=episodes, seed=seed) for part in task.spec.parts}
        bound = task.bound() if isinstance(task, HasBound) else None
        return merge(task.spec, parts, baselines=task.baselines(), bound=bound)
    finally:
        task.close()

"""Runs that are cut at chosen moments and taken up again by fresh objects: what differs from the run that was not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch

from tui_trainer import tasks
from tui_trainer.algorithms import ALGORITHMS
from tui_trainer.core import actions, reports
from tui_trainer.core.config import Config, Layer, resolve
from tui_trainer.core.segments import Segment
from tui_trainer.engine import assembly
from tui_trainer.engine.loop import Place
from tui_trainer.engine.meter import Meter
from tui_trainer.errors import ConfigError, MissingExtra
from tui_trainer.sessions.checkpoints import CheckpointStore, frozen_copy
from tui_trainer.training.manager import TrainingManager

NORMALISED = {"normalize_observations": True, "normalize_rewards": True}
MORE: dict[str, dict[str, Any]] = {
    "gym:CartPole-v1": {"ppo": NORMALISED},
    "gym:MountainCar-v0": {"task": {"vectorization": "sync"}, "manager": {"episodes": {"max_steps": 25}}},
    "trading": {"task": {"instruments": 4, "bars": 2048}, "manager": {"episodes": {"max_steps": 60}}},
    "cache": {"manager": {"episodes": {"max_steps": 40}}},
    "connect_four": {"manager": {"evaluation": {"every_updates": 10_000}}},
}
"""What is small, or otherwise as it should be, for a task; episodes short enough to end within a few updates."""
FAMILIES = ("gym:CartPole-v1", "gym:MountainCar-v0")
SMALL: dict[str, Any] = {
    "ppo": {"num_envs": 8, "n_steps": 16, "batch_size": 64, "n_epochs": 2, "pool_every": 2, "pool_share": 0.5},
    "dqn": {"num_envs": 8, "train_freq": 64, "learning_starts": 100, "batch_size": 32, "buffer_size": 600,
            "exploration_steps": 2000, "target_update_interval": 128, "hidden": [32, 32]},
    "manager": {"evaluation": {"every_updates": 4, "episodes": 4, "final_episodes": 0}},
}  # fmt: skip


class Case(NamedTuple):
    """An algorithm on a task."""

    algorithm: str
    task: str

    def config(self, updates: int) -> Config:
        """Small settings that end after so many updates."""
        run = {"run": {"algorithm": self.algorithm, "task": self.task, "device": "cpu", "log_every_updates": 1}}
        ends = {"manager": {"termination": {"max_updates": updates, "intelligent": False}}}
        more = Layer("more", MORE.get(self.task, {}))
        return resolve([Layer("small", SMALL), Layer("run", run), Layer("ends", ends), more]).config


def cases() -> list[Case]:
    """Every algorithm on every built-in task that promises exact resumes and is installed."""
    ids = [task for task in tasks.TASKS if not task.endswith(":")] + list(FAMILIES)
    return [Case(algorithm, task) for task in ids for algorithm in ALGORITHMS if _fits(Case(algorithm, task))]


def _fits(case: Case) -> bool:
    try:
        config = case.config(1)
        spec = tasks.spec_of(case.task, config.task, 2)
        return spec.resume == "exact" and (case.algorithm != "dqn" or spec.action == "discrete")
    except (MissingExtra, ConfigError):
        return False


class Life:
    """The real task, learner and manager, one action at a time; a collect is one step of every environment."""

    def __init__(self, config: Config, state: Mapping[str, Any] | None = None) -> None:
        assembly.prepare(config)
        self._config = config
        self.task = assembly.make_task(config)
        self.learner = assembly.make_learner(self.task, config, "cpu")
        self.manager = TrainingManager(config, self.task.spec, self.task.difficulty_space())
        self._place = Place()
        if state is not None:
            meter = Meter(1, lambda: 0.0)
            assembly.put_back(assembly.Stand(self.task, self.learner, self.manager, meter, self._place), state)
        self.manager.start(0.0)

    def live(self) -> Iterator[reports.AnyReport]:
        """Each action's report, to the end."""
        while not isinstance(action := self.manager.next_action(), actions.End):
            report = self._perform(action)
            self._place.advance(action, report)
            self.manager.observe(report, 0.0)
            yield report
        self.task.close()

    def _perform(self, action: actions.AnyAction) -> reports.AnyReport:
        match action:
            case actions.Collect():
                return self.learner.collect(0.0)
            case actions.Learn():
                return self.learner.learn()
            case actions.Evaluate(suite=suite, part=part, episodes=episodes, seed=seed):
                result = self.task.evaluate(self.learner.policy(), part=part, episodes=episodes, seed=seed)
                return reports.EvaluationReport(suite=suite, part=part, result=result)
            case actions.SaveCheckpoint(kind=kind):
                return reports.CheckpointReport(kind=kind, number=0)
            case actions.ApplyDifficulty(difficulty=difficulty):
                if self.task.difficulty_space() is not None:
                    self.task.set_difficulty(difficulty)
                return reports.DifficultyReport(difficulty=difficulty)
            case actions.ApplySetting(key=key, value=value):
                return reports.SettingReport(key=key, old=self.learner.set(key.split(".")[-1], value), new=value)
            case _:
                raise AssertionError(f"{action} was not to come here")

    def state(self) -> dict[str, Any]:
        """As the loop saves it."""
        config = msgspec.json.encode(self._config).decode()
        return {
            "learner": self.learner.state_dict(),
            "task": self.task.state_dict(),
            "manager": self.manager.state_dict(),
            **assembly.global_state(),
            "place": {"turn": self._place.turn, "orders": self._place.orders},
            "wall": {"config": config, "log_every": 1, "is_mid_rollout": self._place.is_mid_rollout},
        }


def cut(case: Case, updates: int, every: int, directory: Path) -> list[str]:
    """A run to its end, with a checkpoint of its own at each cut: after updates, amid episodes, where one just ended.

    Returns the cuts; `whole` is the end of a run that was never looked at.
    """
    undisturbed = Life(case.config(updates))
    for _ in undisturbed.live():
        pass
    save(undisturbed, directory / "whole")
    life, made = Life(case.config(updates)), []
    for report in life.live():
        name = _name_of_cut(report, life.manager.update, every)
        if name and name not in made and life.manager.update < updates:
            made.append(name)
            save(life, directory / name)
    assert made, case
    return made


def _name_of_cut(report: reports.AnyReport, update: int, every: int) -> str:
    match report:
        case reports.UpdateReport() if update % every == 0:
            return f"after-{update}"
        case reports.CollectReport(complete=False, episodes=episodes) if update % every == 1:
            return f"end-in-{update + 1}" if episodes else f"amid-{update + 1}"
        case _:
            return ""


def save(life: Life, path: Path) -> None:
    """The state as a checkpoint."""
    (path / "checkpoints").mkdir(parents=True)
    store = CheckpointStore(path)
    store.save(store.snapshot(life.state()), kind="manual", update=life.manager.update, global_step=0)


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote."""
    return CheckpointStore(path).newest_good().state


def resume(case: Case, updates: int, path: Path) -> dict[str, Any]:
    """The state at the end of a run that fresh objects took up from a checkpoint."""
    life = Life(case.config(updates), load(path))
    for _ in life.live():
        pass
    return frozen_copy(life.state())


class Difference(NamedTuple):
    """How two states differ."""

    values: int
    """Tensors, arrays, numbers, texts."""
    differing: int
    bytes: int
    differing_bytes: int
    where: tuple[str, ...]


def compare(one: Any, other: Any) -> Difference:
    """Every value of two states but what depends on wall time, byte by byte."""
    a, b = dict(_leaves(one)), dict(_leaves(other))
    sizes, wrong = 0, {}
    for name in sorted(a.keys() | b.keys()):
        mine, yours = a.get(name, b""), b.get(name, b"")
        sizes += max(len(mine), len(yours))
        if mine != yours:
            wrong[name] = sum(x != y for x, y in zip(mine, yours)) + abs(len(mine) - len(yours))
    return Difference(len(a.keys() | b.keys()), len(wrong), sizes, sum(wrong.values()), tuple(wrong))


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, bytes]]:
    match value:
        case Mapping():
            for key, inner in value.items():
                if key != "wall":
                    yield from _leaves(inner, f"{path}/{key}")
        case list() | tuple():
            yield f"{path}#", str(len(value)).encode()
            for index, inner in enumerate(value):
                yield from _leaves(inner, f"{path}/{index}")
        case Segment():
            yield path, b"" if value.array is None else value.array.tobytes()
        case torch.Tensor():
            yield path, value.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy().tobytes()
        case np.ndarray() | np.generic():
            yield path, value.tobytes()
        case float():
            yield path, np.float64(value).tobytes()
        case _:
            yield path, json.dumps(value).encode()

"""What updates: a registry of algorithms and how to build one. Importing this loads neither torch nor numpy."""

from __future__ import annotations

from typing import cast

from tui_trainer.core.config import Config, nearest
from tui_trainer.core.protocols import Learner, Task
from tui_trainer.core.registry import Entry, installed, load
from tui_trainer.errors import UsageError

ENTRY_POINTS = "tui_trainer.algorithms"

ALGORITHMS: dict[str, Entry] = {
    entry.id: entry
    for entry in (
        Entry(
            id="ppo",
            summary="Proximal policy optimisation: discrete (masked) or box actions, self-play with a pool.",
            factory="tui_trainer.algorithms.ppo_resident:learner",
        ),
        Entry(
            id="dqn",
            summary="Double deep Q-learning with a replay buffer: discrete (masked) actions, one or two players.",
            factory="tui_trainer.algorithms.dqn:DQN",
        ),
    )
}


def build(algorithm: str, task: Task, config: Config, device: str) -> Learner:
    """A learner for `task`, seeded from `config.run.seed`; `device` is resolved: `cpu` or `cuda[:N]`.

    Resets the task. Raises UsageError for an unknown algorithm and ConfigError where task and settings do not fit.
    """
    return cast(Learner, load(_entry(algorithm))(task, config, device))


def check_id(algorithm: str) -> None:
    """Raise UsageError where there is no such algorithm. Loads nothing."""
    _entry(algorithm)


def num_envs_of(config: Config) -> int:
    """Environments that the configured algorithm wants; one from a package says so in [algorithm], 8 otherwise."""
    match config.run.algorithm:
        case "ppo":
            return config.ppo.num_envs
        case "dqn":
            return config.dqn.num_envs
        case _:
            return int(config.algorithm.get("num_envs", 8))


def steps_per_update(config: Config) -> int | None:
    """Environment steps of an update of all ranks together; None where only a package's learner knows."""
    match config.run.algorithm:
        case "ppo":
            return config.ppo.num_envs * config.ppo.n_steps
        case "dqn":
            return config.dqn.num_envs * -(-config.dqn.train_freq // config.dqn.num_envs)
        case _:
            return None


def _entry(algorithm: str) -> Entry:
    if algorithm in ALGORITHMS:
        return ALGORITHMS[algorithm]
    plugins = installed(ENTRY_POINTS)
    if algorithm in plugins:
        return plugins[algorithm]
    known = [*ALGORITHMS, *plugins]
    close = nearest(algorithm, known)
    hint = f"did you mean {close}?" if close else f"One of: {', '.join(known)}."
    raise UsageError(f"run.algorithm: {algorithm!r} is not an algorithm", hint)

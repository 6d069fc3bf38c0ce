"""What updates: a registry of algorithms and how to build one. Importing this loads neither torch nor numpy."""

from __future__ import annotations

from typing import Any, cast

from tui_trainer.core.config import Config, Settings, nearest
from tui_trainer.core.protocols import Learner, Task
from tui_trainer.core.registry import Entry, load
from tui_trainer.errors import UsageError

ALGORITHMS: dict[str, Entry] = {
    entry.id: entry
    for entry in (
        Entry(
            id="ppo",
            summary="Proximal policy optimisation: discrete (masked) or box actions, self-play with a pool.",
            factory="tui_trainer.algorithms.ppo:PPO",
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


def settings_of(config: Config, algorithm: str) -> Settings:
    """The algorithm's own settings table, such as `config.ppo`."""
    table: Any = getattr(config, _entry(algorithm).id)
    return cast(Settings, table)


def _entry(algorithm: str) -> Entry:
    if algorithm in ALGORITHMS:
        return ALGORITHMS[algorithm]
    close = nearest(algorithm, list(ALGORITHMS))
    hint = f"did you mean {close}?" if close else f"known: {', '.join(ALGORITHMS)}"
    raise UsageError(f"{algorithm!r} is not an algorithm", hint)

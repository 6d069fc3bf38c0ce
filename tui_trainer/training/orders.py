"""Which settings may change while a run is live, and why an order about one cannot be carried out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tui_trainer.core.config import Config, Layer, get, known_keys, nearest, resolve, setting_help, to_table
from tui_trainer.errors import ConfigError

LEARNER_KEYS = ("ppo.learning_rate", "ppo.ent_coef", "ppo.clip_range", "ppo.pool_share", "dqn.learning_rate")
"""Settings that the learner takes live."""
MANAGER_KEYS = (
    "manager.evaluation.every_updates",
    "manager.checkpoints.every_updates",
    "manager.termination.max_updates",
    "manager.termination.max_episodes",
    "manager.termination.max_steps",
    "manager.termination.max_hours",
)
"""Settings that the manager itself obeys."""
SAFE_KEYS = LEARNER_KEYS + MANAGER_KEYS
HOSTED_KEYS = tuple(key for key in MANAGER_KEYS if key != "manager.evaluation.every_updates")
"""Those that count where a script of its own evaluates when it likes."""


def setting_objection(config: Config, key: str, value: float) -> str:
    """Why this setting cannot be set to this value now, in one sentence; empty when it can."""
    if key not in SAFE_KEYS:
        return _unsafe(key)
    if key in LEARNER_KEYS and key.split(".")[0] != config.run.algorithm:
        return f"this run trains with {config.run.algorithm}: {key} has no effect on it"
    if key == "ppo.pool_share" and not (config.ppo.pool_size and config.ppo.pool_share):
        return "this run began without a pool of opponents: fork it with ppo.pool_size and ppo.pool_share above 0"
    if not math.isfinite(value):
        return f"{key} must be a finite number"
    try:
        resolve([Layer("order", _nested(key, value))])
    except ConfigError as error:
        _, _, problem = error.message.partition(f"{key}: ")
        return f"{key} = {value:g}: {problem or error.message} ({setting_help(key)})"
    return ""


def host_setting_objection(settings: Mapping[str, float], key: str, value: float) -> str:
    """Why a setting of a guest's script cannot be set to this value; empty when it can."""
    if key not in settings:
        known = ", ".join((*settings, *HOSTED_KEYS))
        return f"this script takes no {key} live (run.on_set offers one); these can be set: {known}"
    return "" if math.isfinite(value) else f"{key} must be a finite number"


def with_values(config: Config, values: Mapping[str, float]) -> Config:
    """The configuration with these settings in place of its own. The values were checked before."""
    if not values:
        return config
    table = to_table(config)
    for key, value in values.items():
        _put(table, key, value)
    return resolve([Layer("run", table)]).config


def learner_settings(config: Config) -> dict[str, float]:
    """The live settings of this run's algorithm, as configured."""
    mine = (key for key in LEARNER_KEYS if key.split(".")[0] == config.run.algorithm)
    return {key: float(get(config, key)) for key in mine}


def fixed_settings(config: Config) -> dict[str, float]:
    """What advice may name and only a new run can change."""
    return {"ppo.n_steps": float(config.ppo.n_steps)} if config.run.algorithm == "ppo" else {}


def _unsafe(key: str) -> str:
    close = nearest(key, list(SAFE_KEYS))
    if key in known_keys():
        return f"{key} cannot be changed while the run is live; these can: {', '.join(SAFE_KEYS)}"
    return f"{key} is not a setting" + (f"; did you mean {close}?" if close else "")


def _nested(key: str, value: float) -> dict[str, Any]:
    table: dict[str, Any] = {}
    _put(table, key, value)
    return table


def _put(table: dict[str, Any], key: str, value: float) -> None:
    *parents, last = key.split(".")
    for name in parents:
        table = table.setdefault(name, {})
    table[last] = value


__all__ = [
    "HOSTED_KEYS",
    "LEARNER_KEYS",
    "MANAGER_KEYS",
    "SAFE_KEYS",
    "fixed_settings",
    "host_setting_objection",
    "learner_settings",
    "setting_objection",
    "with_values",
]

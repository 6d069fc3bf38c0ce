"""Spec, shapes and dtypes."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from tui_trainer.core.protocols import Reset, Step, TaskSpec
from tui_trainer.tasks.checks.kit import ENVS, SEED, Kit, random_play, require


def spec_is_complete(kit: Kit) -> str:
    """Every fact of the spec is one that a learner can work with."""
    with contextlib.closing(kit.make(ENVS)) as task:
        spec = task.spec
    require(spec.num_envs == ENVS, f"num_envs is {spec.num_envs}, {ENVS} were asked for")
    require(spec.action in ("discrete", "box"), f"action is {spec.action!r}, not discrete or box")
    require(spec.n >= 1, f"n is {spec.n}")
    require(spec.players in (1, 2), f"players is {spec.players}")
    require(spec.action_low < spec.action_high, f"action_low {spec.action_low} is not below {spec.action_high}")
    require(len(set(spec.parts)) == len(spec.parts) > 0, f"parts are {spec.parts}: some name is missing or doubled")
    require(not (spec.masked and spec.action == "box"), "a box action cannot be masked")
    require(np.dtype(spec.obs_dtype).kind in "buif", f"obs_dtype {spec.obs_dtype} is no number")
    return f"observation {spec.obs_dtype} {spec.obs_shape}, {spec.action} {spec.n}, resume {spec.resume}"


def shapes_are_those_of_the_spec(kit: Kit) -> str:
    """Every field of Reset and Step has the shape and dtype that the spec and the contract name."""
    for num_envs in (1, 3, ENVS):
        with contextlib.closing(kit.make(num_envs)) as task:
            start = task.reset(SEED)
            require_decision(task.spec, start, f"reset with {num_envs} environments")
            for t, step in enumerate(random_play(task, start, 60)):
                require_step(task.spec, step, f"step {t} with {num_envs} environments")
    return f"with 1, 3 and {ENVS} environments"


def require_step(spec: TaskSpec, step: Step, where: str) -> None:
    n = spec.num_envs
    require_decision(spec, step, where)
    require_array("final_obs", step.final_obs, (n, *spec.obs_shape), spec.obs_dtype, where)
    require_array("reward", step.reward, (n,), "float32", where)
    for name in ("terminated", "truncated", "valid"):
        require_array(name, getattr(step, name), (n,), "bool", where)
    require_array("outcome", step.outcome, (n,), "int8", where)
    for name, values in (step.info or {}).items():
        require(isinstance(values, np.ndarray), f"info {name} is a {type(values).__name__}, not an array, at {where}")
        require(values.shape == (n,), f"info {name} has shape {values.shape}, not {(n,)}, at {where}")
        require(values.dtype.kind in "biuf", f"info {name} is {values.dtype}, no number, at {where}")


def require_decision(spec: TaskSpec, given: Reset | Step, where: str) -> None:
    n = spec.num_envs
    require_array("obs", given.obs, (n, *spec.obs_shape), spec.obs_dtype, where)
    require_array("to_move", given.to_move, (n,), "int8", where)
    require(given.to_move.min() >= 0 and given.to_move.max() < spec.players, f"to_move names no player at {where}")
    if spec.masked or given.mask is not None:
        require(spec.masked, f"a mask is given at {where}, but spec.masked is False")
        require_array("mask", given.mask, (n, spec.n), "bool", where)


def require_array(name: str, value: Any, shape: tuple[int, ...], dtype: str, where: str) -> None:
    require(isinstance(value, np.ndarray), f"{name} is a {type(value).__name__}, not an array, at {where}")
    require(value.shape == shape, f"{name} has shape {value.shape}, not {shape}, at {where}")
    require(value.dtype == np.dtype(dtype), f"{name} is {value.dtype}, not {np.dtype(dtype)}, at {where}")

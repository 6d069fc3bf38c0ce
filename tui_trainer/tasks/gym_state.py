"""What decides a Gymnasium environment's next step, as plain values: read from it and written back.

Gymnasium has no state_dict. Every attribute of the environment and its wrappers is looked at: plain values, arrays and
generators are state; spaces, specs and enums are construction; anything else (a physics world, an emulator) cannot be
copied exactly, and the environment is then honest about it: `is_exact` is False.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np

from tui_trainer.tasks.arrays import generator_state, load_generator
from tui_trainer.tasks.gym_failures import Breakable

_BUILT = (gymnasium.Space, gymnasium.envs.registration.EnvSpec, enum.Enum)
_LINKS = frozenset({"env", "envs", "env_fns"})
_GENERATOR = "generator"


def layers(env: Any) -> Iterator[Any]:
    """The environment's objects in a fixed order: wrappers outside in, and each environment of a vector."""
    if not isinstance(env, Breakable):
        yield env
    for inner in getattr(env, "envs", ()):
        yield from layers(inner)
    if "env" in vars(env):
        yield from layers(vars(env)["env"])


def is_exact(env: Any) -> bool:
    """Whether every attribute is state that can be copied, or construction."""
    return all(
        _is_state(value) or _is_built(name, value) for layer in layers(env) for name, value in _attributes(layer)
    )


def read(env: Any) -> list[dict[str, object]]:
    """Every layer's state."""
    return [{name: _packed(value) for name, value in _attributes(layer) if _is_state(value)} for layer in layers(env)]


def write(env: Any, state: list[Mapping[str, Any]]) -> None:
    """Undo of `read`, on an environment made in the same way."""
    for layer, saved in zip(layers(env), state, strict=True):
        for name, value in saved.items():
            if isinstance(value, Mapping) and _GENERATOR in value:
                load_generator(vars(layer)[name], value[_GENERATOR])
            else:
                vars(layer)[name] = _copied(value)


def _attributes(layer: Any) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in vars(layer).items() if name not in _LINKS)


def _is_built(name: str, value: Any) -> bool:
    return isinstance(value, _BUILT) or (name == "metadata" and isinstance(value, dict))


def _is_state(value: Any) -> bool:
    match value:
        case None | bool() | int() | float() | str() | np.generic():
            return not isinstance(value, enum.Enum)
        case np.ndarray():
            return value.dtype.kind in "biufc"
        case np.random.Generator():
            return isinstance(value.bit_generator, np.random.PCG64)
        case list() | tuple():
            return all(_is_state(item) and not isinstance(item, np.random.Generator) for item in value)
        case dict():
            return all(
                isinstance(key, str) and _is_state(item) and not isinstance(item, np.random.Generator)
                for key, item in value.items()
            )
        case _:
            return False


def _packed(value: Any) -> object:
    return {_GENERATOR: generator_state(value)} if isinstance(value, np.random.Generator) else _copied(value)


def _copied(value: Any) -> Any:
    match value:
        case np.ndarray():
            return np.array(value)
        case list() | tuple():
            return type(value)(_copied(item) for item in value)
        case dict():
            return {key: _copied(item) for key, item in value.items()}
        case _:
            return value

"""Array types of the tasks, and how arrays and generators go into a state and come back bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_trainer.errors import DamagedSession, UsageError

Array: TypeAlias = NDArray[Any]
Float: TypeAlias = NDArray[np.float32]
Bool: TypeAlias = NDArray[np.bool_]
Int: TypeAlias = NDArray[np.int64]
Small: TypeAlias = NDArray[np.int8]


def generator_of(seed: int, *stream: int) -> np.random.Generator:
    """An independent PCG64 generator for each stream of a seed."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *stream])))


def generator_state(generator: np.random.Generator) -> dict[str, object]:
    """A PCG64 generator's state as plain values; its 128-bit integers as strings."""
    state: Any = generator.bit_generator.state
    return {
        "state": str(state["state"]["state"]),
        "inc": str(state["state"]["inc"]),
        "has_uint32": int(state["has_uint32"]),
        "uinteger": int(state["uinteger"]),
    }


def load_generator(generator: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Set a PCG64 generator to a state of `generator_state`."""
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": int(state["state"]), "inc": int(state["inc"])},
        "has_uint32": int(state["has_uint32"]),
        "uinteger": int(state["uinteger"]),
    }


def loaded(like: Array, state: Mapping[str, Any], key: str) -> Array:
    """A copy of the state's array or tensor. Raises DamagedSession where it is missing or not `like` what it replaces.

    A copy, never a write in place: the array it replaces may be in somebody's hands.
    """
    if key not in state:
        raise DamagedSession(f"the task's state lacks {key!r}", "use an older checkpoint of the session")
    value = np.asarray(state[key]).copy()
    if value.shape != like.shape or value.dtype != like.dtype:
        raise DamagedSession(
            f"the task's {key!r} is {value.dtype} {value.shape}, this run needs {like.dtype} {like.shape}",
            "resume with the settings it was made with",
        )
    return value


def require_same_data(state: Mapping[str, Any], digest: str, what: str, hint: str) -> None:
    """Raises DamagedSession where a state was made with other data than that of `digest`."""
    if state.get("data") != digest:
        raise DamagedSession(f"the {what} are not those that the session was trained on", hint)


def between(ascending: Array, low: float, high: float) -> tuple[int, int]:
    """First and past-the-last index of the values in [low, high]; the nearest one's where there is none."""
    first = int(np.searchsorted(ascending, low - 1e-9, "left"))
    last = int(np.searchsorted(ascending, high + 1e-9, "right"))
    if last > first:
        return first, last
    nearest = min(first, len(ascending) - 1)
    return nearest, nearest + 1


def require_legal(task: str, action: Int, mask: Bool) -> None:
    """`action` (N,) within `mask` (N, n). Raises UsageError naming the first that is not."""
    known = (action >= 0) & (action < mask.shape[1])
    legal = mask[np.arange(len(action)), np.where(known, action, 0)] & known
    if not legal.all():
        row = int(np.flatnonzero(~legal)[0])
        if not mask[row].any():
            raise UsageError(f"{task}: environment {row} has no legal action: its mask is empty")
        raise UsageError(f"{task}: action {int(action[row])} is illegal in environment {row}")

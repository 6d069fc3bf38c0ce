"""Spaces of Gymnasium, which PettingZoo uses too: how observations and actions go in and out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, flatdim, flatten

from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import Array, Bool

_MOST_JOINT_ACTIONS = 4096


class Actions:
    """How a learner's actions become the environment's. `choices`: how many each part of a multi-discrete one has."""

    def __init__(
        self,
        kind: Literal["discrete", "box"],
        n: int,
        to_env: Callable[[Array], Any],
        low: float,
        high: float,
        choices: tuple[int, ...] = (),
    ) -> None:
        self.kind, self.n, self.to_env, self.low, self.high = kind, n, to_env, low, high
        self.choices = choices or (n,)

    def mask(self, given: Any) -> Bool:
        """The legal actions (n,) of what an environment gives: one word for each action, or for each choice of each
        part, one after the other or as a tuple; then an action is legal where all of its parts are.

        Raises ValueError for any other length.
        """
        flat = np.concatenate([np.ravel(part) for part in given]) if isinstance(given, tuple) else np.ravel(given)
        legal: Bool = flat.astype(np.bool_)
        if len(legal) == self.n:
            return legal
        if len(legal) != sum(self.choices):
            lengths = " or ".join(str(length) for length in sorted({self.n, sum(self.choices)}))
            raise ValueError(f"an action mask has {len(legal)} entries, not {lengths}")
        parts = np.split(legal, np.cumsum(self.choices)[:-1])
        found: Bool = np.array(functools.reduce(np.logical_and.outer, parts)).ravel()
        return found


def actions_of(space: Any, task_id: str) -> Actions:
    """Discrete; multi-discrete as one number; box clipped to its bounds, scaled to [-1, 1] where they differ.

    Raises UsageError for any other space.
    """
    match space:
        case Discrete():
            codes = (np.arange(int(space.n)) + int(space.start)).astype(space.dtype)
            return Actions("discrete", int(space.n), codes.take, -1.0, 1.0)
        case MultiDiscrete() if int(np.prod(space.nvec)) <= _MOST_JOINT_ACTIONS:
            nvec = tuple(int(n) for n in space.nvec.ravel())
            shape, start = space.shape, np.asarray(space.start)

            def unravel(action: Array) -> Array:
                try:
                    parts = np.stack(np.unravel_index(action, nvec), axis=1)
                except ValueError as error:
                    raise UsageError(f"{task_id}: {error}: there are {int(np.prod(nvec))} joint actions") from None
                return np.asarray((parts.reshape(-1, *shape) + start).astype(space.dtype))

            return Actions("discrete", int(np.prod(nvec)), unravel, -1.0, 1.0, nvec)
        case Box() if space.dtype.kind == "f":
            return _box_actions(space)
    raise UsageError(f"{task_id}: actions of {type(space).__name__} are not supported", "discrete and box are")


class Looked(MultiDiscrete):
    """A vector environment's action space for actions that `Actions.to_env` picked out of it: all of them belong.

    Asserting so at each step costs a batched CartPole a sixth of its time.
    """

    def __init__(self, space: MultiDiscrete) -> None:
        super().__init__(space.nvec, dtype=space.dtype.type, start=space.start)

    def contains(self, x: Any) -> bool:
        """True."""
        return True


def _box_actions(space: Any) -> Actions:
    n, shape, dtype = int(np.prod(space.shape)), space.shape, space.dtype
    low, high = space.low.ravel().astype(np.float32), space.high.ravel().astype(np.float32)
    low, high = np.where(np.isfinite(low), low, -1.0), np.where(np.isfinite(high), high, 1.0)
    if (low == low[0]).all() and (high == high[0]).all():
        bounds = float(low[0]), float(high[0])
        return Actions("box", n, lambda a: np.clip(a, *bounds).reshape(-1, *shape).astype(dtype), *bounds)
    half, centre = (high - low) / 2, (high + low) / 2

    def scaled(action: Array) -> Array:
        inside = np.clip(centre + half * np.clip(action, -1.0, 1.0), low, high)
        return np.asarray(inside.reshape(-1, *shape).astype(dtype))

    return Actions("box", n, scaled, -1.0, 1.0)


def planes_are_last(space: Any) -> bool:
    """Whether a box is a board or image whose planes come last."""
    return len(space.shape) == 3 and space.shape[2] < min(space.shape[:2])


class Views:
    """How an agent's observation becomes an array and, where it holds one, a mask of legal actions.

    A board or image with its planes last is turned so that they come first; whole numbers 0 and 1 become bytes.
    """

    def __init__(self, space: Any, actions: Actions | None = None) -> None:
        self._joint = actions
        self.masked = isinstance(space, Dict) and {"observation", "action_mask"} <= set(space.spaces)
        self._space = space["observation"] if self.masked else space
        box = self._space if isinstance(self._space, Box) else None
        self.binary = bool(
            box is not None and box.dtype.kind in "bui" and float(box.low.min()) >= 0 and float(box.high.max()) <= 1
        )
        is_bytes = self.binary or (box is not None and box.dtype == np.uint8)
        self.dtype = "uint8" if is_bytes else "float32"
        self._turned = box is not None and planes_are_last(box)
        shape = (flatdim(self._space),) if box is None else box.shape
        self.shape: tuple[int, ...] = (shape[2], shape[0], shape[1]) if self._turned else tuple(shape)

    def array(self, seen: Any) -> Array:
        """The observation alone."""
        inner = seen["observation"] if self.masked else seen
        if not isinstance(self._space, Box):
            inner = flatten(self._space, inner)
        found = np.moveaxis(inner, 2, 0) if self._turned else np.asarray(inner)
        return found.astype(self.dtype)

    def mask(self, seen: Any) -> Bool | None:
        """The legal actions, or None."""
        if not self.masked:
            return None
        given = seen["action_mask"]
        return np.asarray(given).astype(np.bool_) if self._joint is None else self._joint.mask(given)

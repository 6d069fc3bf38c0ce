"""Playing any task by its spec alone: random and fixed players, recorded transitions, their comparison."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tui_trainer.core.protocols import Step, Task, TaskSpec
from tui_trainer.tasks.arrays import Array, Bool, Float, generator_of


class RandomPlayer:
    """Any legal action with the same probability, from a generator of its own."""

    def __init__(self, spec: TaskSpec, seed: int) -> None:
        self._spec = spec
        self._rng = generator_of(seed)

    def act(self, obs: Array, mask: Bool | None) -> Array:
        """(N, *obs_shape), (N, n) -> (N,) int64 or (N, n) float32."""
        spec, count = self._spec, len(obs)
        if spec.action == "box":
            return self._rng.uniform(spec.action_low, spec.action_high, (count, spec.n)).astype(np.float32)
        if mask is None:
            return self._rng.integers(0, spec.n, count)
        return np.asarray((self._rng.random(mask.shape) * mask).argmax(axis=1))

    def probabilities(self, obs: Array, mask: Bool | None) -> Float:
        """The same for every legal action."""
        legal = np.ones((len(obs), self._spec.n), np.float32) if mask is None else mask.astype(np.float32)
        return np.asarray(legal / legal.sum(axis=1, keepdims=True))

    def value(self, obs: Array) -> Float:
        """It expects nothing."""
        return np.zeros(len(obs), np.float32)


class LinearPlayer:
    """A fixed, arbitrary function of the observation: the same observation always gets the same action."""

    def __init__(self, spec: TaskSpec, seed: int) -> None:
        self._spec = spec
        self._weights = generator_of(seed).normal(size=(int(np.prod(spec.obs_shape)), spec.n))

    def act(self, obs: Array, mask: Bool | None) -> Array:
        """(N, *obs_shape), (N, n) -> (N,) int64 or (N, n) float32."""
        spec = self._spec
        scores = obs.reshape(len(obs), -1) @ self._weights
        if spec.action == "box":
            middle, half = (spec.action_high + spec.action_low) / 2, (spec.action_high - spec.action_low) / 2
            return (middle + half * np.tanh(scores)).astype(np.float32)
        return np.asarray((scores if mask is None else np.where(mask, scores, -np.inf)).argmax(axis=1))

    def probabilities(self, obs: Array, mask: Bool | None) -> Float:
        """1 for its action; a box player's mean action."""
        action = self.act(obs, mask)
        return action if self._spec.action == "box" else np.eye(self._spec.n, dtype=np.float32)[action]

    def value(self, obs: Array) -> Float:
        """It expects nothing."""
        return np.zeros(len(obs), np.float32)


def play(task: Task, player: RandomPlayer | LinearPlayer, obs: Array, mask: Bool | None, steps: int) -> Iterator[Step]:
    """`steps` transitions from the decision (`obs`, `mask`) on."""
    for _ in range(steps):
        step = task.step(player.act(obs, mask))
        yield step
        obs, mask = step.obs, step.mask


def difference(one: Step, other: Step) -> str:
    """The names of the fields in which two transitions differ, or nothing. What is told beside them decides nothing."""
    pairs = ((name, getattr(one, name), getattr(other, name)) for name in Step._fields if name != "info")
    return ", ".join(name for name, a, b in pairs if not _same(a, b))


def _same(a: Any, b: Any) -> bool:
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray):
        return bool(a is b or a == b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def digest(state: object) -> str:
    """A hash of a state_dict: equal states, bit for bit, have equal digests. Raises TypeError for a foreign value."""
    found = hashlib.sha256()
    for part in _parts(state, "state"):
        found.update(part)
    return found.hexdigest()


def _parts(value: object, where: str) -> Iterator[bytes]:
    match value:
        case np.ndarray() | np.generic():
            yield f"{type(value).__name__} {value.dtype} {value.shape}".encode()
            yield value.tobytes()
        case None | bool() | int() | float() | str():
            yield f"{type(value).__name__} {value!r}".encode()
        case list() | tuple():
            yield f"{type(value).__name__} {len(value)}".encode()
            for index, item in enumerate(value):
                yield from _parts(item, f"{where}[{index}]")
        case Mapping():
            for key, item in sorted(value.items()):
                yield f"key {key!r}".encode()
                yield from _parts(item, f"{where}.{key}")
        case _:
            raise TypeError(f"{where} is a {type(value).__name__}, which a checkpoint cannot hold")


def episode_returns(task: Task, player: Any, seed: int, steps: int) -> Array:
    """The returns of the episodes that a player finishes in `steps` steps after a reset."""
    start = task.reset(seed)
    running, found = np.zeros(len(start.obs)), []
    for step in play(task, player, start.obs, start.mask, steps):
        running += step.reward * step.valid
        ended = step.terminated | step.truncated
        found.append(running[ended & step.valid])
        running[ended] = 0.0
    return np.concatenate(found)

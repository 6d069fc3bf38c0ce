"""The randomness of sampled actions, drawn for many steps at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tui_trainer.algorithms.arrays import Float, as_tensor, copy_into, generator_state, load_generator, take
from tui_trainer.algorithms.wide import is_wide
from tui_trainer.core.protocols import TaskSpec

_BLOCK = 2**18
"""Numbers drawn at once, at most."""
_TINY = np.float32(1e-30)


class Noise:
    """Gumbel noise for discrete actions (argmax of logits + noise is a sample), normal noise for box actions, one
    number in [0, 1) an environment where actions are many (wide.py)."""

    def __init__(self, rng: np.random.Generator, spec: TaskSpec) -> None:
        self._rng = rng
        self._box, self._wide = spec.action == "box", is_wide(spec)
        self._size = (spec.num_envs, 1 if self._wide else spec.n)
        self._most = max(1, _BLOCK // (self._size[0] * self._size[1]))
        self._block: Float = np.empty((0, *self._size), np.float32)

    def at(self, t: int, length: int) -> Float:
        """Noise (N, n), or (N, 1), of step t of a rollout; steps must come in order."""
        block = min(self._most, length)
        if t % block == 0:
            self._block = self._draw(block)
        step: Float = self._block[t % block]
        return step

    def _draw(self, steps: int) -> Float:
        size = (steps, *self._size)
        if self._box:
            return self._rng.standard_normal(size, np.float32)
        if self._wide:
            return self._rng.random(size, np.float32)
        e = self._rng.standard_exponential(size, np.float32)
        np.maximum(e, _TINY, out=e)
        return -np.log(e, out=e)

    def state_dict(self, t: int) -> dict[str, object]:
        """The generator, and what is drawn but not yet used before step t."""
        return {"generator": generator_state(self._rng), "block": as_tensor(self._left(t))}

    def load_state_dict(self, state: Mapping[str, object], t: int, length: int) -> None:
        load_generator(self._rng, take(state, "generator"))
        block = min(self._most, length)
        if t % block:
            self._block = np.zeros((block, *self._size), np.float32)
        copy_into(self._left(t), state, "block")

    def _left(self, t: int) -> Float:
        block = max(1, len(self._block))
        return self._block[t % block :] if t % block else self._block[:0]

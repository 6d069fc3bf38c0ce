"""A replay buffer: the last transitions, sampled at random."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tui_trainer.algorithms.arrays import Array, Bool, Float, Int, as_tensor, copy_into, take
from tui_trainer.algorithms.rollout import Rollout
from tui_trainer.core.protocols import TaskSpec


class Transitions(NamedTuple):
    """Rows (B, ...). `sign` of what follows: 0 where terminated, -1 where the other side then moves, otherwise 1."""

    obs: Array
    action: Int
    reward: Float
    sign: Float
    next_obs: Array
    next_mask: Bool | None


class Replay:
    """A ring of `capacity` transitions. Actions of a truncated step's last observation all count as legal."""

    def __init__(self, spec: TaskSpec, capacity: int) -> None:
        self.capacity, self.size, self._at = capacity, 0, 0
        self._two_players = spec.players == 2
        self._obs = np.zeros((capacity, *spec.obs_shape), spec.obs_dtype)
        self._next_obs = np.zeros_like(self._obs)
        self._action = np.zeros(capacity, np.int64)
        self._reward = np.zeros(capacity, np.float32)
        self._sign = np.zeros(capacity, np.float32)
        self._next_mask = np.ones((capacity, spec.n), np.bool_) if spec.masked else None

    def add(self, rollout: Rollout) -> None:
        """Take in a full rollout's transitions, oldest first."""
        rows = self._transitions(rollout)
        at = (self._at + np.arange(len(rows.action))[: self.capacity]) % self.capacity
        for name, array in self._arrays().items():
            array[at] = getattr(rows, name)[-self.capacity :]
        self._at = int(self._at + len(at)) % self.capacity
        self.size = min(self.capacity, self.size + len(at))

    def _transitions(self, r: Rollout) -> Transitions:
        next_obs, valid = r.obs[1:].copy(), r.valid
        next_mask = None if r.mask is None else r.mask[1:].copy()
        for t, final_obs in r.final_obs.items():
            next_obs[t, r.truncated[t]] = final_obs
            if next_mask is not None:
                next_mask[t, r.truncated[t]] = True
        return Transitions(
            r.obs[:-1][valid],
            r.action[valid],
            r.reward[valid],
            self._signs(r)[valid],
            next_obs[valid],
            None if next_mask is None else next_mask[valid],
        )

    def _signs(self, r: Rollout) -> Float:
        flips = ((r.to_move[1:] != r.to_move[:-1]) | r.truncated) if self._two_players else np.zeros_like(r.valid)
        return np.where(r.terminated, 0, np.where(flips, -1, 1)).astype(np.float32)

    def sample(self, rng: np.random.Generator, count: int) -> Transitions:
        """`count` transitions, with replacement."""
        rows = rng.integers(0, self.size, count)
        mask = None if self._next_mask is None else self._next_mask[rows]
        return Transitions(
            self._obs[rows], self._action[rows], self._reward[rows], self._sign[rows], self._next_obs[rows], mask
        )

    def _arrays(self) -> dict[str, Array]:
        found: dict[str, Array | None] = {
            "obs": self._obs,
            "action": self._action,
            "reward": self._reward,
            "sign": self._sign,
            "next_obs": self._next_obs,
            "next_mask": self._next_mask,
        }
        return {name: array for name, array in found.items() if array is not None}

    def state_dict(self) -> dict[str, object]:
        rows = {name: as_tensor(array[: self.size]) for name, array in self._arrays().items()}
        return {"size": self.size, "at": self._at, **rows}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        self.size, self._at = int(take(state, "size")), int(take(state, "at"))
        for name, array in self._arrays().items():
            copy_into(array[: self.size], state, name)

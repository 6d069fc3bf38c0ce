"""Running mean and variance, for normalising observations and rewards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tui_trainer.algorithms.arrays import Array, Bool, Float, as_tensor, copy_into, take

if TYPE_CHECKING:
    from tui_trainer.algorithms.group import Group

_CLIP = np.float32(10)


class Moments:
    """Mean and variance of everything seen so far. Chan, Golub and LeVeque 1979."""

    def __init__(self, size: int) -> None:
        self.mean = np.zeros(size, np.float64)
        self.variance = np.ones(size, np.float64)
        self.count = 0.0
        self.group: Group | None = None
        """Ranks that take in each other's rows, too."""

    def update(self, rows: Array) -> None:
        """Take in rows (B, size)."""
        if self.group is not None:
            for held in self.group.every(np.concatenate([[len(rows)], *_moments(rows)])):
                self._add(held[0], *np.split(held[1:], 2))
        elif len(rows):
            self._add(float(len(rows)), *_moments(rows))

    def _add(self, count: float, mean: Array, variance: Array) -> None:
        if not count:
            return
        total = self.count + count
        delta = mean - self.mean
        spread = self.variance * self.count + variance * count + delta**2 * (self.count * count / total)
        self.mean += delta * (count / total)
        self.variance, self.count = spread / total, total

    def normalise(self, rows: Float) -> Float:
        """(rows - mean) / standard deviation, clipped to [-10, 10]."""
        scale = 1 / np.sqrt(self.variance + 1e-8)
        scaled = (rows - self.mean.astype(np.float32)) * scale.astype(np.float32)
        return np.clip(scaled, -_CLIP, _CLIP, out=scaled)

    def copy(self) -> Moments:
        """Frozen for a policy."""
        twin = Moments(len(self.mean))
        twin.mean, twin.variance, twin.count = self.mean.copy(), self.variance.copy(), self.count
        return twin

    def state_dict(self) -> dict[str, object]:
        return {"mean": as_tensor(self.mean), "variance": as_tensor(self.variance), "count": self.count}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        copy_into(self.mean, state, "mean")
        copy_into(self.variance, state, "variance")
        self.count = float(take(state, "count"))


def _moments(rows: Array) -> tuple[Array, Array]:
    """Mean and variance of rows (B, size); zeros of none."""
    if not len(rows):
        return np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    return rows.mean(0, dtype=np.float64), rows.var(0, dtype=np.float64)


class RewardScale:
    """Divides rewards by the standard deviation of the discounted return, as Stable-Baselines3's VecNormalize."""

    def __init__(self, num_envs: int) -> None:
        self._returns = np.zeros(num_envs, np.float64)
        self.moments = Moments(1)

    def __call__(self, rewards: Float, ends: Bool, gamma: float) -> Float:
        """Take in a rollout's rewards and ends (T, N); return the scaled rewards."""
        seen = np.empty(rewards.shape, np.float64)
        for t in range(len(rewards)):
            self._returns = self._returns * gamma + rewards[t]
            seen[t] = self._returns
            self._returns[ends[t]] = 0
        self.moments.update(seen.reshape(-1, 1))
        scaled: Float = rewards * np.float32(1 / np.sqrt(self.moments.variance[0] + 1e-8))
        return np.clip(scaled, -_CLIP, _CLIP)

    def state_dict(self) -> dict[str, object]:
        return {"returns": as_tensor(self._returns), "moments": self.moments.state_dict()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        copy_into(self._returns, state, "returns")
        self.moments.load_state_dict(take(state, "moments"))

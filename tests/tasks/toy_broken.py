"""Gymnasium environments with a broken promise each; importing this module registers them."""

from __future__ import annotations

import random
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from tests.tasks.toy_envs import Counter

LENGTH = 6


class WrongShape(Counter):
    """Sees two numbers where its space says one."""

    def _obs(self) -> Any:
        return np.array([self.count, 0], np.float32)


class NanReward(Counter):
    """Divides nought by nought at its end."""

    def step(self, action: Any) -> Any:
        obs, reward, terminated, truncated, info = super().step(action)
        return obs, float("nan") if terminated else reward, terminated, truncated, info


class GlobalRandomness(Counter):
    """Draws from Python's own generator rather than from `np_random`."""

    def _obs(self) -> Any:
        return np.array([self.count + random.random()], np.float32)


class NoLegalAction(Counter):
    """Its mask is empty at its third step."""

    action_space: Any = Discrete(3)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        obs, _ = super().reset(seed=seed, options=options)
        return obs, {"action_mask": np.ones(3, np.int8)}

    def step(self, action: Any) -> Any:
        obs, reward, terminated, truncated, _ = super().step(action)
        return obs, reward, terminated, truncated, {"action_mask": np.full(3, self.count != 3, np.int8)}


class Batch(VectorEnv):  # type: ignore[type-arg]
    """Counters in a batched form of their own, started anew in the step that ends them."""

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(self, num_envs: int, max_episode_steps: int = 0) -> None:
        self.num_envs, self.limit = num_envs, max_episode_steps or 50
        self.single_observation_space, self.single_action_space = Box(0, 100, (1,), np.float32), Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        self.count = np.zeros(self.num_envs, np.int64)
        return self.seen(), {}

    def seen(self) -> Any:
        return self.count[:, None].astype(np.float32)

    def step(self, actions: Any) -> Any:
        self.count = self.count + 1
        terminated = self.count >= LENGTH
        truncated = (self.count >= self.limit) & ~terminated
        final, ended = self.seen(), terminated | truncated
        self.count = np.where(ended, 0, self.count)
        reward = np.ones(self.num_envs)
        return self.seen(), reward, terminated, truncated, self.told(final, ended)

    def told(self, final: Any, ended: Any) -> dict[str, Any]:
        return {"final_obs": final, "_final_obs": ended}


class LosesTheLast(Batch):
    """Hands over the new episode's first observation for the old one's last."""

    def told(self, final: Any, ended: Any) -> dict[str, Any]:
        return super().told(self.seen(), ended)


class KeepsTheLastToItself(Batch):
    """Hands over no last observation at all."""

    def told(self, final: Any, ended: Any) -> dict[str, Any]:
        return {}


class LosesTruncation(Batch):
    """Starts anew at its limit and tells nobody."""

    def step(self, actions: Any) -> Any:
        obs, reward, terminated, truncated, info = super().step(actions)
        return obs, reward, terminated, np.zeros_like(truncated), info


class SaysTheLimitIsAnEnd(Batch):
    """Reports its limit as terminated."""

    def step(self, actions: Any) -> Any:
        obs, reward, terminated, truncated, info = super().step(actions)
        return obs, reward, terminated | truncated, np.zeros_like(truncated), info


SINGLE = (WrongShape, NanReward, GlobalRandomness, NoLegalAction)
BATCHED = (Batch, LosesTheLast, KeepsTheLastToItself, LosesTruncation, SaysTheLimitIsAnEnd)

for kind in SINGLE:
    if f"Broken{kind.__name__}-v0" not in gymnasium.registry:
        gymnasium.register(f"Broken{kind.__name__}-v0", entry_point=kind, max_episode_steps=50)
for batch in BATCHED:
    if f"Broken{batch.__name__}-v0" not in gymnasium.registry:
        gymnasium.register(f"Broken{batch.__name__}-v0", entry_point=Counter, vector_entry_point=batch)

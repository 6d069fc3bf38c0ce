"""Climbers as a PettingZoo environment of agents at once: each climbs or rests, and is gone when it is up."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv


class parallel_env(ParallelEnv):  # type: ignore[misc,type-arg]
    metadata = {"name": "climbers_v0"}

    def __init__(self, climbers: int = 3, top: int = 5, limit: int = 12) -> None:
        self.possible_agents = [f"climber_{i}" for i in range(climbers)]
        self.top, self.limit = top, limit

    def observation_space(self, agent: str) -> Any:
        return Box(-1, 1, (2,), np.float32)

    def action_space(self, agent: str) -> Any:
        return Discrete(2)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.rng = np.random.default_rng(seed)
        self.agents = self.possible_agents[:]
        self.height = dict.fromkeys(self.agents, 0)
        self.age = 0
        self.wind = self.rng.normal()
        return self._seen(), {agent: {} for agent in self.agents}

    def _seen(self) -> Any:
        wind = np.tanh(self.wind)
        return {agent: np.array([self.height[agent] / self.top, wind], np.float32) for agent in self.agents}

    def step(self, actions: Any) -> Any:
        assert set(actions) == set(self.agents), "the agents that are there act, and no others"
        self.age += 1
        self.wind = self.rng.normal()
        for agent, action in actions.items():
            self.height[agent] += int(action)
        seen = self._seen()
        up = {agent: self.height[agent] >= self.top for agent in self.agents}
        late = {agent: self.age >= self.limit and not up[agent] for agent in self.agents}
        rewards = {agent: 1.0 if up[agent] else -0.1 for agent in self.agents}
        infos: dict[str, Any] = {agent: {"height": self.height[agent], "name": agent} for agent in self.agents}
        self.agents = [agent for agent in self.agents if not up[agent] and not late[agent]]
        return seen, rewards, up, late, infos

    def close(self) -> None:
        pass

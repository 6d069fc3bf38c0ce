"""Nim as a PettingZoo game of turns: take 1 to 3 of the matches; who takes the last one wins."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete
from pettingzoo import AECEnv


class raw_env(AECEnv):  # type: ignore[misc,type-arg]
    metadata = {"name": "nim_v0", "is_parallelizable": False}

    def __init__(self, least: int = 8, most: int = 12) -> None:
        super().__init__()
        self.least, self.most = least, most
        self.possible_agents = ["ann", "bob"]
        spaces = {"observation": Box(0, 1, (most,), np.int8), "action_mask": Box(0, 1, (3,), np.int8)}
        self.observation_spaces = {agent: Dict(spaces) for agent in self.possible_agents}
        self.action_spaces = {agent: Discrete(3) for agent in self.possible_agents}

    def observation_space(self, agent: str) -> Any:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: Any = None) -> None:
        rng = np.random.default_rng(seed)
        self.agents = self.possible_agents[:]
        self.left = int(rng.integers(self.least, self.most + 1))
        self.agent_selection = "ann"
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos: dict[str, Any] = {agent: {} for agent in self.agents}

    def observe(self, agent: str) -> Any:
        seen = (np.arange(self.most) < self.left).astype(np.int8)
        return {"observation": seen, "action_mask": (np.arange(1, 4) <= self.left).astype(np.int8)}

    def step(self, action: Any) -> None:
        assert 0 <= action < 3
        assert action + 1 <= self.left, "an illegal action"
        mover = self.agent_selection
        self.left -= int(action) + 1
        self.infos[mover] = {"taken": int(action) + 1, "is_last": np.bool_(self.left == 0), "board": np.zeros(3)}
        if self.left == 0:
            self.rewards = {agent: 1.0 if agent == mover else -1.0 for agent in self.agents}
            self.terminations = dict.fromkeys(self.agents, True)
        self.agent_selection = "bob" if mover == "ann" else "ann"

    def close(self) -> None:
        pass


env = raw_env

"""A task whose evaluations fall for good once it has been stepped for a while, whatever the policy has learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.tasks.toys import Walk
from tui_trainer.core.protocols import Policy, Step
from tui_trainer.core.values import PartResult
from tui_trainer.tasks.arrays import Array

TIRED = 400
"""Steps of the batch after which it is."""


class Weary(Walk):
    """Counts its steps; a state that is put back is as fresh as it was then."""

    def __init__(self, num_envs: int, limit: int = 0) -> None:
        super().__init__(num_envs, limit)
        self.steps = 0

    def step(self, action: Array) -> Step:
        self.steps += 1
        return super().step(action)

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        mean = (0.6 if self.steps < TIRED else 0.3) + 0.004 * (self.steps // 16 % 3 - 1)
        return PartResult(episodes=episodes, mean=mean, min=0.0, max=1.0, ci=(mean - 0.05, mean + 0.05))

    def state_dict(self) -> dict[str, object]:
        return {**super().state_dict(), "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.steps = state["steps"]


def make(options: Mapping[str, Any], num_envs: int, max_episode_steps: int) -> Weary:
    return Weary(num_envs, max_episode_steps)

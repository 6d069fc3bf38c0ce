"""A Gymnasium environment that raises in a step costs its own episode, not those of the others beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from tui_trainer.core.protocols import Step
from tui_trainer.tasks.arrays import Array
from tui_trainer.tasks.failures import attempted, reason


class Breakable(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Turns what a step raises into an episode cut short, noted in `broken`; the vector then starts it afresh."""

    def __init__(self, env: Any, broken: list[tuple[Breakable, str]]) -> None:
        super().__init__(env)
        self.broken = broken

    def step(self, action: Any) -> Any:
        """The environment's, or an end without an observation or a reward."""
        found = attempted(self.env.step, action)
        if not isinstance(found, Exception):
            return found
        self.broken.append((self, reason(found)))
        space = self.observation_space
        return np.zeros(space.shape or (), space.dtype), 0.0, False, True, {}


def marked(step: Step, envs: tuple[Any, ...], broken: Sequence[tuple[Breakable, str]]) -> Step:
    """The step with the rows of the environments in `broken` marked as broken episodes."""
    rows = [envs.index(env) for env, _ in broken]
    whole = np.zeros_like(step.valid)
    whole[rows] = True
    final_obs: Array = step.final_obs.copy()
    final_obs[whole] = step.obs[whole]
    return step._replace(
        reward=np.where(whole, np.float32(0), step.reward),
        truncated=step.truncated | whole,
        final_obs=final_obs,
        valid=step.valid & ~whole,
        failures=tuple(why for _, why in broken),
    )

"""A Gymnasium environment that raises in a step costs its own episode, not those of the others beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from tui_trainer.core.protocols import Step
from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import Array, Bool
from tui_trainer.tasks.failures import attempted, reason
from tui_trainer.tasks.spaces import actions_of


class Breakable(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Turns what a step raises into an episode cut short, noted in `broken`; the vector then starts it afresh.

    `legal` holds the actions (n,) that the environment named last, in its observations or as `info["action_mask"]`.
    Raises UsageError for an observation whose shape is not that of its space, and for a mask of another length.
    """

    def __init__(self, env: Any, name: str, broken: list[tuple[Breakable, str]]) -> None:
        super().__init__(env)
        self.name, self.broken = name, broken
        self.actions = actions_of(env.action_space, f"gym:{name}")
        self.legal: Bool | None = None
        self._shape = env.observation_space.shape

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """The environment's."""
        found = self.env.reset(seed=seed, options=options)
        self._look("reset", *found)
        return found

    def step(self, action: Any) -> Any:
        """The environment's, or an end without an observation or a reward."""
        found = attempted(self.env.step, action)
        if not isinstance(found, Exception):
            self._look("step", found[0], found[4])
            return found
        self.broken.append((self, reason(found)))
        space = self.observation_space
        return np.zeros(space.shape or (), space.dtype), 0.0, False, True, {}

    def _look(self, where: str, obs: Any, info: dict[str, Any]) -> None:
        if np.shape(obs) != self._shape:
            raise UsageError(
                f"gym:{self.name}: {where} gave an observation of shape {np.shape(obs)}, not {self._shape}",
                "its observation_space must say what it gives",
            )
        if "action_mask" in info and self.actions.kind == "discrete":
            try:
                self.legal = self.actions.mask(info["action_mask"])
            except ValueError as error:
                raise UsageError(f"gym:{self.name}: {where}: {error}") from None


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

"""One environment whose episode can be played again: from its seed and the actions since."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tui_trainer.errors import DamagedSession


class Recorded:
    """PettingZoo has no state_dict: a checkpoint holds the episode's seed and actions, and plays them again."""

    def __init__(self, env: Any, play: Callable[[Any, Any], None]) -> None:
        self.env, self._play = env, play
        self.seed = 0
        self.actions: list[Any] = []

    def begin(self, seed: int) -> None:
        """A new episode."""
        self.env.reset(seed=seed)
        self.seed, self.actions = seed, []

    def step(self, action: Any) -> None:
        """Play an action, and remember it."""
        self._play(self.env, action)
        self.actions.append(action)

    def state_dict(self) -> dict[str, object]:
        """Plain values."""
        return {"seed": self.seed, "actions": np.array(self.actions)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Play the episode again. Raises DamagedSession where the state lacks it."""
        if not {"seed", "actions"} <= state.keys():
            raise DamagedSession("the task's state lacks an episode", "use an older checkpoint of the session")
        self.begin(int(state["seed"]))
        for action in np.asarray(state["actions"]):
            self.step(action.item() if action.ndim == 0 else action)

"""A task of somebody's own whose steps take long: what limits it is the environment."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tests.tasks.toys import Walk
from tui_trainer.core.protocols import Step
from tui_trainer.tasks.arrays import Array

STEP_S = 0.02


class Waiting(Walk):
    """Waits, as for a simulator elsewhere."""

    def step(self, action: Array) -> Step:
        time.sleep(STEP_S)
        return super().step(action)


def make(options: Mapping[str, Any], num_envs: int, max_episode_steps: int) -> Waiting:
    return Waiting(num_envs, max_episode_steps)

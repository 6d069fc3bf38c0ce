"""A task whose final evaluation takes longer to make ready than a step may take."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tests.tasks.toys import Walk

READY_S = 1.3


class Slow(Walk):
    """Plays a long while for what is known of its final evaluation."""

    def final(self) -> Slow:
        time.sleep(READY_S)
        return self

    def bound(self) -> float:
        return 0.75


def make(options: Mapping[str, Any], num_envs: int, max_episode_steps: int) -> Slow:
    return Slow(num_envs, max_episode_steps)

"""A task of somebody's own: the factory that `module:factory` and entry points name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.tasks.toys import Walk


def make(options: Mapping[str, Any], num_envs: int, max_episode_steps: int) -> Walk:
    return Walk(num_envs, max_episode_steps)

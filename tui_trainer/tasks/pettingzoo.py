"""Any PettingZoo environment by its name: `pettingzoo:connect_four_v3`. Needs the extra `pettingzoo`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from tui_trainer.core.config import Settings
from tui_trainer.core.protocols import Task
from tui_trainer.tasks.options import read_options
from tui_trainer.tasks.zoo import loading
from tui_trainer.tasks.zoo.agents import AgentsTask
from tui_trainer.tasks.zoo.turns import TurnsTask


class Options(Settings, frozen=True):
    """[task] of a PettingZoo environment."""

    opening_plies: Annotated[
        int, Meta(ge=0, le=40, description="Games for two start from up to this many random plies.")
    ] = 6
    kwargs: Annotated[dict[str, Any], Meta(description="The environment's own arguments, as task.kwargs.NAME.")] = {}


def make(name: str, options: Mapping[str, Any], num_envs: int, max_episode_steps: int) -> Task:
    """A game of turns for two is self-play in `num_envs` games; in others each agent is a row of the batch."""
    chosen = read_options(Options, options, f"{loading.FAMILY}{name}")
    env = loading.make_turns(name, chosen.kwargs)
    if env is None:
        return AgentsTask(name, chosen.kwargs, num_envs, max_episode_steps)
    env.close()
    return TurnsTask(name, chosen.kwargs, chosen.opening_plies, num_envs, max_episode_steps)


def check_name(name: str) -> None:
    """Raise UsageError naming the nearest where PettingZoo has no such environment."""
    loading.find_module(name)

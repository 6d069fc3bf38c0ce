"""What every rule of the conformance kit works with."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from tui_trainer.core.protocols import Reset, Step, Task
from tui_trainer.tasks.playing import RandomPlayer, play

ENVS = 16
SEED = 12345
STEPS = 1000
"""Steps of the state round trip, and of most other rules at most."""
TAIL = 40
"""Steps compared after a cut."""


class Broken(Exception):
    """A rule is broken; the message tells field, environment and step."""


class Kit(msgspec.Struct, frozen=True):
    """What the rules examine: `make(num_envs)`, and `limited(num_envs, max_episode_steps)` where that can be had."""

    make: Callable[[int], Task]
    limited: Callable[[int, int], Task] | None = None


def random_play(task: Task, last: Reset | Step, steps: int) -> Iterator[Step]:
    """Transitions of a random player from the decision `last` on."""
    return play(task, RandomPlayer(task.spec, SEED), last.obs, last.mask, steps)


def after(task: Task, steps: int) -> Step:
    """The last of the first `steps` transitions."""
    *_, last = random_play(task, task.reset(SEED), steps)
    return last


def require(kept: bool, otherwise: str) -> None:
    """Raise Broken saying `otherwise` unless `kept`."""
    if not kept:
        raise Broken(otherwise)

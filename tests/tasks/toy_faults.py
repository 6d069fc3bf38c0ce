"""Gymnasium environments with a fault each; importing this module registers them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import gymnasium

from tests.tasks.toy_envs import Counter


class Hangs(Counter):
    """Never comes back from its fifth step where the action is 2."""

    def step(self, action: Any) -> Any:
        if self.count == 4 and action == 2:
            time.sleep(3600)
        return super().step(action)


class HangsOnce(Counter):
    """Never comes back from its fifth step, unless the file `mark` tells that it has hung before."""

    def __init__(self, mark: str) -> None:
        super().__init__()
        self.mark = Path(mark)

    def step(self, action: Any) -> Any:
        if self.count == 4 and not self.mark.exists():
            self.mark.touch()
            time.sleep(3600)
        return super().step(action)


class Dies(Counter):
    """Takes its process along in its fifth step where the action is 2."""

    def step(self, action: Any) -> Any:
        if self.count == 4 and action == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(action)


class Shouts(Counter):
    """Prints past Python's own stdout."""

    def step(self, action: Any) -> Any:
        os.write(1, b"a line that tears the screen\n")
        return super().step(action)


class Refuses(Counter):
    """Raises in its third step."""

    def step(self, action: Any) -> Any:
        if self.count == 2:
            raise ZeroDivisionError("in the counter's physics")
        return super().step(action)


for kind in (Hangs, HangsOnce, Dies, Shouts, Refuses):
    if f"{kind.__name__}-v0" not in gymnasium.registry:
        gymnasium.register(f"{kind.__name__}-v0", entry_point=kind, max_episode_steps=50)

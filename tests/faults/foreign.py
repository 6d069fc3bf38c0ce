"""Tasks of somebody else that go wrong after a while, named on the command line as `tests.faults.foreign:NAME`.

FAULT_AT is the step of the batch at which they do; `never` heals them, for a resume.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from tests.tasks.toys import Walk
from tui_trainer.core.duel import Sight
from tui_trainer.core.protocols import Step
from tui_trainer.tasks import tictactoe
from tui_trainer.tasks.arrays import Array
from tui_trainer.tasks.boards.game import BoardTask
from tui_trainer.tasks.boards.players import RungPlayer
from tui_trainer.tasks.boards.table import BoardTable

HOSTILE = (
    "\x1b]52;c;aGk=\x07\x1b]2;HIJACKED\x07\x1b[2J\x9b31m\x90q\x9c\u202ex\u202c"
    "[/][bold]b[link=evil][[/ \x7f 日本\u200b end"
)


class Faulty(Walk):
    """Counts its steps; `go_wrong` is called from the chosen one on."""

    def __init__(self, num_envs: int, limit: int = 0) -> None:
        super().__init__(num_envs, limit)
        at = os.environ.get("FAULT_AT", "40")
        self.at = sys.maxsize if at == "never" else int(at)
        self.steps = 0

    def step(self, action: Array) -> Step:
        step = super().step(action)
        self.steps += 1
        return self.go_wrong(step) if self.steps >= self.at else step

    def go_wrong(self, step: Step) -> Step:
        raise RuntimeError(f"the bridge fell down {HOSTILE}")

    def state_dict(self) -> dict[str, object]:
        return {**super().state_dict(), "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.steps = state["steps"]


class NanReward(Faulty):
    def go_wrong(self, step: Step) -> Step:
        return step._replace(reward=np.full_like(step.reward, np.nan))


class NanObservation(Faulty):
    def go_wrong(self, step: Step) -> Step:
        return step._replace(obs=np.full_like(step.obs, np.nan))


class HugeReward(Faulty):
    """Finite, but its square is not: the loss overflows."""

    def go_wrong(self, step: Step) -> Step:
        return step._replace(reward=np.full_like(step.reward, 1e30))


class LargeReward(Faulty):
    """With a vf_coef of 1e10 the loss is finite, the gradient's norm is not."""

    def go_wrong(self, step: Step) -> Step:
        return step._replace(reward=np.where(np.arange(len(step.reward)) % 2, 1e12, -1e12).astype(np.float32))


class NoMemory(Faulty):
    def go_wrong(self, step: Step) -> Step:
        raise MemoryError("no room for 8 GiB")


class NoGpuMemory(Faulty):
    def go_wrong(self, step: Step) -> Step:
        import torch

        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 8.00 GiB")


class Grows(Faulty):
    """Needs another MiB at every step, as a leak does."""

    def go_wrong(self, step: Step) -> Step:
        self.held = getattr(self, "held", [])
        self.held.append(b"x" * (1 << 20))
        return step


class Stumbles(Faulty):
    """Raises at every 31st step of the batch and is well otherwise."""

    def go_wrong(self, step: Step) -> Step:
        if self.steps % 31 == 0:
            raise RuntimeError("the bridge fell down")
        return step

    def evaluate(self, policy: Any, *, part: str, episodes: int, seed: int) -> Any:
        return Walk(self.spec.num_envs, self.limit).evaluate(policy, part=part, episodes=episodes, seed=seed)


class Leaves(Faulty):
    """As a library does that calls exit() where it should raise."""

    def go_wrong(self, step: Step) -> Step:
        sys.exit(0)


class Noisy(Faulty):
    """Prints at every step, as people's tasks do while they are being written."""

    def go_wrong(self, step: Step) -> Step:
        print("noise" * 40)
        return step


class Hostile(Faulty):
    """Every text that a task may give wants to take the terminal over."""

    def __init__(self, num_envs: int, limit: int = 0) -> None:
        super().__init__(num_envs, limit)
        self.spec = msgspec.structs.replace(
            self.spec, id=HOSTILE, outcomes=(f"o{HOSTILE}",), parts=(f"p{HOSTILE}", f"q{HOSTILE}")
        )

    def render_text(self, env: int) -> str:
        return HOSTILE

    def evaluate(self, policy: Any, *, part: str, episodes: int, seed: int) -> Any:
        print(HOSTILE)
        return super().evaluate(policy, part=part, episodes=episodes, seed=seed)


class HostileTable(BoardTable):
    """A board whose every word wants to take the terminal over: sides, squares, a move, results, notes, a rival."""

    sides = (f"X{HOSTILE}", f"O{HOSTILE}")

    def __init__(self) -> None:
        outcomes = tuple(f"{outcome}{HOSTILE}" for outcome in tictactoe.RULES.outcomes)
        super().__init__(tictactoe.BOARD, ("random", f"r{HOSTILE}"), outcomes)

    def sight(self) -> Sight:
        sight = super().sight()
        legal = {f"{name}{HOSTILE}" if name == "5" else name: action for name, action in sight.legal.items()}
        return msgspec.structs.replace(sight, text=f"{sight.text}\n{HOSTILE}", legal=legal, note=HOSTILE)

    def rival(self, name: str, seed: int) -> RungPlayer:
        return super().rival("random", seed)


class HostileGame(BoardTask):
    """Tic-tac-toe with that board."""

    def table(self) -> HostileTable:
        return HostileTable()

    def render_text(self, env: int) -> str:
        return HOSTILE


def hostile_game(options: Any, num_envs: int, limit: int) -> HostileGame:
    return HostileGame(tictactoe.BOARD, tictactoe.RULES, tictactoe.Options(), num_envs, limit)


def _factory(kind: type[Faulty]) -> Any:
    return lambda options, num_envs, limit: kind(num_envs, limit)


raises, nan_reward, nan_observation, huge_reward, large_reward, no_memory, leaves, noisy, hostile = map(
    _factory, (Faulty, NanReward, NanObservation, HugeReward, LargeReward, NoMemory, Leaves, Noisy, Hostile)
)
no_gpu_memory, grows, stumbles = map(_factory, (NoGpuMemory, Grows, Stumbles))


def slow_disk(options: Any, num_envs: int, limit: int) -> Walk:
    """From now on every fsync of this process takes SLOW_S seconds longer."""
    fsync, slow_s = os.fsync, float(os.environ["SLOW_S"])

    def slow(fd: int) -> None:
        time.sleep(slow_s)
        fsync(fd)

    os.fsync = slow
    return Walk(num_envs, limit)


def failing_callback(event: Any) -> None:
    if event.update >= 3:
        raise ValueError(f"a callback's trouble {HOSTILE}")


def leaving_callback(event: Any) -> None:
    if event.update >= 3:
        sys.exit(0)


class _Count:
    """Counts the updates it hears of, as a callback of one's own would."""

    def __init__(self) -> None:
        self.updates = 0

    def __call__(self, event: Any) -> None:
        self.updates += getattr(event, "updates", 0)
        if type(event).__name__ == "RunEnded":
            print(f"counted {self.updates} updates", flush=True)


count = _Count()

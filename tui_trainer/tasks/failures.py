"""Episodes that break: which errors are an episode's, and a task whose broken episodes start afresh.

A row of a Step that is `truncated` and not `valid` is an episode that broke: no transition, and a new episode begun.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from tui_trainer.core.protocols import Policy, Reset, Step, Task, TaskSpec
from tui_trainer.core.text import clean_line
from tui_trainer.core.values import Difficulty, DifficultySpace, PartResult
from tui_trainer.errors import TaskFailed, TuiTrainerError
from tui_trainer.tasks.arrays import Array, Bool, generator_of

MOST_IN_A_ROW = 10
"""Broken episodes for each environment, with not one finished between them, that end the run."""
KEY = "failures"
"""Where the state of the guard lies in its task's."""


Stepped = TypeVar("Stepped")


def attempted(step: Callable[[Any], Stepped], action: Any) -> Stepped | Exception:
    """What a step gave, or what it raised where that is the episode's: the boundary to somebody else's code."""
    try:
        return step(action)
    except Exception as error:
        if not _is_an_episodes(error):
            raise
        return error


def _is_an_episodes(error: Exception) -> bool:
    """A lack of memory and our own refusals are not."""
    return not isinstance(error, (MemoryError, TuiTrainerError)) and type(error).__name__ != "OutOfMemoryError"


def reason(error: Exception) -> str:
    """One clean line."""
    return clean_line(f"{type(error).__name__}: {error}")


def broken(step: Step) -> Bool:
    """The rows (N,) whose episode broke."""
    found: Bool = step.truncated & ~step.valid
    return found


class Guarded:
    """A task whose steps may raise: every open episode is then given up and a new one begun, from a new seed.

    A task that can tell which of its episodes broke says so itself, and loses only that one. Ten broken episodes an
    environment without a finished one raise TaskFailed. Whatever else the task offers is reached through it.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._seed = self._resets = self._in_a_row = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    @property
    def guarded(self) -> Task:
        """The task itself."""
        return self._task

    @property
    def spec(self) -> TaskSpec:
        """The task's."""
        return self._task.spec

    def reset(self, seed: int) -> Reset:
        """New episodes everywhere."""
        self._seed, self._resets, self._in_a_row = seed, 0, 0
        return self._task.reset(seed)

    def step(self, action: Array) -> Step:
        """A transition, or, where it raised, new episodes in which no row is one."""
        step = attempted(self._task.step, action)
        if isinstance(step, Exception):
            return self._afresh(step)
        if step.failures:
            self._count(int(np.count_nonzero(broken(step))), step.failures[-1], None)
        if self._in_a_row and bool(((step.terminated | step.truncated) & step.valid).any()):
            self._in_a_row = 0
        return step

    def _afresh(self, error: Exception) -> Step:
        spec, why = self.spec, reason(error)
        self._count(spec.num_envs, why, error)
        self._resets += 1
        start = self._task.reset(int(generator_of(self._seed, self._resets).integers(2**31)))
        none = np.zeros(spec.num_envs, np.bool_)
        zero, quiet = np.zeros(spec.num_envs, np.float32), np.zeros(spec.num_envs, np.int8)
        return Step(start.obs, zero, none, ~none, start.obs, start.mask, start.to_move, none, quiet, (why,))

    def _count(self, episodes: int, why: str, error: Exception | None) -> None:
        self._in_a_row += episodes
        if self._in_a_row > MOST_IN_A_ROW * self.spec.num_envs:
            raise TaskFailed(
                f"{self._in_a_row} episodes of {self.spec.id} broke and none was finished between them: {why}",
                "mend the task, then resume",
            ) from error

    def difficulty_space(self) -> DifficultySpace | None:
        """The task's."""
        return self._task.difficulty_space()

    def set_difficulty(self, difficulty: Difficulty) -> None:
        """The task's."""
        self._task.set_difficulty(difficulty)

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        """The task's; what raises in it is not caught here."""
        return self._task.evaluate(policy, part=part, episodes=episodes, seed=seed)

    def baselines(self) -> dict[str, float]:
        """The task's."""
        return self._task.baselines()

    def state_dict(self) -> dict[str, object]:
        """The task's, and how often it was started afresh."""
        own = {"seed": self._seed, "resets": self._resets, "in_a_row": self._in_a_row}
        return {**self._task.state_dict(), KEY: own}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue exactly; a state from before there was a guard has no failures."""
        own = state.get(KEY, {"seed": self._seed, "resets": 0, "in_a_row": 0})
        self._seed, self._resets, self._in_a_row = own["seed"], own["resets"], own["in_a_row"]
        self._task.load_state_dict({key: value for key, value in state.items() if key != KEY})

    def render_text(self, env: int) -> str:
        """The task's."""
        return self._task.render_text(env)

    def close(self) -> None:
        """Close the task."""
        self._task.close()


def unguarded(task: Task) -> Task:
    """The task itself, to be asked which protocols it keeps."""
    return task.guarded if isinstance(task, Guarded) else task

"""Stepping a task: what every learner's `collect` has in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import numpy as np

from tui_trainer.algorithms.arrays import Array, Bool, take
from tui_trainer.algorithms.episodes import Episodes
from tui_trainer.algorithms.rollout import Rollout
from tui_trainer.algorithms.told import Told
from tui_trainer.core.protocols import Task
from tui_trainer.core.reports import CollectReport

Choose = Callable[[], tuple[Array, Array]]
"""Actions for the decision that is due, as the learner keeps them and as the task takes them."""


def counted_by_ranks(state: Mapping[str, Any]) -> tuple[int, int]:
    """Steps and finished episodes in a learner's state, those of all its ranks together."""
    held = [state, *(each["learner"] for each in state.get("ranks", ()))]
    collectors = [take(each, "collector") for each in held]
    return sum(int(take(c, "steps")) for c in collectors), sum(int(take(c, "finished")) for c in collectors)


class Collector:
    """Fills a rollout slice by slice and counts what happens; where a slice ends changes no bit."""

    def __init__(self, task: Task, length: int, seed: int) -> None:
        self._task = task
        self.rollout = Rollout(task.spec, length)
        self.episodes = Episodes(task.spec)
        self.steps = self.finished = 0
        self._told = Told()
        self.rollout.begin(task.reset(seed))

    def begin_anew(self, seed: int, steps: int, finished: int) -> None:
        """New episodes everywhere, and what had been counted before them."""
        self.rollout.restart()
        self.rollout.begin(self._task.reset(seed))
        self.episodes = Episodes(self._task.spec)
        self.steps, self.finished = steps, finished

    def collect(self, budget_s: float, choose: Choose, ended: Callable[[Bool], None] | None = None) -> CollectReport:
        """Step until the rollout is full or the budget is spent; `ended` hears of each step's episode ends."""
        rollout, begun, start = self.rollout, self.rollout.t, perf_counter()
        env_s, now, failure = 0.0, start, ""
        while not rollout.is_full and (now - start < budget_s or rollout.t == begun):
            action, for_task = choose()
            acted = perf_counter()
            step = self._task.step(for_task)
            now = perf_counter()
            env_s += now - acted
            rollout.put(action, step)
            if step.failures:
                failure = step.failures[-1]
            if step.info:
                self._told.add(step.info, step.valid)
            if ended is not None:
                ended(rollout.terminated[rollout.t - 1] | rollout.truncated[rollout.t - 1])
        return self._counted(begun, {"env": env_s, "forward": perf_counter() - start - env_s}, failure)

    def _counted(self, begun: int, seconds: dict[str, float], failure: str) -> CollectReport:
        rollout = self.rollout
        fresh = slice(begun, rollout.t)
        valid = rollout.valid[fresh]
        steps = int(np.count_nonzero(valid))
        episodes = int(np.count_nonzero((rollout.terminated[fresh] | rollout.truncated[fresh]) & valid))
        self.steps += steps
        self.finished += episodes
        if rollout.is_full and rollout.t > begun:
            self.episodes.add(rollout)
        metrics = {**self.episodes.metrics(), **self._told.take()} if rollout.is_full else {}
        return CollectReport(
            steps=steps,
            episodes=episodes,
            complete=rollout.is_full,
            metrics=metrics,
            seconds=seconds,
            failed_episodes=int(np.count_nonzero(rollout.truncated[fresh] & ~valid)),
            failure=failure,
        )

    def state_dict(self) -> dict[str, object]:
        told = self._told.state_dict()
        return {
            "steps": self.steps,
            "finished": self.finished,
            "rollout": self.rollout.state_dict(),
            "episodes": self.episodes.state_dict(),
            **({"told": told} if told else {}),
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        self.steps, self.finished = int(take(state, "steps")), int(take(state, "finished"))
        self.rollout.load_state_dict(take(state, "rollout"))
        self.episodes.load_state_dict(take(state, "episodes"))
        told = state.get("told", {})
        assert isinstance(told, Mapping)
        self._told.load_state_dict(told)

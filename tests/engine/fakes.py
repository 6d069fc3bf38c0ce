"""A tiny task and learner with honest state, to drive the real loop, manager, journal and store cheaply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tui_trainer.core.protocols import Policy, Reset, Step, TaskSpec
from tui_trainer.core.reports import CollectReport, UpdateReport
from tui_trainer.core.values import Difficulty, DifficultySpace, PartResult
from tui_trainer.errors import Diverged, UsageError

PARTS = ("easy", "hard")


class FakeTask:
    """Keeps a difficulty and a counter; evaluation counts how often it was asked."""

    def __init__(self) -> None:
        self.difficulty = Difficulty()
        self.evaluations = 0
        self.fail_evaluation = False
        self.closed = False

    spec = TaskSpec(
        id="fake",
        obs_shape=(1,),
        obs_dtype="float32",
        action="discrete",
        n=2,
        num_envs=1,
        metric="win_rate",
        parts=PARTS,
    )

    def reset(self, seed: int) -> Reset:
        raise AssertionError("the fake learner steps no environment")

    def step(self, action: Any) -> Step:
        raise AssertionError("the fake learner steps no environment")

    def difficulty_space(self) -> DifficultySpace | None:
        return DifficultySpace(levels=PARTS)

    def set_difficulty(self, difficulty: Difficulty) -> None:
        self.difficulty = difficulty

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        if self.fail_evaluation:
            raise RuntimeError("the board fell off the table")
        self.evaluations += 1
        return PartResult(episodes=episodes, win_rate=0.5, ci=(0.4, 0.6), draw_rate=0.0, loss_rate=0.5)

    def baselines(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, object]:
        return {"level": self.difficulty.level}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.difficulty = Difficulty(level=state["level"])

    def render_text(self, env: int) -> str:
        return "o"

    def close(self) -> None:
        self.closed = True


class FakeLearner:
    """Ten steps a slice, two slices a rollout; the parameter is the number of updates."""

    parameters_count = 1
    steps_per_update = 20
    notes = ("a fake",)

    def __init__(self, *, diverge_at: int = 0, break_at: int = 0, out_of_memory_at: int = 0, kl: float = 0.0) -> None:
        self.slices = 0
        self.updates = 0
        self.learning_rate = 1e-3
        self._diverge_at = diverge_at
        self._break_at = break_at
        self._oom_at = out_of_memory_at
        self._kl = kl

    def collect(self, budget_s: float) -> CollectReport:
        self.slices += 1
        return CollectReport(steps=10, episodes=1, complete=self.slices % 2 == 0, seconds={"env": 0.0})

    def learn(self) -> UpdateReport:
        coming = self.updates + 1
        if coming == self._diverge_at:
            raise Diverged("train/loss was nan")
        if coming == self._break_at:
            raise RuntimeError("boom \x1b[2J in learn")
        if coming == self._oom_at:
            raise MemoryError("no room for 8 GiB")
        self.updates = coming
        return UpdateReport(metrics={"train/loss": 1.0 / coming, "train/approx_kl": self._kl})

    def policy(self) -> Any:
        return object()

    def policy_from(self, state: Mapping[str, object]) -> Any:
        return object()

    def set(self, key: str, value: float) -> float:
        if key != "learning_rate":
            raise UsageError(f"{key} cannot be changed")
        old, self.learning_rate = self.learning_rate, value
        return old

    def state_dict(self) -> dict[str, object]:
        return {"slices": self.slices, "updates": self.updates, "w": np.array([float(self.updates)], np.float32)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.slices, self.updates = state["slices"], state["updates"]

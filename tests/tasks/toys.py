"""A small task that keeps every promise, and one variant for each promise that can be broken."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from tui_trainer.core.protocols import Policy, Reset, Step, TaskSpec
from tui_trainer.core.values import Difficulty, DifficultySpace, PartResult
from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import Array, generator_of, generator_state, load_generator

GOAL = 4


class Walk:
    """Walkers on a line: left, stay or right, never left of 0; slippery ground moves them at random. The reward for
    reaching GOAL is 1, each step costs 0.01; episodes end at GOAL or after `limit` steps."""

    def __init__(self, num_envs: int, limit: int = 0) -> None:
        self.limit = limit or 40
        self.spec = TaskSpec(
            id="walk", obs_shape=(3,), obs_dtype="float32", action="discrete", n=3, num_envs=num_envs, masked=True,
            outcomes=("goal",), parts=("firm", "slippery"),
        )  # fmt: skip
        self.slip = 0.0
        self.reset(0)

    def reset(self, seed: int) -> Reset:
        n = self.spec.num_envs
        self.rng = generator_of(seed)
        self.place, self.age = self.rng.integers(0, 2, n), np.zeros(n, np.int64)
        self.noise = np.zeros(n)
        self.slips = np.full(n, self.slip)
        return Reset(self.obs(), self.mask(), np.zeros(n, np.int8))

    def obs(self) -> Array:
        return np.stack([self.place / GOAL, self.age / 40, self.noise], axis=1).astype(np.float32)

    def mask(self) -> Array:
        return np.stack([self.place > 0, self.place >= 0, self.place >= 0], axis=1)

    def move(self, action: Array) -> None:
        slips = self.draw() < self.slips
        self.place = np.maximum(self.place + np.where(slips, -1, action - 1), 0)
        self.noise = self.draw()
        self.age = self.age + 1

    def draw(self) -> Array:
        return self.rng.random(self.spec.num_envs)

    def step(self, action: Array) -> Step:
        n = self.spec.num_envs
        self.move(action)
        terminated = self.place >= GOAL
        truncated = (self.age >= self.limit) & ~terminated
        reward = (terminated - 0.01).astype(np.float32)
        final_obs = self.obs()
        self.restart(np.flatnonzero(terminated | truncated))
        return Step(
            self.obs(), reward, terminated, truncated, final_obs, self.mask(), np.zeros(n, np.int8),
            np.ones(n, np.bool_), terminated.astype(np.int8),
        )  # fmt: skip

    def restart(self, rows: Array) -> None:
        self.place, self.age = self.place.copy(), self.age.copy()
        self.place[rows], self.age[rows] = self.rng.integers(0, 2, len(rows)), 0
        self.slips[rows] = self.slip

    def difficulty_space(self) -> DifficultySpace | None:
        return DifficultySpace(levels=("firm", "slippery"))

    def set_difficulty(self, difficulty: Difficulty) -> None:
        if difficulty.level not in (0, 1):
            raise UsageError("walk has two levels")
        self.slip = (0.0, 0.4)[difficulty.level]

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        if part not in self.spec.parts:
            raise UsageError(f"walk has no part {part}")
        other = type(self)(episodes, self.limit)
        other.slip = (0.0, 0.4)[self.spec.parts.index(part)]
        start = other.reset(seed)
        obs, mask = start.obs, start.mask
        total, alive = np.zeros(episodes), np.ones(episodes, np.bool_)
        while alive.any():
            step = other.step(policy.act(obs, mask))
            total += step.reward * alive
            alive &= ~(step.terminated | step.truncated)
            obs, mask = step.obs, step.mask
        return PartResult(episodes=episodes, mean=float(total.mean()), min=float(total.min()), max=float(total.max()))

    def baselines(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, object]:
        arrays = {name: getattr(self, name).copy() for name in ("place", "age", "noise", "slips")}
        return {**arrays, "slip": self.slip, "rng": generator_state(self.rng)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name in ("place", "age", "noise", "slips"):
            setattr(self, name, state[name].copy())
        self.slip = state["slip"]
        load_generator(self.rng, state["rng"])

    def render_text(self, env: int) -> str:
        return "." * int(self.place[env]) + "@"

    def close(self) -> None:
        pass


class WrongShape(Walk):
    def step(self, action: Array) -> Step:
        step = super().step(action)
        return step._replace(reward=step.reward[:, None])


class WrongDtype(Walk):
    def obs(self) -> Array:
        return super().obs().astype(np.float64)


class EmptyMask(Walk):
    def mask(self) -> Array:
        return super().mask() & (self.place[:, None] != 2)


class NanReward(Walk):
    def step(self, action: Array) -> Step:
        step = super().step(action)
        return step._replace(reward=np.where(step.terminated, np.float32(np.nan), step.reward))


class BothEnds(Walk):
    def step(self, action: Array) -> Step:
        step = super().step(action)
        return step._replace(truncated=step.terminated | step.truncated)


class EndlessOutcome(Walk):
    def step(self, action: Array) -> Step:
        step = super().step(action)
        return step._replace(outcome=np.ones_like(step.outcome))


class LostTruncation(Walk):
    """Starts anew at its limit and tells nobody."""

    def step(self, action: Array) -> Step:
        step = super().step(action)
        return step._replace(truncated=np.zeros_like(step.truncated), final_obs=np.where(
            step.terminated[:, None], step.final_obs, step.obs))  # fmt: skip


class TruncationAsTermination(Walk):
    def step(self, action: Array) -> Step:
        step = super().step(action)
        ended = step.terminated | step.truncated
        return step._replace(terminated=ended, truncated=np.zeros_like(ended))


class LostLastObservation(Walk):
    def step(self, action: Array) -> Step:
        step = super().step(action)
        return step._replace(final_obs=step.obs)


class StaleLastObservation(Walk):
    def step(self, action: Array) -> Step:
        before = self.obs()
        step = super().step(action)
        ended = step.terminated | step.truncated
        return step._replace(final_obs=np.where(ended[:, None], before, step.obs))


class GlobalNumpy(Walk):
    def draw(self) -> Array:
        return np.random.random(self.spec.num_envs)


class GlobalPython(Walk):
    def draw(self) -> Array:
        return np.array([random.random() for _ in range(self.spec.num_envs)])


class Unseeded(Walk):
    def reset(self, seed: int) -> Reset:
        start = super().reset(seed)
        self.rng = np.random.default_rng()
        return start


class ResetRemembers(Walk):
    """Its generator goes on across resets."""

    def reset(self, seed: int) -> Reset:
        kept = getattr(self, "rng", None)
        start = super().reset(seed)
        self.rng = kept or self.rng
        return start


class Overwrites(Walk):
    def step(self, action: Array) -> Step:
        step = super().step(action)
        if not hasattr(self, "buffer"):
            self.buffer = step.obs
        self.buffer[...] = step.obs
        return step._replace(obs=self.buffer)


class EvaluationPlaysOn(Walk):
    """Evaluates on training's own generator."""

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        self.draw()
        return super().evaluate(policy, part=part, episodes=episodes, seed=seed)


class EvaluationHidden(Walk):
    """Changes what is not in the state."""

    hidden = 0

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        self.hidden += 1
        return super().evaluate(policy, part=part, episodes=episodes, seed=seed)

    def obs(self) -> Array:
        return super().obs() + np.float32(self.hidden)


class EvaluationVaries(Walk):
    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        result = super().evaluate(policy, part=part, episodes=episodes, seed=seed)
        return msgspec.structs.replace(result, mean=result.mean + np.random.default_rng().normal())


class EvaluationTooShort(Walk):
    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        return super().evaluate(policy, part=part, episodes=max(1, episodes // 2), seed=seed)


class ForgetsAge(Walk):
    def state_dict(self) -> dict[str, object]:
        return {**super().state_dict(), "age": np.zeros_like(self.age)}


class ForgetsGenerator(Walk):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        kept = generator_state(self.rng)
        super().load_state_dict(state)
        load_generator(self.rng, kept)


class SharesState(Walk):
    def move(self, action: Array) -> None:
        super().move(action)
        self.shared = getattr(self, "shared", np.zeros(self.spec.num_envs))
        self.shared += 1

    def state_dict(self) -> dict[str, object]:
        return {**super().state_dict(), "shared": getattr(self, "shared", np.zeros(self.spec.num_envs))}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.shared = state["shared"]


class ForeignState(Walk):
    def state_dict(self) -> dict[str, object]:
        return {**super().state_dict(), "self": self.spec}


class IgnoresDifficulty(Walk):
    def set_difficulty(self, difficulty: Difficulty) -> None:
        if difficulty.level not in (0, 1):
            raise UsageError("walk has two levels")


class EasierLevels(Walk):
    def set_difficulty(self, difficulty: Difficulty) -> None:
        super().set_difficulty(difficulty)
        self.slip = 0.4 - self.slip


class AcceptsAnyLevel(Walk):
    def set_difficulty(self, difficulty: Difficulty) -> None:
        super().set_difficulty(Difficulty(level=min(1, difficulty.level)))


class ChangesAtOnce(Walk):
    def set_difficulty(self, difficulty: Difficulty) -> None:
        super().set_difficulty(difficulty)
        self.slips[:] = self.slip


class EasierParts(Walk):
    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        other = {"firm": "slippery", "slippery": "firm"}.get(part, part)
        return super().evaluate(policy, part=other, episodes=episodes, seed=seed)


class EscapeText(Walk):
    def render_text(self, env: int) -> str:
        return "\x1b[31m@"


class Raises(Walk):
    def step(self, action: Array) -> Step:
        if self.age.max() > 20:
            raise ZeroDivisionError("in the walker's physics")
        return super().step(action)


BROKEN: dict[type[Walk], tuple[str, str]] = {
    WrongShape: ("shapes and dtypes are those of the spec", r"reward has shape \(1, 1\), not \(1,\), at step 0"),
    WrongDtype: ("shapes and dtypes are those of the spec", "obs is float64, not float32, at reset"),
    EmptyMask: ("masks leave a legal action", r"mask of environment \[\d+\] has no legal action at step"),
    NanReward: ("numbers are finite", r"reward of environment \[\d+\] is not finite at step"),
    BothEnds: ("flags agree", "is terminated and truncated"),
    EndlessOutcome: ("flags agree", "outcome without an end"),
    LostTruncation: ("a limit truncates", "goes on after its limit of .* truncation lost"),
    TruncationAsTermination: ("a limit truncates", "a limit is reported as terminated"),
    LostLastObservation: ("ends hand over the last observation", "the last one is lost"),
    StaleLastObservation: ("ends hand over the last observation", "observation before the last step"),
    GlobalNumpy: ("no hidden randomness", "global generator of numpy.random"),
    GlobalPython: ("no hidden randomness", "global generator of random"),
    Unseeded: ("the same seed repeats", "obs.* differ with the same seed"),
    ResetRemembers: ("the same seed repeats", "differ with the same seed"),
    Overwrites: ("arrays stay as handed out", "obs.* of step 0 changed afterwards"),
    EvaluationPlaysOn: ("evaluation leaves training as it was", r"evaluate\(part='firm'\) changes state_dict"),
    EvaluationHidden: ("evaluation leaves training as it was", "0 steps after an evaluation"),
    EvaluationVaries: ("evaluation repeats", "two evaluations of 'firm' with one seed differ"),
    EvaluationTooShort: ("evaluation repeats", "3 episodes were played, 6 asked for"),
    ForgetsAge: ("state round trip", "differ .* steps after a state taken at step"),
    ForgetsGenerator: ("state round trip", "a loaded state of step 0 is not the state that was saved"),
    SharesState: ("state round trip", "copy its arrays"),
    ForeignState: ("state round trip", "state.self is a TaskSpec, which a checkpoint cannot hold"),
    IgnoresDifficulty: ("difficulty is harder", "does set_difficulty act"),
    EasierLevels: ("difficulty is harder", "slippery is easier than firm"),
    AcceptsAnyLevel: ("difficulty is harder", "is accepted though a level beyond the last"),
    ChangesAtOnce: ("difficulty waits for the next episode", "change within an episode"),
    EasierParts: ("levels of the evaluation are harder", "slippery is (easier|not harder) than firm"),
    EscapeText: ("text is clean", "control characters"),
    Raises: ("flags agree", "raised ZeroDivisionError: in the walker's physics"),
}
"""The rule that must report each, and what it must say."""

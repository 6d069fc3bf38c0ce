"""Cross a frozen pond: 5 x 5 squares, the start in one corner, the goal in the opposite one, holes between.

The ice is slippery: with some probability a step goes sideways. That probability is the difficulty. The goal is worth
1, a hole 0 and the end of the episode, each step costs 0.01; after 60 steps the episode is cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from tui_trainer.core.config import Settings
from tui_trainer.core.protocols import Policy, Reset, Step, TaskSpec
from tui_trainer.core.values import Difficulty, DifficultySpace, PartResult
from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import Array, generator_of, generator_state, load_generator, loaded
from tui_trainer.tasks.options import read_options
from tui_trainer.tasks.statistics import wilson

SIDE = 5
GOAL = SIDE * SIDE - 1
HOLES = frozenset({6, 8, 16, 18})
MOVES = ((0, 1), (1, 0), (0, -1), (-1, 0))
SLIPS = {"dry": 0.0, "wet": 0.2, "icy": 0.4}
LEVELS = tuple(SLIPS)


class Options(Settings, frozen=True):
    """[task] of frozen_pond."""

    step_cost: Annotated[float, Meta(ge=0, le=1, description="What each step costs.")] = 0.01


def make(options: Mapping[str, Any], num_envs: int, max_episode_steps: int) -> Pond:
    """`num_envs` walkers; observations are one-hot squares."""
    return Pond(read_options(Options, options, "frozen_pond"), num_envs, max_episode_steps)


class Pond:
    """Walkers on ponds of their own."""

    def __init__(self, options: Options, num_envs: int, max_episode_steps: int) -> None:
        self._options, self._limit = options, max_episode_steps or 60
        self._level = 0
        self._quiet = np.zeros(num_envs, np.int8)
        self._spec = TaskSpec(
            id="frozen_pond", obs_shape=(GOAL + 1,), obs_dtype="float32", action="discrete", n=len(MOVES),
            num_envs=num_envs, metric="win_rate", outcomes=("goal", "hole"), parts=LEVELS,
        )  # fmt: skip
        self.reset(0)

    @property
    def spec(self) -> TaskSpec:
        """Fixed facts."""
        return self._spec

    def reset(self, seed: int) -> Reset:
        """Every walker at the start."""
        n = self._spec.num_envs
        self._rng = generator_of(seed)
        self._square, self._age = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self._slip = np.full(n, SLIPS[LEVELS[self._level]])
        return Reset(self._obs(), None, self._quiet)

    def _obs(self) -> Array:
        return np.eye(GOAL + 1, dtype=np.float32)[self._square]

    def step(self, action: Array) -> Step:
        """One step of every walker; who reaches an end stands at the start again, the last square in `final_obs`."""
        self._square = self._moved(np.asarray(action))
        self._age = self._age + 1
        goal, hole = self._square == GOAL, np.isin(self._square, list(HOLES))
        terminated = goal | hole
        truncated = (self._age >= self._limit) & ~terminated
        reward = (goal - self._options.step_cost).astype(np.float32)
        outcome = (goal + 2 * hole).astype(np.int8)
        final_obs = self._obs()
        self._begin(np.flatnonzero(terminated | truncated))
        every = np.ones(self._spec.num_envs, np.bool_)
        return Step(self._obs(), reward, terminated, truncated, final_obs, None, self._quiet, every, outcome)

    def _moved(self, action: Array) -> Array:
        sideways = np.where(self._rng.random(len(action)) < self._slip, self._rng.choice([-1, 1], len(action)), 0)
        down, right = np.array(MOVES)[(action + sideways) % len(MOVES)].T
        row = np.clip(self._square // SIDE + down, 0, SIDE - 1)
        column = np.clip(self._square % SIDE + right, 0, SIDE - 1)
        return np.asarray(row * SIDE + column)

    def _begin(self, rows: Array) -> None:
        self._square[rows] = self._age[rows] = 0
        self._slip[rows] = SLIPS[LEVELS[self._level]]

    def difficulty_space(self) -> DifficultySpace | None:
        """How slippery the ice is."""
        return DifficultySpace(levels=LEVELS)

    def set_difficulty(self, difficulty: Difficulty) -> None:
        """From each walker's next start on."""
        if not 0 <= difficulty.level < len(LEVELS):
            raise UsageError(f"frozen_pond has no level {difficulty.level}", f"0 ({LEVELS[0]}) to 2 ({LEVELS[-1]})")
        self._level = difficulty.level

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        """Share of walkers who reach the goal at the part's slipperiness, on ponds of their own."""
        if part not in LEVELS:
            raise UsageError(f"frozen_pond has no part {part!r}", f"it has {', '.join(LEVELS)}")
        other = Pond(self._options, episodes, self._limit)
        other._level = LEVELS.index(part)
        obs = other.reset(seed).obs
        returns, won, alive = np.zeros(episodes), np.zeros(episodes, np.bool_), np.ones(episodes, np.bool_)
        while alive.any():
            step = other.step(policy.act(obs, None))
            returns += step.reward * alive
            won |= (step.outcome == 1) & alive
            alive &= ~(step.terminated | step.truncated)
            obs = step.obs
        wins = int(won.sum())
        return PartResult(
            episodes=episodes, win_rate=wins / episodes, ci=wilson(wins, episodes), mean=float(returns.mean()),
            std=float(returns.std()), min=float(returns.min()), max=float(returns.max()),
        )  # fmt: skip

    def baselines(self) -> dict[str, float]:
        """None is known."""
        return {}

    def reference_player(self) -> Downhill:
        """A player good enough to feel the ice."""
        return Downhill()

    def state_dict(self) -> dict[str, object]:
        """Squares, ages, slipperiness, level and generator."""
        arrays = {"square": self._square.copy(), "age": self._age.copy(), "slip": self._slip.copy()}
        return {**arrays, "level": self._level, "rng": generator_state(self._rng)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue exactly."""
        self._square, self._age = loaded(self._square, state, "square"), loaded(self._age, state, "age")
        self._slip, self._level = loaded(self._slip, state, "slip"), int(state["level"])
        load_generator(self._rng, state["rng"])

    def render_text(self, env: int) -> str:
        """`@` the walker, `O` a hole, `G` the goal."""
        signs = ["G" if square == GOAL else "O" if square in HOLES else "." for square in range(GOAL + 1)]
        signs[int(self._square[env])] = "@"
        return "\n".join(" ".join(signs[row * SIDE : (row + 1) * SIDE]) for row in range(SIDE))

    def close(self) -> None:
        """Nothing to free."""


class Downhill:
    """Goes along the upper edge, then down the right one."""

    def act(self, obs: Array, mask: Array | None) -> Array:
        """Right until the edge, then down."""
        square = obs.argmax(axis=1)
        return np.where(square % SIDE == SIDE - 1, 1, 0)

    def probabilities(self, obs: Array, mask: Array | None) -> Array:
        """1 for its step."""
        return np.eye(len(MOVES), dtype=np.float32)[self.act(obs, mask)]

    def value(self, obs: Array) -> Array:
        """It expects nothing."""
        return np.zeros(len(obs), np.float32)

"""Tiny tasks with known answers: what a learner must be able to learn before it is given anything harder."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tui_trainer.core.protocols import Policy, Reset, Step, TaskSpec
from tui_trainer.core.values import Difficulty, DifficultySpace, PartResult


class Probe:
    """A batch of one kind of tiny environment. State: `phase` (N,) within the episode and `cue` (N, width)."""

    width = 1
    n = 2
    action = "discrete"
    masked = False
    players = 1
    outcomes: tuple[str, ...] = ()
    dtype = "float32"

    def __init__(self, num_envs: int = 16) -> None:
        self.spec = TaskSpec(
            id=f"probe:{type(self).__name__}",
            obs_shape=(self.width,),
            obs_dtype=self.dtype,
            obs_binary=self.dtype == "uint8",
            action=self.action,  # type: ignore[arg-type]
            n=self.n,
            num_envs=num_envs,
            masked=self.masked,
            players=self.players,
            outcomes=self.outcomes,
        )
        self.rng = np.random.default_rng(0)
        self.phase = np.zeros(num_envs, np.int64)
        self.cue = np.zeros((num_envs, self.width))

    # what a probe defines
    def start(self, rows: np.ndarray) -> None:
        self.phase[rows] = 0
        self.cue[rows] = self.rng.integers(0, 2, (len(rows), self.width))

    def play(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Advance; returns reward, terminated, truncated."""
        raise AssertionError("a probe defines play")

    def observe(self) -> np.ndarray:
        return self.cue.astype(self.dtype)

    def legal(self) -> np.ndarray | None:
        return None

    def mover(self) -> np.ndarray:
        return np.zeros(self.spec.num_envs, np.int8)

    def winner(self, ended: np.ndarray, reward: np.ndarray, mover: np.ndarray) -> np.ndarray:
        return np.zeros(self.spec.num_envs, np.int8)

    # the Task contract
    def reset(self, seed: int) -> Reset:
        self.rng = np.random.default_rng(seed)
        self.start(np.arange(self.spec.num_envs))
        return Reset(self.observe(), self.legal(), self.mover())

    def step(self, action: np.ndarray) -> Step:
        mover = self.mover()
        reward, terminated, truncated = self.play(action)
        ended = terminated | truncated
        final_obs = self.observe()
        outcome = self.winner(ended, reward, mover)
        if ended.any():
            self.start(np.flatnonzero(ended))
        valid = np.ones(self.spec.num_envs, np.bool_)
        reward = reward.astype(np.float32)
        return Step(
            self.observe(), reward, terminated, truncated, final_obs, self.legal(), self.mover(), valid, outcome
        )

    def difficulty_space(self) -> DifficultySpace | None:
        return None

    def set_difficulty(self, difficulty: Difficulty) -> None:
        return None

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        return PartResult(episodes=0)

    def baselines(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, object]:
        return {"phase": self.phase.copy(), "cue": self.cue.copy(), "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        self.phase = np.array(state["phase"])
        self.cue = np.array(state["cue"])
        self.rng.bit_generator.state = state["rng"]

    def render_text(self, env: int) -> str:
        return str(self.cue[env])

    def close(self) -> None:
        return None

    def _none(self) -> np.ndarray:
        return np.zeros(self.spec.num_envs, np.bool_)


class Constant(Probe):
    """Reward 1 whatever is done, one step: the value is 1."""

    n = 2

    def observe(self) -> np.ndarray:
        return np.ones((self.spec.num_envs, 1), np.float32)

    def play(self, action):
        return np.ones(self.spec.num_envs), ~self._none(), self._none()


class Copy(Probe):
    """Reward 1 for the action that the observation names, -1 for the other."""

    def play(self, action):
        return np.where(action == self.cue[:, 0], 1.0, -1.0), ~self._none(), self._none()


class TwoSteps(Probe):
    """Two steps; reward 1 after the second. With discount g the first observation is worth g, the second 1."""

    def observe(self) -> np.ndarray:
        return self.phase[:, None].astype(np.float32)

    def play(self, action):
        self.phase += 1
        over = self.phase == 2
        return over.astype(float), over, self._none()


class Endless(Probe):
    """Reward 1 for ever, cut after four steps: with truncation treated rightly the value is 1 / (1 - g) throughout."""

    def observe(self) -> np.ndarray:
        return np.ones((self.spec.num_envs, 1), np.float32)

    def play(self, action):
        self.phase += 1
        return np.ones(self.spec.num_envs), self._none(), self.phase == 4


class Masked(Probe):
    """Five actions; the higher the better, but only those up to 3 that the mask allows."""

    width = 5
    n = 5
    masked = True
    dtype = "uint8"

    def start(self, rows):
        super().start(rows)
        self.cue[rows, 0] = 1
        self.cue[rows, 4] = 0

    def legal(self):
        return self.cue > 0

    def play(self, action):
        assert self.legal()[np.arange(self.spec.num_envs), action].all(), "a forbidden action was played"
        return action / 3.0, ~self._none(), self._none()


class Nim(Probe):
    """Two players take 1 or 2 of up to 7 stones; who takes the last one wins. Leaving a multiple of 3 is perfect."""

    width = 8
    players = 2
    masked = True
    outcomes = ("black", "white", "draw")
    dtype = "uint8"

    def start(self, rows):
        self.phase[rows] = 0
        self.cue[rows] = 0
        self.cue[rows, self.rng.integers(1, 8, len(rows))] = 1

    def mover(self):
        return (self.phase % 2).astype(np.int8)

    def stones(self) -> np.ndarray:
        return self.cue.argmax(1)

    def legal(self):
        return np.stack([self.stones() >= 1, self.stones() >= 2], 1)

    def play(self, action):
        left = self.stones() - (action + 1)
        self.cue[:] = np.eye(8)[left]
        self.phase += 1
        over = left == 0
        return over.astype(float), over, self._none()

    def winner(self, ended, reward, mover):
        return np.where(ended, mover + 1, 0).astype(np.int8)


class Aim(Probe):
    """A box action in [-1, 1]; the closer to the observation (in [-0.8, 0.8]) the better."""

    action = "box"
    n = 1

    def start(self, rows):
        self.phase[rows] = 0
        self.cue[rows] = self.rng.uniform(-0.8, 0.8, (len(rows), 1))

    def play(self, action):
        return -((action[:, 0] - self.cue[:, 0]) ** 2), ~self._none(), self._none()


class Resetting(Copy):
    """As Copy with two-step episodes, but each reset costs a row that is no transition, as Gymnasium's vectors do."""

    def play(self, action):
        self.resetting = self.phase == 2
        reward, _, none = super().play(action)
        self.phase += 1
        return np.where(self.resetting, 99.0, reward), self.phase == 2, none

    def step(self, action):
        mover = self.mover()
        reward, terminated, truncated = self.play(action)
        rows = np.flatnonzero(self.resetting)
        keep = np.flatnonzero(~self.resetting)
        self.cue[keep] = self.rng.integers(0, 2, (len(keep), 1))
        if len(rows):
            self.start(rows)
        obs = self.observe()
        outcome = np.zeros(self.spec.num_envs, np.int8)
        return Step(obs, reward.astype(np.float32), terminated, truncated, obs, None, mover, ~self.resetting, outcome)

"""Agents who act at once: a row of the batch for each, all with the same policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tui_trainer.core.protocols import Policy, Reset, Step, TaskSpec
from tui_trainer.core.values import Difficulty, DifficultySpace, PartResult
from tui_trainer.errors import DamagedSession, UsageError
from tui_trainer.tasks.arrays import Array, Bool, Float, generator_of, generator_state, load_generator
from tui_trainer.tasks.spaces import Views, actions_of
from tui_trainer.tasks.statistics import normal
from tui_trainer.tasks.zoo.episode import Recorded
from tui_trainer.tasks.zoo.info import numbers_of
from tui_trainer.tasks.zoo.loading import FAMILY, make_parallel
from tui_trainer.tasks.zoo.pictures import picture

_MOST_STEPS = 2_000
"""An evaluation's episode is cut after this many steps."""


class Arena:
    """One environment and what its agents saw last. An agent that is gone sees zeros until all begin anew."""

    def __init__(self, name: str, kwargs: Mapping[str, Any], views: Views, seed: int) -> None:
        self._name, self._kwargs, self._views = name, kwargs, views
        self.recorded = Recorded(make_parallel(name, kwargs), self._play)
        self.agents: list[str] = list(self.recorded.env.possible_agents)
        self.begin(seed)

    def begin(self, seed: int) -> None:
        """A new episode."""
        env = self.recorded.env
        seen, info = env.reset(seed=seed)
        self.recorded.seed, self.recorded.actions = seed, []
        self.age = 0
        self._empty()
        self._keep(seen, info)

    def _empty(self) -> None:
        count = len(self.agents)
        self.reward = np.zeros(count, np.float32)
        self.terminated = np.zeros(count, np.bool_)
        self.truncated = np.zeros(count, np.bool_)
        self.gone = np.zeros(count, np.bool_)
        self.obs = np.zeros((count, *self._views.shape), self._views.dtype)
        self.mask: list[Any] = [None] * count
        self.told: list[Mapping[str, Any]] = [{}] * count
        """What each agent was told beside its step; nothing where it took none."""

    def _keep(self, seen: Mapping[str, Any], info: Mapping[str, Any]) -> None:
        for row, agent in enumerate(self.agents):
            if agent in seen:
                self.obs[row] = self._views.array(seen[agent])
                self.mask[row] = self._views.mask(seen[agent])
            self.gone[row] = agent not in self.recorded.env.agents

    def step(self, actions: list[Any]) -> None:
        """Every agent that is still there acts."""
        self.recorded.step(actions)

    def _play(self, env: Any, actions: Any) -> None:
        acting = [agent for agent in self.agents if agent in env.agents]
        before = self.gone.copy()
        chosen = {agent: action for agent, action in zip(self.agents, actions, strict=True) if agent in acting}
        seen, rewards, terminated, truncated, info = env.step(chosen)
        self.age += 1
        self.obs, self.mask = self.obs.copy(), list(self.mask)
        for row, agent in enumerate(self.agents):
            there = agent in chosen
            self.reward[row] = float(rewards.get(agent, 0.0)) if there else 0.0
            self.terminated[row] = there and bool(terminated.get(agent, False))
            self.truncated[row] = there and bool(truncated.get(agent, False)) and not self.terminated[row]
        self._keep(seen, info)
        self.told = [info.get(agent, {}) if agent in chosen else {} for agent in self.agents]
        self.gone |= before

    @property
    def is_over(self) -> bool:
        """Whether no agent is left."""
        return not self.recorded.env.agents


class AgentsTask:
    """`num_envs` agents in as many environments as they need; where seats are left over, they act at random."""

    def __init__(self, name: str, kwargs: Mapping[str, Any], num_envs: int, max_episode_steps: int) -> None:
        self._name, self._kwargs, self._limit = name, dict(kwargs), max_episode_steps
        probe = make_parallel(name, kwargs)
        agents = list(probe.possible_agents)
        spaces = [(probe.observation_space(agent), probe.action_space(agent)) for agent in agents]
        probe.close()
        if any(pair != spaces[0] for pair in spaces):
            raise UsageError(
                f"{FAMILY}{name}: its agents differ in what they see or do", "one policy plays all of them"
            )
        self._actions = actions_of(spaces[0][1], f"{FAMILY}{name}")
        self._views = Views(spaces[0][0], self._actions)
        self._seats = len(agents)
        self._arenas = [Arena(name, self._kwargs, self._views, 0) for _ in range(-(-num_envs // self._seats))]
        self._rng = generator_of(0)
        self._quiet = np.zeros(num_envs, np.int8)
        self._spec = TaskSpec(
            id=f"{FAMILY}{name}",
            obs_shape=self._views.shape,
            obs_dtype=self._views.dtype,
            obs_binary=self._views.binary,
            action=self._actions.kind,
            n=self._actions.n,
            num_envs=num_envs,
            masked=self._views.masked,
            metric="mean_reward",
            action_low=self._actions.low,
            action_high=self._actions.high,
        )
        self.reset(0)

    @property
    def spec(self) -> TaskSpec:
        """Fixed facts."""
        return self._spec

    # --- stepping --------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> Reset:
        """New episodes everywhere."""
        self._rng = generator_of(seed)
        for arena in self._arenas:
            arena.begin(int(self._rng.integers(2**31)))
        return Reset(self._obs(), self._mask(), self._quiet)

    def _obs(self) -> Array:
        return np.concatenate([arena.obs for arena in self._arenas])[: self._spec.num_envs]

    def _mask(self) -> Bool | None:
        if not self._views.masked:
            return None
        masks = [one for arena in self._arenas for one in arena.mask][: self._spec.num_envs]
        gone, free = self._rows("gone"), np.ones(self._spec.n, np.bool_)
        return np.stack([free if one is None or absent else one for one, absent in zip(masks, gone, strict=True)])

    def _rows(self, name: str) -> Array:
        return np.concatenate([getattr(arena, name) for arena in self._arenas])[: self._spec.num_envs]

    def step(self, action: Array) -> Step:
        """One step of every environment; rows of agents that were gone before are not `valid`."""
        gone = self._rows("gone")
        chosen = self._seated(action)
        for number, arena in enumerate(self._arenas):
            arena.step(chosen[number * self._seats : (number + 1) * self._seats])
        reward, terminated, truncated = self._rows("reward"), self._rows("terminated"), self._rows("truncated")
        cut = np.repeat([self._is_cut(arena) for arena in self._arenas], self._seats)[: len(gone)]
        truncated = (truncated | cut) & ~terminated & ~gone
        final_obs, info = self._obs(), numbers_of([one for arena in self._arenas for one in arena.told][: len(gone)])
        self._restart()
        quiet, mask = self._quiet, self._mask()
        return Step(self._obs(), reward, terminated, truncated, final_obs, mask, quiet, ~gone, quiet, info=info)

    def _seated(self, action: Array) -> list[Any]:
        missing = len(self._arenas) * self._seats - self._spec.num_envs
        spare = self._spare(missing)
        return [
            one.item() if one.ndim == 0 else one
            for one in np.asarray(self._actions.to_env(np.concatenate([action, spare])))
        ]

    def _spare(self, count: int) -> Array:
        """Actions of the agents that no row is left for."""
        if self._actions.kind == "box":
            size = (count, self._actions.n)
            return self._rng.uniform(self._actions.low, self._actions.high, size).astype(np.float32)
        masks = [one for arena in self._arenas for one in arena.mask][self._spec.num_envs :]
        legal = [np.arange(self._actions.n) if one is None or not one.any() else np.flatnonzero(one) for one in masks]
        return np.array([self._rng.choice(one) for one in legal], np.int64)

    def _is_cut(self, arena: Arena) -> bool:
        return bool(self._limit) and arena.age >= self._limit

    def _restart(self) -> None:
        for arena in self._arenas:
            if arena.is_over or self._is_cut(arena):
                arena.begin(int(self._rng.integers(2**31)))

    # --- difficulty and evaluation ---------------------------------------------------------------------------

    def difficulty_space(self) -> DifficultySpace | None:
        """None."""
        return None

    def set_difficulty(self, difficulty: Difficulty) -> None:
        """Raises UsageError."""
        raise UsageError(f"{self._spec.id} has no difficulty")

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        """Greedy episodes in environments of their own; an episode's return is the mean over its agents."""
        if part != "all":
            raise UsageError(f"{self._spec.id} has no part {part!r}", "it has all")
        other = AgentsTask(self._name, self._kwargs, episodes * self._seats, self._limit)
        try:
            returns = other.play(policy, seed).reshape(episodes, self._seats).mean(axis=1)
            frame = other.render_text(0)
        finally:
            other.close()
        mean, std = float(returns.mean()), float(returns.std())
        low, high = float(returns.min()), float(returns.max())
        ci = normal(mean, std, episodes)
        return PartResult(episodes=episodes, ci=ci, mean=mean, std=std, min=low, max=high, frame=frame)

    def play(self, policy: Policy, seed: int) -> Float:
        """The return of each agent's first episode, (N,)."""
        obs, mask, _ = self.reset(seed)
        returns, alive = np.zeros(len(obs), np.float32), np.ones(len(obs), np.bool_)
        for _ in range(self._limit or _MOST_STEPS):
            step = self.step(np.asarray(policy.act(obs, mask)))
            returns += step.reward * alive
            alive &= ~(step.terminated | step.truncated)
            if not alive.any():
                break
            obs, mask = step.obs, step.mask
        return returns

    def baselines(self) -> dict[str, float]:
        """None is known."""
        return {}

    # --- state -----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, object]:
        """Each episode's seed and actions, which are played again."""
        return {
            "episodes": [arena.recorded.state_dict() for arena in self._arenas],
            "rng": generator_state(self._rng),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue bit for bit. Raises DamagedSession for a state of another number of environments."""
        if not {"episodes", "rng"} <= state.keys() or len(state["episodes"]) != len(self._arenas):
            raise DamagedSession("the task's state is incomplete", "use an older checkpoint of the session")
        for arena, saved in zip(self._arenas, state["episodes"], strict=True):
            arena.begin(int(saved["seed"]))
            for actions in np.asarray(saved["actions"]):
                arena.step([one.item() if one.ndim == 0 else one for one in actions])
        load_generator(self._rng, state["rng"])

    def render_text(self, env: int) -> str:
        """What the agent sees."""
        arena = self._arenas[env // self._seats]
        return f"{self._name}: {arena.agents[env % self._seats]}\n{picture(arena.obs[env % self._seats])}"

    def close(self) -> None:
        """Close the environments."""
        for arena in self._arenas:
            arena.recorded.env.close()

"""A game of turns for two agents: N games of self-play, evaluated against a random player."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tui_trainer.core.protocols import Policy, Reset, Score, Step, TaskSpec
from tui_trainer.core.values import Difficulty, DifficultySpace, PartResult
from tui_trainer.errors import DamagedSession, UsageError
from tui_trainer.tasks.arrays import (
    Array,
    Bool,
    Float,
    Int,
    Small,
    generator_of,
    generator_state,
    load_generator,
    loaded,
    require_legal,
)
from tui_trainer.tasks.playing import RandomPlayer
from tui_trainer.tasks.spaces import Views, actions_of
from tui_trainer.tasks.statistics import tally_games
from tui_trainer.tasks.zoo.episode import Recorded
from tui_trainer.tasks.zoo.info import numbers_of
from tui_trainer.tasks.zoo.loading import FAMILY, make_turns
from tui_trainer.tasks.zoo.pictures import picture

_MOST_PLIES = 512
"""A longer game is cut."""


class TurnsTask:
    """N games; the action is for whoever is to move. A reward is half the difference of the two agents'."""

    def __init__(
        self, name: str, kwargs: Mapping[str, Any], opening_plies: int, num_envs: int, max_episode_steps: int
    ) -> None:
        self._name, self._kwargs, self._opening_plies = name, dict(kwargs), opening_plies
        self._limit = max_episode_steps or _MOST_PLIES
        self._games = [Recorded(make_turns(name, kwargs), _play) for _ in range(num_envs)]
        env = self._games[0].env
        self._agents: list[str] = list(env.possible_agents)
        self._actions = actions_of(env.action_space(self._agents[0]), f"{FAMILY}{name}")
        self._views = Views(env.observation_space(self._agents[0]), self._actions)
        if self._actions.kind == "box":
            raise UsageError(f"{FAMILY}{name}: a game of turns needs discrete actions")
        self._rng = generator_of(0)
        self._age: Int = np.zeros(num_envs, np.int64)
        self._total: Float = np.zeros(num_envs, np.float32)
        """Of each game so far, for its first agent."""
        self._spec = TaskSpec(
            id=f"{FAMILY}{name}",
            obs_shape=self._views.shape,
            obs_dtype=self._views.dtype,
            obs_binary=self._views.binary,
            action="discrete",
            n=self._actions.n,
            num_envs=num_envs,
            masked=self._views.masked,
            players=2,
            metric="win_rate",
            outcomes=("first", "second", "draw"),
            parts=("random",),
        )
        self.reset(0)

    @property
    def spec(self) -> TaskSpec:
        """Fixed facts."""
        return self._spec

    # --- playing ---------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> Reset:
        """New games in every environment."""
        self._rng = generator_of(seed)
        self._age, self._total = np.zeros_like(self._age), np.zeros_like(self._total)
        for row in range(len(self._games)):
            self._begin(row)
        self._now = Reset(*self._look(np.zeros(len(self._games), np.int8)))
        return self._now

    def _begin(self, row: int) -> None:
        """A new game, after some random plies that do not end it."""
        game = self._games[row]
        game.begin(int(self._rng.integers(2**31)))
        self._age[row] = self._total[row] = 0
        for _ in range(int(self._rng.integers(0, self._opening_plies + 1))):
            game.step(self._random_action(game.env))
            if _is_over(game.env):
                game.begin(int(self._rng.integers(2**31)))
                return

    def _random_action(self, env: Any) -> Any:
        mask = self._views.mask(env.observe(env.agent_selection))
        legal = np.arange(self._actions.n) if mask is None else np.flatnonzero(mask)
        return self._to_env(self._rng.choice(legal, 1))[0]

    def _to_env(self, action: Array) -> list[Any]:
        found: list[Any] = [one.item() if one.ndim == 0 else one for one in np.asarray(self._actions.to_env(action))]
        return found

    def _look(self, after: Small) -> tuple[Array, Bool | None, Small]:
        """What the agents to move see; `after` names the side that sees a finished game."""
        sides = np.array([self._side(game.env, int(after[row])) for row, game in enumerate(self._games)], np.int8)
        seen = [game.env.observe(self._agents[side]) for game, side in zip(self._games, sides.tolist(), strict=True)]
        obs = np.stack([self._views.array(one) for one in seen])
        mask = np.stack([self._views.mask(one) for one in seen]) if self._views.masked else None  # type: ignore[misc]
        return obs, mask, sides

    def _side(self, env: Any, after: int) -> int:
        return after if _is_over(env) else self._agents.index(env.agent_selection)

    def step(self, action: Array) -> Step:
        """One ply in every game. Raises UsageError for an illegal action."""
        if self._now.mask is not None:
            require_legal(self._spec.id, action, self._now.mask)
        movers = self._now.to_move
        for game, one in zip(self._games, self._to_env(action), strict=True):
            game.step(one)
        info = numbers_of([self._told(game.env, mover) for game, mover in zip(self._games, movers.tolist())])
        self._age = self._age + 1
        first = np.array([_difference(game.env, self._agents) for game in self._games], np.float32)
        self._total = self._total + first
        over = np.array([any(game.env.terminations.values()) for game in self._games], np.bool_)
        cut = np.array([any(game.env.truncations.values()) for game in self._games], np.bool_)
        truncated = (cut | (self._age >= self._limit)) & ~over
        outcome = np.where(over, np.where(self._total > 0, 1, np.where(self._total < 0, 2, 3)), 0).astype(np.int8)
        final_obs, mask, sides = self._look(movers ^ np.int8(1))
        obs, mask, to_move = self._restart(np.flatnonzero(over | truncated), final_obs, mask, sides)
        self._now = Reset(obs, mask, to_move)
        reward = np.where(movers == 0, first, -first).astype(np.float32)
        valid = np.ones_like(over)
        return Step(
            obs, reward, over, truncated, final_obs, mask, to_move, valid, outcome, final_to_move=sides, info=info
        )

    def _told(self, env: Any, mover: int) -> Mapping[str, Any]:
        """What the agent that just moved was told."""
        found: Mapping[str, Any] = env.infos.get(self._agents[mover], {})
        return found

    def _restart(self, rows: Int, obs: Array, mask: Bool | None, sides: Small) -> tuple[Array, Bool | None, Small]:
        if not len(rows):
            return obs, mask, sides
        for row in rows.tolist():
            self._begin(row)
        fresh, legal, to_move = self._look(np.zeros(len(sides), np.int8))
        return fresh, legal, to_move

    # --- difficulty and evaluation ---------------------------------------------------------------------------

    def difficulty_space(self) -> DifficultySpace | None:
        """None: its one opponent is random."""
        return None

    def set_difficulty(self, difficulty: Difficulty) -> None:
        """Raises UsageError."""
        raise UsageError(f"{self._spec.id} has no difficulty")

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        """Greedy games against a random player, from random openings, both sides."""
        if part != "random":
            raise UsageError(f"{self._spec.id} has no opponent {part!r}", "it has random")
        score, frame = self.games(policy, RandomPlayer(self._spec, seed), episodes, seed)
        return tally_games(score, frame=frame)

    @property
    def opponents(self) -> tuple[str, ...]:
        """A random player."""
        return ("random",)

    def match(self, one: Policy | str, two: Policy | str, *, games: int, seed: int) -> Score:
        """Games between two policies or the random player, from random openings."""
        players = [RandomPlayer(self._spec, seed) if isinstance(player, str) else player for player in (one, two)]
        score, _ = self.games(players[0], players[1], games, seed)
        wins, losses = int((score > 0).sum()), int((score < 0).sum())
        return Score(wins, games - wins - losses, losses)

    def games(self, one: Policy, other: Policy, count: int, seed: int) -> tuple[Float, str]:
        """Scores of `one` over its first game in each of `count` environments, and the last position."""
        task = TurnsTask(self._name, self._kwargs, self._opening_plies, count, self._limit)
        try:
            return task.contest((one, other), seed)
        finally:
            task.close()

    def contest(self, players: tuple[Policy, Policy], seed: int) -> tuple[Float, str]:
        """The first game of every environment; the first player has the first seat in even ones."""
        obs, mask, to_move = self.reset(seed)
        seats = np.arange(len(obs)) % 2
        score, alive, frame = np.zeros(len(obs), np.float32), np.ones(len(obs), np.bool_), ""
        while alive.any():
            first, second = (np.asarray(player.act(obs, mask)) for player in players)
            mine = to_move == seats
            step = self.step(np.where(mine, first, second))
            score += np.where(mine, step.reward, -step.reward) * alive
            alive &= ~(step.terminated | step.truncated)
            obs, mask, to_move = step.obs, step.mask, step.to_move
            frame = self.render_text(int(np.flatnonzero(alive)[-1])) if alive.any() else frame
        return np.sign(score), frame

    def baselines(self) -> dict[str, float]:
        """None is known."""
        return {}

    # --- state -----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, object]:
        """Each game's seed and actions, which are played again."""
        return {
            "games": [game.state_dict() for game in self._games],
            "age": self._age.copy(),
            "total": self._total.copy(),
            "rng": generator_state(self._rng),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue bit for bit. Raises DamagedSession for a state of another number of environments."""
        age, total = loaded(self._age, state, "age"), loaded(self._total, state, "total")
        if not {"games", "rng"} <= state.keys() or len(state["games"]) != len(self._games):
            raise DamagedSession("the task's state is incomplete", "use an older checkpoint of the session")
        for game, saved in zip(self._games, state["games"], strict=True):
            game.load_state_dict(saved)
        self._age, self._total = age, total
        load_generator(self._rng, state["rng"])
        self._now = Reset(*self._look(np.zeros(len(self._games), np.int8)))

    def render_text(self, env: int) -> str:
        """What the agent to move sees."""
        return f"{self._name}\n{picture(self._now.obs[env])}\n{self._agents[int(self._now.to_move[env])]} to move"

    def close(self) -> None:
        """Close the games."""
        for game in self._games:
            game.env.close()


def _play(env: Any, action: Any) -> None:
    env.step(action)


def _is_over(env: Any) -> bool:
    return any(env.terminations.values()) or any(env.truncations.values())


def _difference(env: Any, agents: list[str]) -> float:
    """Half of what the first agent was just given more than the second."""
    return (float(env.rewards.get(agents[0], 0.0)) - float(env.rewards.get(agents[1], 0.0))) / 2

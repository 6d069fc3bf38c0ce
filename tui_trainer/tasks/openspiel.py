"""Any two-player game of perfect information in OpenSpiel by its id: `openspiel:shogi`. Needs the extra `games`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from tui_trainer.core.config import Settings
from tui_trainer.core.protocols import Policy, Reset, Score, Step, TaskSpec
from tui_trainer.core.values import Difficulty, DifficultySpace, PartResult
from tui_trainer.errors import ConfigError, DamagedSession, UsageError
from tui_trainer.tasks.arrays import (
    Array,
    Float,
    Int,
    Small,
    generator_of,
    generator_state,
    load_generator,
    loaded,
    require_legal,
)
from tui_trainer.tasks.options import read_options
from tui_trainer.tasks.spiel.matches import play_games, random_opening, result_of
from tui_trainer.tasks.spiel.players import Learned, Player, player_named
from tui_trainer.tasks.spiel.rules import FAMILY, Rules, State, View, load_rules
from tui_trainer.tasks.spiel.table import SpielTable

_MOST_PLIES = 512
"""A longer game is cut and counts as drawn: OpenSpiel lets Shogi go on for 17,695 plies."""
_DECISIVE = np.float32(20)
"""Pawns of material that all but decide a game."""


class Options(Settings, frozen=True):
    """[task] of a game of OpenSpiel."""

    opponents: Annotated[
        tuple[str, ...],
        Meta(description="The ladder, easiest first: random, 1-ply, mcts-N, in Shogi material-1, -2; empty = its own."),
    ] = ()
    opening_plies: Annotated[int, Meta(ge=0, le=40, description="Games start from up to this many random plies.")] = 4
    opening_share: Annotated[float, Meta(ge=0, le=1, description="Share of games that start from random plies.")] = 0.9
    opponent_share: Annotated[
        float,
        Meta(ge=0, le=1, description="Share of environments (the last ones) against the present level's opponent."),
    ] = 0.25
    material_reward: Annotated[
        float,
        Meta(ge=0, lt=1, description="Shogi: pay up to this share of a win early, for material; less remains to win."),
    ] = 0.0
    attack_planes: Annotated[
        bool, Meta(description="Shogi: observe, too, how many pieces of each side attack each square.")
    ] = False
    evaluation_plies: Annotated[int, Meta(ge=1, le=40, description="Evaluation games start from 1 to n plies.")] = 4


def make(name: str, options: Mapping[str, Any], num_envs: int, max_episode_steps: int) -> OpenSpielTask:
    """`num_envs` games. Raises UsageError for an unknown game, or one that has not two players who see everything."""
    chosen = read_options(Options, options, f"{FAMILY}{name}")
    return OpenSpielTask(name, load_rules(name), chosen, num_envs, max_episode_steps)


def check_name(name: str) -> None:
    """Raise UsageError naming the nearest id where OpenSpiel has no such game, or why it cannot be trained."""
    load_rules(name)


class OpenSpielTask:
    """N games at once.

    Self-play rows: the action is for whoever is to move. Rows with a scripted opponent: the action is for the learner's
    seat, the opponent answers inside `step`; the learner's seat changes with every game.
    """

    def __init__(self, name: str, rules: Rules, options: Options, num_envs: int, max_episode_steps: int) -> None:
        self._name, self._rules, self._options = name, rules, options
        self._limit = max_episode_steps or min(int(rules.game.max_game_length()), _MOST_PLIES)
        self._ladder = options.opponents or rules.ladder
        self._players: list[Player] = [player_named(rules, rung) for rung in self._ladder]
        self._first_scripted = num_envs - round(options.opponent_share * num_envs)
        self._level = 0
        if options.material_reward and not rules.has_material:
            raise ConfigError(f"task.material_reward: {FAMILY}{name} has no material", "leave it at 0")
        if options.attack_planes and not rules.has_material:
            raise ConfigError(f"task.attack_planes: only Shogi has them, not {FAMILY}{name}", "leave it false")
        if options.attack_planes:
            rules.show_attacks()
        self._rows = np.arange(num_envs)
        self._spec = TaskSpec(
            id=f"{FAMILY}{name}",
            obs_shape=rules.obs_shape,
            obs_dtype=rules.obs_dtype,
            action="discrete",
            n=rules.n,
            action_planes=rules.action_planes,
            action_steps=rules.action_steps,
            num_envs=num_envs,
            masked=True,
            players=2,
            metric="win_rate",
            outcomes=rules.outcomes,
            parts=self._ladder,
        )
        self.reset(0)

    @property
    def spec(self) -> TaskSpec:
        """Fixed facts."""
        return self._spec

    # --- playing ---------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> Reset:
        """New games in every environment."""
        n = self._spec.num_envs
        self._rng = generator_of(seed, 1)
        self._age: Int = np.zeros(n, np.int64)
        self._seat: Small = np.arange(n).astype(np.int8) & 1
        self._rung: Small = np.full(n, self._level, np.int8)
        self._states: list[State] = [None] * n
        self._begin(self._rows)
        self._now = self._look(self._rows, np.zeros(n, np.int8))
        self._worth = self._advances(self._now)
        return Reset(*self._now)

    def _look(self, rows: Int, after: Small) -> View:
        return self._rules.view([self._states[row] for row in rows], after)

    def step(self, action: Array) -> Step:
        """One ply in self-play rows, a ply and its answer in the others. Raises UsageError for an illegal action."""
        movers = self._now.to_move
        self._move(np.asarray(action), movers)
        for row in range(self._first_scripted, len(self._states)):
            self._answer(row)
        self._age = self._age + 1
        over = np.array([state.is_terminal() for state in self._states], np.bool_)
        truncated = (self._age >= self._limit) & ~over
        reward, outcome = self._results(np.flatnonzero(over), movers)
        view = self._look(self._rows, self._next_side(movers))
        if self._options.material_reward:
            after = np.where(view.to_move == movers, 1, -1) * self._advances(view)
            reward += np.where(over, 0, after).astype(np.float32) - self._worth
        self._now = self._restart(np.flatnonzero(over | truncated), view)
        self._worth = self._advances(self._now)
        return Step(
            self._now.obs, reward, over, truncated, view.obs, self._now.mask, self._now.to_move,
            np.ones(len(over), np.bool_), outcome, final_to_move=view.to_move,
        )  # fmt: skip

    def _move(self, action: Int, movers: Small) -> None:
        require_legal(self._spec.id, action, self._now.mask)
        for state, move in zip(self._states, self._rules.moves_of(movers, action).tolist(), strict=True):
            state.apply_action(move)

    def _answer(self, row: int) -> None:
        """The scripted opponent moves until the learner is to move, or the game has ended."""
        state, player = self._states[row], self._players[self._rung[row]]
        while not state.is_terminal() and state.current_player() != self._seat[row]:
            state.apply_action(player.choose(state, self._rng))

    def _advances(self, view: View) -> Float:
        """What material has paid so far of the game's result, for the side to move: a potential, so that a game pays
        the same in all. Ng, Harada and Russell 1999."""
        if not self._options.material_reward:
            return np.zeros(len(view.obs), np.float32)
        balance = self._rules.balance(view.obs) / _DECISIVE
        found: Float = (np.float32(self._options.material_reward) * np.tanh(balance)).astype(np.float32)
        return found

    def _next_side(self, movers: Small) -> Small:
        """Who would see a game that has just ended."""
        after = movers ^ np.int8(1)
        after[self._first_scripted :] = self._seat[self._first_scripted :]
        return after

    def _results(self, ended: Int, movers: Small) -> tuple[Float, Small]:
        """Rewards for the side that moved, and outcomes 1, 2 or 3."""
        reward = np.zeros(len(movers), np.float32)
        outcome = np.zeros(len(movers), np.int8)
        for row in ended.tolist():
            score = self._rules.score(self._states[row])
            reward[row] = -score if movers[row] else score
            outcome[row] = 3 if score == 0 else 1 if score > 0 else 2
        return reward, outcome

    def _restart(self, rows: Int, view: View) -> View:
        """Begin new games in `rows`; the next decisions."""
        if not len(rows):
            return view
        self._begin(rows)
        fresh = self._look(rows, np.zeros(len(rows), np.int8))
        obs, mask, to_move = view.obs.copy(), view.mask.copy(), view.to_move.copy()
        obs[rows], mask[rows], to_move[rows] = fresh
        return View(obs, mask, to_move)

    def _begin(self, rows: Int) -> None:
        options = self._options
        self._age[rows] = 0
        for row in rows.tolist():
            plies = 0
            if options.opening_plies and self._rng.random() < options.opening_share:
                plies = int(self._rng.integers(1, options.opening_plies + 1))
            self._states[row] = random_opening(self._rules, self._rng, plies)
            if row >= self._first_scripted:
                self._seat_learner(row)

    def _seat_learner(self, row: int) -> None:
        """The learner changes seats; an opponent that is to move first moves, unless that would end the game."""
        self._rung[row] = self._level
        self._seat[row] ^= 1
        opening = self._states[row]
        self._states[row] = opening.clone()
        self._answer(row)
        if self._states[row].is_terminal():
            self._states[row] = opening
            self._seat[row] = opening.current_player()

    # --- difficulty and evaluation ---------------------------------------------------------------------------

    def difficulty_space(self) -> DifficultySpace | None:
        """The ladder of opponents; None where there is but one."""
        return DifficultySpace(levels=self._ladder) if len(self._ladder) > 1 else None

    def set_difficulty(self, difficulty: Difficulty) -> None:
        """The level's opponent plays each scripted row from its next game on."""
        if not 0 <= difficulty.level < len(self._ladder):
            raise UsageError(
                f"{self._spec.id} has no level {difficulty.level}",
                f"0 ({self._ladder[0]}) to {len(self._ladder) - 1} ({self._ladder[-1]})",
            )
        self._level = difficulty.level

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        """Greedy games against one opponent, from distinct openings, each from both sides. `extra`: plies a game."""
        if part not in self._ladder:
            raise UsageError(f"{self._spec.id} has no opponent {part!r}", f"it has {', '.join(self._ladder)}")
        one, other = Learned(self._rules, policy), self._players[self._ladder.index(part)]
        plies = self._options.evaluation_plies
        return result_of(self._rules, play_games(self._rules, one, other, episodes, seed, plies, self._limit))

    @property
    def opponents(self) -> tuple[str, ...]:
        """The ladder."""
        return self._ladder

    def match(self, one: Policy | str, two: Policy | str, *, games: int, seed: int) -> Score:
        """Games between two policies or opponents, from the evaluation's kind of openings."""
        first, second = (
            player_named(self._rules, player) if isinstance(player, str) else Learned(self._rules, player)
            for player in (one, two)
        )
        played = play_games(self._rules, first, second, games, seed, self._options.evaluation_plies, self._limit)
        wins, losses = int((played.score > 0).sum()), int((played.score < 0).sum())
        return Score(wins, games - wins - losses, losses)

    def baselines(self) -> dict[str, float]:
        """None is known for every game."""
        return {}

    # --- state -----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, object]:
        """The games' moves, seats, levels, ages and the generator."""
        return {
            "games": [state.serialize() for state in self._states],
            "age": self._age.copy(),
            "seat": self._seat.copy(),
            "rung": self._rung.copy(),
            "level": self._level,
            "rng": generator_state(self._rng),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue bit for bit. Raises DamagedSession for a state of another game or number of environments."""
        age, seat, rung = (
            loaded(old, state, key) for old, key in ((self._age, "age"), (self._seat, "seat"), (self._rung, "rung"))
        )
        if not {"games", "level", "rng"} <= state.keys() or len(state["games"]) != len(self._states):
            raise DamagedSession("the task's state is incomplete", "use an older checkpoint of the session")
        self._age, self._seat, self._rung = age, seat, rung
        self._states = [self._rules.game.deserialize_state(text) for text in state["games"]]
        self._level = int(state["level"])
        load_generator(self._rng, state["rng"])
        self._now = self._look(self._rows, np.zeros(len(self._states), np.int8))
        self._worth = self._advances(self._now)

    def render_text(self, env: int) -> str:
        """The board, who moves and against whom."""
        state = self._states[env]
        rival = self._ladder[self._rung[env]] if env >= self._first_scripted else "itself"
        return f"{self._rules.draw(state)}\n{self._rules.outcomes[state.current_player()]} to move, against {rival}"

    def table(self) -> SpielTable:
        """A game of its own, to be watched or played."""
        return SpielTable(self._rules, self._ladder, self._limit)

    def close(self) -> None:
        """Nothing to free."""

"""A batch of two-player board games as a Task: self-play rows, and rows in which a scripted opponent answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from tui_trainer.core.config import Settings
from tui_trainer.core.protocols import Policy, Reset, Score, Step, TaskSpec
from tui_trainer.core.values import Difficulty, DifficultySpace, PartResult
from tui_trainer.errors import DamagedSession, UsageError
from tui_trainer.tasks.arrays import Array, Bool, Int, Small, generator_of, generator_state, load_generator, loaded
from tui_trainer.tasks.boards.geometry import Geometry
from tui_trainer.tasks.boards.matches import play_match, play_policies
from tui_trainer.tasks.boards.openings import OpeningStock
from tui_trainer.tasks.boards.players import RungPlayer
from tui_trainer.tasks.boards.rungs import choose
from tui_trainer.tasks.boards.table import BoardTable


class BoardOptions(Settings, frozen=True):
    """[task] of a board game."""

    opening_plies: Annotated[int, Meta(ge=0, le=20, description="Games start from up to this many random plies.")] = 12
    opening_share: Annotated[float, Meta(ge=0, le=1, description="Share of games that start from random plies.")] = 0.9
    opponent_share: Annotated[
        float,
        Meta(ge=0, le=1, description="Share of environments (the last ones) against the present level's opponent."),
    ] = 0.25


class BoardRules(Settings, frozen=True):
    """What makes one board game: its ladder, its glyphs, its known scores, and the openings of its evaluation."""

    id: str
    ladder: tuple[str, ...]
    outcomes: tuple[str, str, str]
    evaluation_plies: int
    baselines: dict[str, float]
    """Score of each rung as a player of the reference evaluation."""


class BoardTask:
    """N games at once.

    Self-play rows: the action is for whoever is to move, `to_move` alternates. Rows with a scripted opponent: the
    action is for the learner's seat, the opponent answers inside `step`, `to_move` stays; the learner's seat changes
    with every game. A truncated row's `final_obs` is seen by the side that would have moved next.
    """

    def __init__(
        self, board: Geometry, rules: BoardRules, options: BoardOptions, num_envs: int, max_episode_steps: int
    ) -> None:
        self._board, self._rules, self._options = board, rules, options
        self._limit = max_episode_steps or 2 * board.cells
        self._scripted = round(options.opponent_share * num_envs)
        """Number of rows, counted from the end, that have a scripted opponent."""
        self._first_scripted = num_envs - self._scripted
        self._level = 0
        self._spec = TaskSpec(
            id=rules.id,
            obs_shape=(2, board.rows, board.columns),
            obs_dtype="uint8",
            obs_binary=True,
            action="discrete",
            n=board.actions,
            num_envs=num_envs,
            masked=True,
            players=2,
            metric="win_rate",
            outcomes=rules.outcomes,
            parts=rules.ladder,
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
        options = self._options
        self._rng = generator_of(seed, 1)
        self._stock = OpeningStock(self._board, seed, max_plies=options.opening_plies, share=options.opening_share)
        self._own, self._other = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self._to_move = np.zeros(n, np.int8)
        self._age = np.zeros(n, np.int64)
        self._seat = np.arange(n).astype(np.int8) & 1
        self._rung = np.full(n, self._level, np.int8)
        self._begin(np.arange(n))
        self._playable = self._board.playable(self._own | self._other)
        return Reset(self._board.planes(self._own, self._other), self._board.mask(self._playable), self._to_move.copy())

    def step(self, action: Int) -> Step:
        """One ply in self-play rows, a ply and its answer in the others. Raises UsageError for an illegal action."""
        board, n = self._board, self._spec.num_envs
        moved = self._place(action)
        won = board.has_line(moved)
        over = won | ((moved | self._other) == board.full)
        reward = won.astype(np.float32)
        outcome = np.where(won, self._to_move + np.int8(1), over * np.int8(3))
        self._own, self._other = self._other, moved
        self._to_move = self._to_move ^ np.int8(1)
        if self._scripted:
            rows = self._first_scripted + np.flatnonzero(~over[self._first_scripted :])
            self._answer(rows, reward, over, outcome)
        self._age += 1
        truncated = (self._age >= self._limit) & ~over
        final_obs, final_to_move = board.planes(self._own, self._other), self._to_move.copy()
        obs = self._restart(np.flatnonzero(over | truncated), final_obs)
        self._playable = board.playable(self._own | self._other)
        return Step(
            obs, reward, over, truncated, final_obs, board.mask(self._playable), self._to_move.copy(),
            np.ones(n, np.bool_), outcome, final_to_move=final_to_move,
        )  # fmt: skip

    def _place(self, action: Int) -> Int:
        """The mover's stones with the new one."""
        stone = self._playable & self._board.targets[action]
        if np.count_nonzero(stone) != len(stone):
            row = int(np.flatnonzero(stone == 0)[0])
            raise UsageError(f"{self._rules.id}: action {int(action[row])} is illegal in environment {row}")
        return self._own | stone

    def _answer(self, rows: Int, reward: Array, over: Bool, outcome: Small) -> None:
        """The scripted opponents' plies in `rows`; a lost game's reward is -1."""
        moved = self._opponents_stones(rows)
        lost = self._board.has_line(moved)
        ended = lost | ((moved | self._other[rows]) == self._board.full)
        reward[rows] -= lost
        over[rows] = ended
        outcome[rows] = np.where(lost, self._to_move[rows] + np.int8(1), ended * np.int8(3))
        self._own[rows], self._other[rows] = self._other[rows], moved
        self._to_move[rows] ^= 1

    def _opponents_stones(self, rows: Int) -> Int:
        """The side to move's stones in `rows` after its row's rung has moved."""
        own, other = self._own[rows], self._other[rows]
        action = np.zeros(len(rows), np.int64)
        rungs = self._rung[rows]
        for rung in sorted(set(rungs.tolist())):
            at = np.flatnonzero(rungs == rung)
            action[at] = choose(self._board, self._rules.ladder[rung], own[at], other[at], self._rng)
        return own | self._board.playable(own | other) & self._board.targets[action]

    def _restart(self, rows: Int, final_obs: Array) -> Array:
        """Begin new games in `rows`; the observations of the next decision."""
        if not len(rows):
            return final_obs
        self._begin(rows)
        obs = final_obs.copy()
        obs[rows] = self._board.planes(self._own[rows], self._other[rows])
        return obs

    def _begin(self, rows: Int) -> None:
        opening = self._stock.take(len(rows))
        self._own[rows], self._other[rows], self._to_move[rows] = opening
        self._age[rows] = 0
        scripted = rows[rows >= self._first_scripted]
        if len(scripted):
            self._seat_learner(scripted)

    def _seat_learner(self, rows: Int) -> None:
        """The learner changes seats; where the opponent is to move first, it moves, unless that would end the game."""
        self._rung[rows] = self._level
        self._seat[rows] ^= 1
        waiting = rows[self._to_move[rows] != self._seat[rows]]
        if not len(waiting):
            return
        moved = self._opponents_stones(waiting)
        ends = self._board.has_line(moved) | ((moved | self._other[waiting]) == self._board.full)
        self._seat[waiting[ends]] ^= 1
        plays = waiting[~ends]
        self._own[plays], self._other[plays] = self._other[plays], moved[~ends]
        self._to_move[plays] ^= 1

    # --- difficulty and evaluation ---------------------------------------------------------------------------

    def difficulty_space(self) -> DifficultySpace:
        """The ladder of opponents."""
        return DifficultySpace(levels=self._rules.ladder)

    def set_difficulty(self, difficulty: Difficulty) -> None:
        """The level's opponent plays each scripted row from its next game on."""
        if not 0 <= difficulty.level < len(self._rules.ladder):
            raise UsageError(
                f"{self._rules.id} has no level {difficulty.level}",
                f"0 ({self._rules.ladder[0]}) to {len(self._rules.ladder) - 1} ({self._rules.ladder[-1]})",
            )
        self._level = difficulty.level

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        """Greedy games against one rung, from distinct openings, each from both sides."""
        if part not in self._rules.ladder:
            raise UsageError(f"{self._rules.id} has no opponent {part!r}", f"it has {', '.join(self._rules.ladder)}")
        return play_match(self._board, policy, part, episodes, seed, self._rules.evaluation_plies)

    @property
    def opponents(self) -> tuple[str, ...]:
        """The ladder."""
        return self._rules.ladder

    def match(self, one: Policy | str, two: Policy | str, *, games: int, seed: int) -> Score:
        """Games between two policies or rungs, from the evaluation's kind of openings."""
        plies, board = self._rules.evaluation_plies, self._board
        players = [RungPlayer(board, player, seed) if isinstance(player, str) else player for player in (one, two)]
        return play_policies(board, players[0], players[1], games, seed, plies)

    def baselines(self) -> dict[str, float]:
        """The rungs' own scores in the reference evaluation."""
        return dict(self._rules.baselines)

    def reference_player(self) -> RungPlayer:
        """A fixed player that feels every level: 1-ply."""
        return RungPlayer(self._board, "1-ply", 1)

    # --- state -----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, object]:
        """Boards, seats, levels, ages, the opponents' generator and the place in the supply of openings."""
        state: dict[str, object] = {name: array.copy() for name, array in self._arrays().items()}
        return {**state, "level": self._level, "rng": generator_state(self._rng), "openings": self._stock.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue bit for bit. Raises DamagedSession for a state of another game or number of environments."""
        arrays = {name: loaded(array, state, name) for name, array in self._arrays().items()}
        if not {"level", "rng", "openings"} <= state.keys():
            raise DamagedSession("the task's state is incomplete", "use an older checkpoint of the session")
        self._own, self._other, self._to_move = arrays["own"], arrays["other"], arrays["to_move"]
        self._age, self._seat, self._rung = arrays["age"], arrays["seat"], arrays["rung"]
        self._level = int(state["level"])
        load_generator(self._rng, state["rng"])
        self._stock.load_state_dict(state["openings"])
        self._playable = self._board.playable(self._own | self._other)

    def _arrays(self) -> dict[str, Array]:
        return {
            "own": self._own,
            "other": self._other,
            "to_move": self._to_move,
            "age": self._age,
            "seat": self._seat,
            "rung": self._rung,
        }

    def render_text(self, env: int) -> str:
        """The board, the first mover's stones X, the other's O, and who moves."""
        own, other, to_move = int(self._own[env]), int(self._other[env]), int(self._to_move[env])
        first, second = (own, other) if to_move == 0 else (other, own)
        rival = self._rules.ladder[self._rung[env]] if env >= self._first_scripted else "itself"
        return f"{self._board.draw(first, second)}\n{'XO'[to_move]} to move, against {rival}"

    def table(self) -> BoardTable:
        """A game of its own, to be watched or played."""
        return BoardTable(self._board, self._rules.ladder, self._rules.outcomes)

    def close(self) -> None:
        """Nothing to free."""

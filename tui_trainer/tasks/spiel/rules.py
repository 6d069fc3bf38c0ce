"""A game of OpenSpiel as a task sees it: observations, numbers of actions, names of moves, a picture."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyspiel

from tui_trainer.core.config import nearest
from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import Array, Bool, Float, Int, Small

State = Any
"""A pyspiel.State: one position with the moves that led to it."""

FAMILY = "openspiel:"
_LADDER = ("random", "mcts-10", "mcts-100")


class View(NamedTuple):
    """K decisions: observations (K, *obs_shape), legal actions (K, n), who is to move (K,)."""

    obs: Array
    mask: Bool
    to_move: Small


class Rules:
    """Any game: observations and actions as OpenSpiel has them."""

    obs_dtype = "float32"
    action_planes = 0
    action_steps: tuple[tuple[int, int], ...] = ()
    outcomes = ("first", "second", "draw")
    sides = ("1", "2")
    ladder = _LADDER
    has_material = False

    def __init__(self, game: Any) -> None:
        self.game = game
        self.n = int(game.num_distinct_actions())
        self.obs_shape: tuple[int, ...] = tuple(game.observation_tensor_shape())
        self._raw_shape = self.obs_shape
        self._observation = pyspiel._Observation(game, game.make_observer({}))
        self._tensor = np.frombuffer(self._observation, np.float32)
        self._best = float(game.max_utility())

    def show_attacks(self) -> None:
        """Add to observations how often each side attacks each square, where `has_material`."""

    def start(self) -> State:
        """The position before the first move."""
        return self.game.new_initial_state()

    def view(self, states: Sequence[State], after: Small) -> View:
        """What whoever is to move sees. `after` (K,) names the side that sees a finished game."""
        to_move = np.array([s.current_player() for s in states], np.int8)
        over = to_move < 0
        to_move[over] = after[over]
        return View(self._observe(states, to_move), self._legal(states, to_move), to_move)

    def _observe(self, states: Sequence[State], to_move: Small) -> Array:
        return self._raw(states, to_move)

    def _raw(self, states: Sequence[State], to_move: Small) -> Array:
        """OpenSpiel's own observations of each side to move, (K, *shape) float32."""
        found = np.empty((len(states), len(self._tensor)), np.float32)
        for row, (state, player) in enumerate(zip(states, to_move.tolist(), strict=True)):
            self._observation.set_from(state, player)
            found[row] = self._tensor
        return found.reshape(len(states), *self._raw_shape)

    def _legal(self, states: Sequence[State], to_move: Small) -> Bool:
        counts, moves = [], []
        for state in states:
            legal = state.legal_actions()
            counts.append(len(legal))
            moves += legal
        mask = np.zeros((len(states), self.n), np.bool_)
        rows = np.repeat(np.arange(len(states)), counts)
        mask[rows, self.actions_of(to_move[rows], np.array(moves, np.int64))] = True
        return mask

    def actions_of(self, to_move: Small, moves: Int) -> Int:
        """Our numbers of OpenSpiel's, (K,), (K,) -> (K,)."""
        return moves

    def moves_of(self, to_move: Small, actions: Int) -> Int:
        """OpenSpiel's numbers of ours, (K,), (K,) -> (K,)."""
        return actions

    def score(self, state: State) -> float:
        """Of a finished game for its first side: 1 win, 0 draw, -1 loss, and between where a game has such results."""
        return float(state.returns()[0]) / self._best

    def balance(self, obs: Array) -> Float:
        """What the side to move has in pieces above the other, in pawns: (K, *obs_shape) -> (K,)."""
        return np.zeros(len(obs), np.float32)

    def names(self, state: State) -> dict[str, int]:
        """The legal moves by name, and their actions."""
        player = state.current_player()
        moves = state.legal_actions()
        side = np.full(len(moves), player, np.int8)
        actions = self.actions_of(side, np.array(moves, np.int64)).tolist()
        words = [self.word(state.action_to_string(player, move)) for move in moves]
        return dict(zip(words, actions, strict=True))

    def word(self, name: str) -> str:
        """A move's name in one word."""
        return "".join(name.split())

    def draw(self, state: State) -> str:
        """The position as text."""
        return str(state).strip("\n")

    def mark(self, state: State) -> tuple[int, int] | None:
        """Line and column in `draw` of what the last move placed, where that is known."""
        return None


def load_rules(name: str) -> Rules:
    """The rules of a game by OpenSpiel's id, parameters included: `othello`, `go(board_size=9)`.

    Raises UsageError naming the nearest id, or why the game cannot be trained here.
    """
    from tui_trainer.tasks.spiel import games

    _require_known(name)
    try:
        with _quiet():
            game = pyspiel.load_game(name)
            _require_fit(name, game.get_type(), game.num_players())
            rules = games.RULES.get(game.get_type().short_name, Rules)(game)
            rules.start()
    except pyspiel.SpielError as error:
        raise UsageError(f"{FAMILY}{name}: {str(error).splitlines()[0]}", "write it like go(board_size=9)") from None
    return rules


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """OpenSpiel prints each error to file descriptor 2 before it raises it."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _require_known(name: str) -> None:
    short = name.partition("(")[0]
    known = pyspiel.registered_names()
    if short not in known:
        close = nearest(short, known)
        hint = f"did you mean {FAMILY}{close}?" if close else "pyspiel.registered_names() lists its games"
        raise UsageError(f"OpenSpiel has no game {short!r}", hint)


def _require_fit(name: str, kind: Any, players: int) -> None:
    facts = pyspiel.GameType
    wrong = [
        what
        for fits, what in (
            (players == 2, f"has {players} players, not 2"),
            (kind.dynamics == facts.Dynamics.SEQUENTIAL, "has simultaneous moves"),
            (kind.chance_mode == facts.ChanceMode.DETERMINISTIC, "has chance moves"),
            (kind.information == facts.Information.PERFECT_INFORMATION, "hides information"),
            (kind.utility == facts.Utility.ZERO_SUM, "is not zero-sum"),
            (kind.provides_observation_tensor, "has no observation tensor"),
        )
        if not fits
    ]
    if wrong:
        raise UsageError(f"{FAMILY}{name} cannot be trained here: it {' and '.join(wrong)}", "choose a board game")

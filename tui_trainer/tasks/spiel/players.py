"""Opponents of every game: random, 1-ply, MCTS of several strengths; in Shogi also by material."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pyspiel

from tui_trainer.core.config import nearest
from tui_trainer.core.protocols import Policy
from tui_trainer.errors import ConfigError
from tui_trainer.tasks.spiel.rules import Rules, State
from tui_trainer.tasks.spiel.shogi import Shogi

_EXPLORATION = 2.0
_MEMORY_MB = 256
_MOST_SIMULATIONS = 100_000
_WIN = 1000.0


class Player(Protocol):
    """Chooses one of OpenSpiel's moves."""

    def choose(self, state: State, rng: np.random.Generator) -> int: ...


class RandomMover:
    """Any legal move."""

    def choose(self, state: State, rng: np.random.Generator) -> int:
        moves = state.legal_actions()
        return int(moves[rng.integers(len(moves))])


class OnePly:
    """A winning move where there is one, otherwise any."""

    def choose(self, state: State, rng: np.random.Generator) -> int:
        player = state.current_player()
        moves = state.legal_actions()
        wins = [move for move in moves if _result(state.child(move), player) > 0]
        chosen = wins or moves
        return int(chosen[rng.integers(len(chosen))])


def _result(state: State, player: int) -> float:
    """Of a finished game for the player; 0 while it goes on."""
    return float(state.returns()[player]) if state.is_terminal() else 0.0


class Mcts:
    """Monte Carlo tree search with random playouts, OpenSpiel's own. Kocsis and Szepesvari 2006.

    A bot of its own for each move, seeded by `rng`: between moves nothing is left that a checkpoint would have to keep.
    """

    def __init__(self, rules: Rules, simulations: int) -> None:
        self._game, self._simulations = rules.game, simulations

    def choose(self, state: State, rng: np.random.Generator) -> int:
        playouts, seed = (int(number) for number in rng.integers(0, 2**31, 2))
        judge = pyspiel.RandomRolloutEvaluator(1, playouts)
        bot = pyspiel.MCTSBot(
            self._game, judge, _EXPLORATION, self._simulations, _MEMORY_MB, True, seed, False,
            pyspiel.ChildSelectionPolicy.UCT,
        )  # fmt: skip
        return int(bot.step(state))


class Material:
    """Shogi: mates where it can; otherwise wins the most material, at depth 2 less what the answer wins back."""

    def __init__(self, rules: Shogi, depth: int) -> None:
        self._rules, self._depth = rules, depth

    def choose(self, state: State, rng: np.random.Generator) -> int:
        player = state.current_player()
        moves = np.array(state.legal_actions(), np.int64)
        obs, actions = self._rules.seen(state), self._rules.actions_of(np.full(len(moves), player, np.int8), moves)
        gains = self._rules.gains(obs, actions)
        if self._depth > 1:
            children = [state.child(move) for move in moves.tolist()]
            gains += [_WIN * _result(child, player) for child in children]
            gains -= self._answers(children, 1 - player)
        else:
            last = np.flatnonzero(self._rules.may_end(obs, actions))
            gains[last] += [_WIN * _result(state.child(move), player) for move in moves[last].tolist()]
        best = moves[gains >= gains.max() - 1e-6]
        return int(best[rng.integers(len(best))])

    def _answers(self, children: list[State], other: int) -> Any:
        """The most that the other side can win in its turn, for each child."""
        view = self._rules.view(children, np.full(len(children), other, np.int8))
        found = np.zeros(len(children), np.float32)
        for row, (obs, mask) in enumerate(zip(view.obs, view.mask, strict=True)):
            actions = np.flatnonzero(mask)
            if len(actions):
                found[row] = self._rules.gains(obs, actions).max()
        return found


class Learned:
    """A policy's greedy move."""

    def __init__(self, rules: Rules, policy: Policy) -> None:
        self._rules, self._policy = rules, policy

    def choose(self, state: State, rng: np.random.Generator) -> int:
        return self.choose_all([state])[0]

    def choose_all(self, states: list[State]) -> list[int]:
        """Moves in several games at once."""
        view = self._rules.view(states, np.zeros(len(states), np.int8))
        actions = np.asarray(self._policy.act(view.obs, view.mask), np.int64)
        moves: list[int] = self._rules.moves_of(view.to_move, actions).tolist()
        return moves


def player_named(rules: Rules, name: str) -> Player:
    """Raises ConfigError naming the nearest opponent."""
    kind, _, number = name.partition("-")
    if name == "random":
        return RandomMover()
    if name == "1-ply":
        return OnePly()
    if kind == "mcts" and number.isdigit() and 0 < int(number) <= _MOST_SIMULATIONS:
        return Mcts(rules, int(number))
    if kind == "material" and number in ("1", "2") and isinstance(rules, Shogi):
        return Material(Shogi(rules.game), int(number))
    known = ["random", "1-ply", "mcts-10", "mcts-100", "mcts-1000"]
    known += ["material-1", "material-2"] if isinstance(rules, Shogi) else []
    close = nearest(name, known)
    hint = f"did you mean {close}?" if close else f"there are {', '.join(known)}, and mcts-N for any N"
    raise ConfigError(f"task.opponents: there is no opponent {name!r}", hint)

"""Games between two players apart from training: all at once, from distinct openings, each from both sides."""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import numpy as np

from tui_trainer.core.values import PartResult
from tui_trainer.tasks.arrays import Float, generator_of
from tui_trainer.tasks.spiel.players import Learned, Player
from tui_trainer.tasks.spiel.rules import Rules, State
from tui_trainer.tasks.statistics import tally_games


class Games(NamedTuple):
    """Finished games: scores of the first player (1, 0, -1), the last positions, the side that the first player had."""

    score: Float
    states: list[State]
    side: Any


def play_games(rules: Rules, one: Player, other: Player, games: int, seed: int, plies: int, limit: int) -> Games:
    """`one` moves first from even games' openings. A game that reaches `limit` plies is a draw."""
    openings = distinct_openings(rules, seed, (games + 1) // 2, plies)
    states = [openings[game // 2 % len(openings)].clone() for game in range(games)]
    side = np.array([_to_move(state) ^ (game % 2) for game, state in enumerate(states)], np.int8)
    rng = generator_of(seed, zlib.crc32(b"games"))
    alive = list(range(games))
    while alive:
        ones = [game for game in alive if states[game].current_player() == side[game]]
        others = [game for game in alive if states[game].current_player() != side[game]]
        for player, rows in ((one, ones), (other, others)):
            _advance(player, [states[game] for game in rows], rng)
        alive = [game for game in alive if not over(states[game], limit)]
    score = np.array([_score(rules, state, own) for state, own in zip(states, side.tolist(), strict=True)], np.float32)
    return Games(score, states, side)


def _advance(player: Player, states: list[State], rng: np.random.Generator) -> None:
    if not states:
        return
    if isinstance(player, Learned):
        moves = player.choose_all(states)
    else:
        moves = [player.choose(state, rng) for state in states]
    for state, move in zip(states, moves, strict=True):
        state.apply_action(move)


def over(state: State, limit: int) -> bool:
    """Whether a game has ended, or reached the limit."""
    return bool(state.is_terminal()) or state.move_number() >= limit


def _score(rules: Rules, state: State, side: int) -> float:
    if not state.is_terminal():
        return 0.0
    return rules.score(state) * (1 - 2 * side)


def _to_move(state: State) -> int:
    return int(state.current_player())


def distinct_openings(rules: Rules, seed: int, count: int, plies: int) -> list[State]:
    """`count` unfinished positions after 1 to `plies` random plies that differ pairwise; fewer where a game has not
    that many. The same for the same seed."""
    rng = generator_of(seed, 0x0FE2)
    found: dict[str, State] = {}
    for _ in range(20 * count + 200):
        state = random_opening(rules, rng, int(rng.integers(1, plies + 1)) if plies else 0)
        found.setdefault(state.history_str(), state)
        if len(found) >= count:
            break
    return list(found.values())


def random_opening(rules: Rules, rng: np.random.Generator, plies: int) -> State:
    """An unfinished position after `plies` random plies, or after as many as there can be."""
    state = rules.start()
    for _ in range(plies):
        moves = state.legal_actions()
        after = state.child(moves[rng.integers(len(moves))])
        if after.is_terminal():
            break
        state = after
    return state


def result_of(rules: Rules, games: Games) -> PartResult:
    """What the games say of the player that `score` is of."""
    seen = {(state.history_str(), int(side)) for state, side in zip(games.states, games.side, strict=True)}
    return tally_games(
        games.score,
        distinct=len(seen),
        extra={"plies": float(np.mean([state.move_number() for state in games.states]))},
        frame=rules.draw(games.states[-1]),
    )

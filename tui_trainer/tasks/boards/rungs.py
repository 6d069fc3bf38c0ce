"""The ladder of scripted opponents: random, 1-ply (takes wins, blocks losses), minimax-d."""

from __future__ import annotations

from functools import cache

import numpy as np

from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import Array, Int, Small
from tui_trainer.tasks.boards.geometry import Geometry
from tui_trainer.tasks.boards.search import ILLEGAL, WIN, move_scores

TIE_BITS = 16
_MOST_REMEMBERED_CELLS = 9
MIX = np.array([0x1E3779B97F4A7C15, 0x3F58476D1CE4E5B9, 0x14D049BB133111EB], np.int64)
"""Odd numbers that spread a position's bits."""


def choose(board: Geometry, rung: str, own: Int, other: Int, rng: np.random.Generator) -> Int:
    """The rung's action on each board for the side to move, (N,), (N,) -> (N,) int64.

    random and 1-ply break ties by `rng`. minimax-d is deterministic: a hash of the position breaks ties, so that a
    rung's strength is its search alone and not a liking for the centre.
    """
    if not rung.startswith("minimax-"):
        scores = _scores(board, rung, own, other)
        return _best(scores, rng.integers(0, 1 << TIE_BITS, scores.shape))
    if board.cells <= _MOST_REMEMBERED_CELLS:
        return _remembered(board, rung, own, other)
    return _fixed(board, rung, own, other)


def _fixed(board: Geometry, rung: str, own: Int, other: Int) -> Int:
    return _best(_scores(board, rung, own, other), _hashes(board, own, other))


def _best(scores: Array, ties: Array) -> Int:
    return np.asarray(((scores.astype(np.int64) << TIE_BITS) + ties).argmax(axis=1))


def _remembered(board: Geometry, rung: str, own: Int, other: Int) -> Int:
    """`_fixed`, each position searched once: on a small board the same ones come again and again."""
    table = _table(board, rung)
    keys = own | other << board.cells
    missing = np.unique(keys[table[keys] < 0])
    if len(missing):
        table[missing] = _fixed(board, rung, missing & board.full, missing >> board.cells)
    return np.asarray(table[keys].astype(np.int64))


@cache
def _table(board: Geometry, rung: str) -> Small:
    """Actions by own stones and, `cells` bits up, the other's; -1 where none is known yet."""
    return np.full(1 << 2 * board.cells, -1, np.int8)


def _scores(board: Geometry, rung: str, own: Int, other: Int) -> Array:
    if rung == "random":
        return np.where(board.mask(board.playable(own | other)), 0, ILLEGAL)
    if rung == "1-ply":
        return one_ply_scores(board, own, other)
    if rung.startswith("minimax-"):
        return move_scores(board, own, other, int(rung.removeprefix("minimax-")))
    raise UsageError(f"{rung!r} is no rung of the ladder")


def one_ply_scores(board: Geometry, own: Int, other: Int) -> Array:
    """WIN where the action wins, 1 where it takes the cell on which the other side would win, otherwise 0."""
    playable = board.playable(own | other)
    scores = np.where(board.mask(playable), 0, ILLEGAL)
    scores[board.mask(playable & board.winning_cells(other))] = 1
    scores[board.mask(playable & board.winning_cells(own))] = WIN
    return scores


def _hashes(board: Geometry, own: Int, other: Int) -> Array:
    """A number in [0, 2^16) for each board and action; int64 arithmetic wraps around."""
    mixed = (own * MIX[0] + other * MIX[1])[:, None] + np.arange(1, board.actions + 1) * MIX[2]
    mixed = (mixed ^ (mixed >> 29)) * MIX[1]
    return np.asarray((mixed >> 37) & ((1 << TIE_BITS) - 1))

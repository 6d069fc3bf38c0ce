"""Minimax to a fixed depth over N boards at once, with nothing but wins and losses at the leaves.

Two plies cost no expansion: a side wins at once where a winning cell is playable; otherwise it must answer the other
side's playable winning cell, must not open one, and has lost where it cannot. So depth d expands d - 2 plies, and only
moves that do not lose at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tui_trainer.tasks.arrays import Array, Bool, Int
from tui_trainer.tasks.boards.geometry import Geometry

WIN = 100
"""A win at the k-th ply from now is worth WIN - k, a loss k - WIN: quick wins and slow losses are preferred."""
ILLEGAL = -128
_CHUNK = 1024
"""Nodes expanded together: their arrays stay in the cache."""


class Nodes(NamedTuple):
    """Boards on which nobody has won: stones of the side to move and of the other, and either's winning cells."""

    own: Int
    other: Int
    wins: Int
    threats: Int


def move_scores(board: Geometry, own: Int, other: Int, depth: int) -> Array:
    """Every action's minimax value for the side to move, (N,), (N,) -> (N, actions) int16; ILLEGAL where it is none."""
    nodes = Nodes(own, other, board.winning_cells(own), board.winning_cells(other))
    playable = board.playable(own | other)
    scores = np.where(board.mask(playable), 0, ILLEGAL).astype(np.int16)
    if depth >= 2:
        safe = _safe_moves(board, playable, nodes.threats)
        scores[board.mask(playable & ~safe)] = 2 - WIN
        if depth >= 3:
            _expand(board, nodes, safe, depth, scores)
    scores[board.mask(playable & nodes.wins)] = WIN - 1
    return scores


def _values(board: Geometry, nodes: Nodes, depth: int) -> Array:
    """Minimax values for the side to move, (N,) int16; `depth` >= 2."""
    playable = board.playable(nodes.own | nodes.other)
    wins = (nodes.wins & playable) != 0
    safe = _safe_moves(board, playable, nodes.threats)
    values = np.where(wins, WIN - 1, np.where((safe == 0) & (playable != 0), 2 - WIN, 0)).astype(np.int16)
    undecided = np.flatnonzero(~wins & (safe != 0)) if depth >= 3 else ()
    if len(undecided):
        scores = np.full((len(undecided), board.actions), ILLEGAL, np.int16)
        _expand(board, Nodes(*(column[undecided] for column in nodes)), safe[undecided], depth, scores)
        values[undecided] = scores.max(axis=1)
    return values


def _expand(board: Geometry, nodes: Nodes, moves: Int, depth: int, scores: Array) -> None:
    """Put the values of `moves` into `scores` (N, actions), each looked at `depth` - 1 plies further."""
    cells = moves[:, None] & board.targets
    rows, actions = np.nonzero(cells)
    for first in range(0, len(rows), _CHUNK):
        row, action = rows[first : first + _CHUNK], actions[first : first + _CHUNK]
        moved = nodes.own[row] | cells[row, action]
        after = Nodes(nodes.other[row], moved, nodes.threats[row], board.winning_cells(moved))
        values = _values(board, after, depth - 1)
        scores[row, action] = np.sign(values) - values


def _safe_moves(board: Geometry, playable: Int, threats: Int) -> Int:
    """The moves after which the other side cannot win at once; `threats` are its winning cells.

    One playable threat must be filled, two cannot be; nor may the cell below a threat be filled.
    """
    forced = threats & playable
    answers = np.where(forced == 0, playable, np.where(_is_single(forced), forced, 0))
    return np.asarray(answers & ~board.closed(threats))


def _is_single(bits: Int) -> Bool:
    return np.asarray(bits & (bits - 1) == 0)

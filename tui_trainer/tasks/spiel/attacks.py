"""Which squares of a Shogi board each side attacks, and how often."""

from __future__ import annotations

import numpy as np

from tui_trainer.tasks.arrays import Array, Bool, Int

SIZE = 9
SQUARES = SIZE * SIZE
KINDS = 14
"""Of a side's pieces, in the order of OpenSpiel's planes: K L N S G P B R, then +L +N +S +P +B +R."""
OFF = SQUARES
"""The square beside the board."""
FORWARD, BACK, LEFT, RIGHT = (1, 0), (-1, 0), (0, -1), (0, 1)
"""In ranks and files; rank 0 is the viewer's own."""
_STRAIGHT = (FORWARD, BACK, LEFT, RIGHT)
_ASLANT = ((1, -1), (1, 1), (-1, -1), (-1, 1))
_GOLD = (*_STRAIGHT, *_ASLANT[:2])
STEPS = (
    (*_STRAIGHT, *_ASLANT), (), ((2, -1), (2, 1)), (FORWARD, *_ASLANT), _GOLD, (FORWARD,), (), (),
    _GOLD, _GOLD, _GOLD, _GOLD, _STRAIGHT, _ASLANT,
)  # fmt: skip
"""By kind, king to promoted rook; where it goes at one step."""
SLIDES = ((), (FORWARD,), (), (), (), (), _ASLANT, _STRAIGHT, (), (), (), (), _ASLANT, _STRAIGHT)
"""And along which lines as far as they are empty."""
MOST = 3
"""Attackers of a square that are told apart."""


def _beside(square: int, step: tuple[int, int]) -> int:
    rank, file = square // SIZE + step[0], square % SIZE + step[1]
    return rank * SIZE + file if 0 <= rank < SIZE and 0 <= file < SIZE else OFF


def _both(steps: tuple[tuple[tuple[int, int], ...], ...]) -> list[tuple[tuple[int, int], ...]]:
    """The owner's, then the other side's, who sits opposite."""
    return [*steps, *(tuple((-rank, -file) for rank, file in kind) for kind in steps)]


def _step_table() -> Int:
    """(28, 81, 8): the squares one step from each, filled up with OFF."""
    found = np.full((2 * KINDS, SQUARES, len(STEPS[0])), OFF, np.int64)
    for kind, steps in enumerate(_both(STEPS)):
        for square in range(SQUARES):
            found[kind, square, : len(steps)] = [_beside(square, step) for step in steps]
    return found


class Attacks:
    """Tables of how pieces move, and what they make of a batch of boards."""

    def __init__(self) -> None:
        self._steps = _step_table()
        lines = [*_STRAIGHT, *_ASLANT]
        self._next = np.array([[_beside(square, line) for square in range(SQUARES + 1)] for line in lines])
        self._next[:, OFF] = OFF
        self._lines = [[lines.index(line) for line in kind] for kind in _both(SLIDES)]
        self._slide_kinds = [kind for kind, found in enumerate(self._lines) if found]

    def __call__(self, pieces: Array) -> Array:
        """(B, 28, 81), the viewer's 14 kinds and the other's, not 0 where one stands -> (B, 2, 81) attackers, uint8."""
        boards, kinds, squares = np.nonzero(pieces)
        sides = 2 * boards + (kinds >= KINDS)
        reached = [(sides[:, None] * (SQUARES + 1) + self._steps[kinds, squares]).ravel()]
        empty = np.ones((len(pieces), SQUARES + 1), np.bool_)
        empty[boards, squares] = False
        empty[:, OFF] = False
        reached += self._slid(boards, kinds, squares, empty)
        counts = np.bincount(np.concatenate(reached), minlength=2 * len(pieces) * (SQUARES + 1))
        found: Array = np.minimum(counts, MOST).astype(np.uint8).reshape(len(pieces), 2, SQUARES + 1)[:, :, :SQUARES]
        return found

    def _slid(self, boards: Int, kinds: Int, squares: Int, empty: Array) -> list[Int]:
        """The same numbers of side and square, for every line of every piece that slides, step by step."""
        parts = [
            (boards[which], np.full(len(which), line), squares[which], np.full(len(which), kind >= KINDS))
            for kind in self._slide_kinds
            if len(which := np.flatnonzero(kinds == kind))
            for line in self._lines[kind]
        ]
        if not parts:
            return []
        board, line, square, other = (np.concatenate(part) for part in zip(*parts, strict=True))
        found = []
        while len(board):
            square = self._next[line, square]
            found.append((2 * board + other) * (SQUARES + 1) + square)
            on = empty[board, square]
            board, line, square, other = board[on], line[on], square[on], other[on]
        return found


class Checks:
    """Tables of which pieces, where, would attack a king."""

    def __init__(self) -> None:
        self._attacks = np.zeros((KINDS, SQUARES, SQUARES), np.bool_)
        """By kind, its square and the king's, on an empty board."""
        self._between = np.zeros((SQUARES, SQUARES, SQUARES), np.bool_)
        """By a sliding piece's square and the king's: the squares from one to the other."""
        for kind, square in np.ndindex(KINDS, SQUARES):
            for step in STEPS[kind]:
                self._put(kind, square, [_beside(square, step)])
            for line in SLIDES[kind]:
                self._put(kind, square, _along(square, line))

    def _put(self, kind: int, square: int, reached: list[int]) -> None:
        for number, end in enumerate(reached):
            if end != OFF:
                self._attacks[kind, square, end] = True
                self._between[square, end, reached[:number]] = True

    def may(self, pieces: Array, king: int, kinds: Int, leaves: Int, reaches: Int) -> Bool:
        """Whether a move may attack the king, itself or by giving way to another: all that do, and some that do not.

        `pieces` (14, 81) are the mover's; the moves (M,) bring one of `kinds` from `leaves`, or a hand, to `reaches`.
        """
        placed, squares = np.nonzero(pieces)
        aimed = self._attacks[placed, squares, king]
        opened = self._between[squares[aimed], king].any(0)
        found: Bool = self._attacks[kinds, reaches, king] | opened[leaves]
        return found


def _along(square: int, line: tuple[int, int]) -> list[int]:
    found = [_beside(square, line)]
    while found[-1] != OFF:
        found.append(_beside(found[-1], line))
    return found

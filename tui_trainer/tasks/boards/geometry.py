"""A rectangular board as bits of an int64: bit row * columns + column, row 0 at the bottom.

A player's stones are one int64; N boards are an (N,) array. No bit pads the rows, so that two boards unpack at once
into contiguous observation planes; lines that would wrap around an edge are cut by masks of their first cell.
"""

from __future__ import annotations

import numpy as np

from tui_trainer.tasks.arrays import Array, Bool, Int


class Geometry:
    """Rows, columns, the length of a winning line, and whether stones fall to the lowest empty cell."""

    def __init__(self, rows: int, columns: int, line: int, *, gravity: bool) -> None:
        self.rows, self.columns, self.line, self.gravity = rows, columns, line, gravity
        self.cells = rows * columns
        self.actions = columns if gravity else self.cells
        self.full = np.int64((1 << self.cells) - 1)
        self.bottom = np.int64((1 << columns) - 1)
        self.targets = np.array([self._target(action) for action in range(self.actions)], np.int64)
        """The cells that an action may fill: a column, or one cell."""
        self.shifts = np.array([[1], [columns], [columns + 1], [columns - 1]], np.int64)
        self.starts = np.array([[self._line_starts(*step)] for step in ((0, 1), (1, 0), (1, 1), (1, -1))], np.int64)
        """Of lines right, up and slanting, (4, 1): the distance of their bits, and the cells they start from."""

    def _target(self, action: int) -> int:
        if not self.gravity:
            return 1 << action
        return sum(1 << (row * self.columns + action) for row in range(self.rows))

    def _line_starts(self, up: int, right: int) -> int:
        """Cells from which a whole line in this direction stays on the board."""
        reach = self.line - 1
        return sum(
            1 << (row * self.columns + column)
            for row in range(self.rows - up * reach)
            for column in range(self.columns)
            if 0 <= column + right * reach < self.columns
        )

    def playable(self, occupied: Int) -> Int:
        """The cells where a stone may go next, (N,) -> (N,)."""
        if self.gravity:
            return ~occupied & (occupied << self.columns | self.bottom) & self.full
        return ~occupied & self.full

    def opened(self, moves: Int) -> Int:
        """The cells that become playable above the given ones."""
        return moves << self.columns & self.full if self.gravity else np.zeros_like(moves)

    def closed(self, threats: Int) -> Int:
        """The cells that would open one of `threats` to the other side when filled."""
        return threats >> self.columns if self.gravity else np.zeros_like(threats)

    def mask(self, playable: Int) -> Bool:
        """Legal actions, (N,) -> (N, actions)."""
        return np.asarray((playable[:, None] & self.targets) != 0)

    def has_line(self, stones: Int) -> Bool:
        """Whether the stones hold a complete line, (N,) -> (N,)."""
        run = stones & self.starts
        for step in range(1, self.line):
            run &= stones >> step * self.shifts
        return np.asarray(run.any(axis=0))

    def winning_cells(self, stones: Int) -> Int:
        """The cells, playable now or not, that would complete a line, (N,) -> (N,). Cells already filled included.

        With x_k the stones k steps along a line, cell g completes it where every other x_k is set: a product of what
        comes before g and what comes after, both built up once.
        """
        along = [stones >> step * self.shifts for step in range(self.line)]
        before = [np.broadcast_to(self.starts, along[0].shape)]
        for step in range(self.line - 1):
            before.append(before[-1] & along[step])
        found = before[-1] << (self.line - 1) * self.shifts
        after = along[-1]
        for gap in range(self.line - 2, -1, -1):
            found |= (before[gap] & after) << gap * self.shifts
            after &= along[gap]
        return np.asarray(np.bitwise_or.reduce(found, axis=0))

    def planes(self, own: Int, other: Int) -> Array:
        """Both players' stones as 0 and 1, (N,) -> (N, 2, rows, columns) uint8, contiguous."""
        packed = np.empty((len(own), 2), np.int64)
        np.bitwise_or(own, other << self.cells, out=packed[:, 0])
        np.right_shift(other, 64 - self.cells, out=packed[:, 1])
        bits = np.unpackbits(packed.view(np.uint8), axis=1, count=2 * self.cells, bitorder="little")
        return bits.reshape(len(own), 2, self.rows, self.columns)

    def stones(self, planes: Array) -> tuple[Int, Int]:
        """Undo of `planes`: both players' stones, (N,) and (N,)."""
        bits = planes.reshape(len(planes), 2, self.cells).astype(np.int64)
        own, other = (bits << np.arange(self.cells)).sum(axis=2).T.copy()
        return own, other

    def draw(self, first: int, second: int) -> str:
        """The board as text, top row first: X the first mover's stones, O the other's."""
        rows = [
            " ".join(_glyph(first, second, row * self.columns + column) for column in range(self.columns))
            for row in reversed(range(self.rows))
        ]
        return "\n".join([*rows, " ".join(str(c + 1) for c in range(self.columns))] if self.gravity else rows)


def _glyph(first: int, second: int, cell: int) -> str:
    return "X" if first >> cell & 1 else "O" if second >> cell & 1 else "."

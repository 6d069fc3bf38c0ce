"""Random openings: games start from a few random plies, so that play does not narrow to one line."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tui_trainer.tasks.arrays import Int, Small, generator_of
from tui_trainer.tasks.boards.geometry import Geometry

_BLOCK = 1024


class Openings(NamedTuple):
    """Positions in which nobody has won: stones of the side to move, of the other side, and who moves (0 or 1)."""

    own: Int
    other: Int
    to_move: Small

    def rows(self, which: slice | Int) -> Openings:
        """Some of them."""
        return Openings(self.own[which], self.other[which], self.to_move[which])


def random_openings(board: Geometry, rng: np.random.Generator, plies: Int) -> Openings:
    """Positions after about `plies` (N,) random plies; a ply that would win or has no room is left out."""
    own, other = np.zeros_like(plies), np.zeros_like(plies)
    to_move = np.zeros(len(plies), np.int8)
    for ply in range(int(plies.max(initial=0))):
        target = board.targets[rng.integers(0, board.actions, len(plies))]
        stone = board.playable(own | other) & target
        moved = own | stone
        plays = (ply < plies) & (stone != 0) & ~board.has_line(moved)
        own, other = np.where(plays, other, own), np.where(plays, moved, other)
        to_move ^= plays
    return Openings(own, other, to_move)


class OpeningStock:
    """An endless, reproducible supply: block b of a seed is always the same, so its place is two numbers."""

    def __init__(self, board: Geometry, seed: int, *, max_plies: int, share: float) -> None:
        self._board, self._seed, self._max_plies, self._share = board, seed, max_plies, share
        self._number = 0
        self._cursor = 0
        self._block = self._make()

    def _make(self) -> Openings:
        rng = generator_of(self._seed, self._number)
        plies = rng.integers(1, max(1, self._max_plies) + 1, _BLOCK)
        plies[rng.random(_BLOCK) >= (self._share if self._max_plies else 0.0)] = 0
        return random_openings(self._board, rng, plies)

    def take(self, count: int) -> Openings:
        """The next `count` openings."""
        if count <= _BLOCK - self._cursor:
            self._cursor += count
            return self._block.rows(slice(self._cursor - count, self._cursor))
        parts = [self._block.rows(slice(self._cursor, None))]
        missing = count - (_BLOCK - self._cursor)
        self._number, self._cursor = self._number + 1, 0
        self._block = self._make()
        parts.append(self.take(missing))
        return Openings(*(np.concatenate(columns) for columns in zip(*parts)))

    def state_dict(self) -> dict[str, object]:
        """Which opening comes next."""
        return {"seed": self._seed, "block": self._number, "cursor": self._cursor}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue the supply where `state_dict` was taken."""
        self._seed, self._number, self._cursor = int(state["seed"]), int(state["block"]), int(state["cursor"])
        self._block = self._make()


@lru_cache(maxsize=32)
def distinct_openings(board: Geometry, seed: int, count: int, max_plies: int) -> Openings:
    """`count` openings that differ pairwise and in which the side to move cannot win at once; fewer where a game
    has not that many. The same for the same seed."""
    rng = generator_of(seed, 0x0FE2)
    found: dict[tuple[int, int], int] = {}
    for _ in range(20):
        some = random_openings(board, rng, rng.integers(1, max_plies + 1, 4 * count + 64))
        quiet = (board.winning_cells(some.own) & board.playable(some.own | some.other)) == 0
        for own, other, to_move in zip(*(column[quiet].tolist() for column in some)):
            found.setdefault((own, other), to_move)
        if len(found) >= count:
            break
    chosen = [(own, other, to_move) for (own, other), to_move in found.items()][:count]
    own, other, to_move = np.array(chosen, np.int64).reshape(-1, 3).T.copy()
    openings = Openings(own, other, to_move.astype(np.int8))
    for column in openings:
        column.setflags(write=False)
    return openings

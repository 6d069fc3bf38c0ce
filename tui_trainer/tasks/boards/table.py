"""One game at a board, from the empty position: for watching and for a person to play."""

from __future__ import annotations

import numpy as np

from tui_trainer.core.duel import Opinion, Sight
from tui_trainer.core.protocols import Policy
from tui_trainer.tasks.arrays import Array, Bool, Int
from tui_trainer.tasks.boards.geometry import Geometry
from tui_trainer.tasks.boards.players import RungPlayer


class BoardTable:
    """Moves are named by number: columns from the left where stones fall, else cells as on a numeric keypad."""

    sides = ("X", "O")

    def __init__(self, board: Geometry, rivals: tuple[str, ...], outcomes: tuple[str, ...]) -> None:
        self._board, self.rivals, self._outcomes = board, rivals, outcomes
        self._past: list[tuple[int, int]] = []
        self._own = self._other = 0

    def start(self) -> None:
        """The empty board."""
        self._past.clear()
        self._own = self._other = 0

    def sight(self) -> Sight:
        """The board and, until the game has ended, what may be played."""
        to_move = len(self._past) % 2
        first, second = (self._own, self._other) if to_move == 0 else (self._other, self._own)
        won = bool(self._board.has_line(_one(self._other))[0])
        ended = won or self._own | self._other == int(self._board.full)
        winner = 1 - to_move if won else None
        return Sight(
            text=self._board.draw(first, second),
            legal={} if ended else {str(action + 1): int(action) for action in np.flatnonzero(self._mask()[0])},
            to_move=to_move,
            mark=self._mark(),
            ended=ended,
            winner=winner,
            result="" if not ended else self._outcomes[2 if winner is None else winner],
        )

    def opinion(self, policy: Policy) -> Opinion:
        """Of the side to move."""
        obs = self._planes()
        return Opinion(policy.probabilities(obs, self._mask())[0].tolist(), float(policy.value(obs)[0]))

    def choice(self, policy: Policy) -> int:
        """The policy's column or cell."""
        return int(policy.act(self._planes(), self._mask())[0])

    def rival(self, name: str, seed: int) -> RungPlayer:
        """A rung of the ladder."""
        return RungPlayer(self._board, name, seed)

    def play(self, action: int) -> None:
        """Place a stone; `action` is legal."""
        stone = int(self._playable()[0] & self._board.targets[action])
        self._past.append((self._own, self._other))
        self._own, self._other = self._other, self._own | stone

    def take_back(self) -> None:
        """Undo the last move."""
        self._own, self._other = self._past.pop()

    def close(self) -> None:
        """Nothing to free."""

    def _playable(self) -> Int:
        return self._board.playable(_one(self._own | self._other))

    def _mask(self) -> Bool:
        return self._board.mask(self._playable())

    def _planes(self) -> Array:
        return self._board.planes(_one(self._own), _one(self._other))

    def _mark(self) -> tuple[int, int] | None:
        """Where `Geometry.draw` put the newest stone."""
        if not self._past:
            return None
        cell = (self._other ^ self._past[-1][0]).bit_length() - 1
        row, column = divmod(cell, self._board.columns)
        return self._board.rows - 1 - row, 2 * column


def _one(stones: int) -> Int:
    return np.array([stones], np.int64)

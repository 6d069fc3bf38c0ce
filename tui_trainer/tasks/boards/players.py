"""A rung of the ladder as a Policy, so that it can be evaluated, watched and played like a learner."""

from __future__ import annotations

import numpy as np

from tui_trainer.tasks.arrays import Array, Bool, Float, Int, generator_of
from tui_trainer.tasks.boards.geometry import Geometry
from tui_trainer.tasks.boards.rungs import choose


class RungPlayer:
    """Plays as `rung` does; random and 1-ply draw from a generator of their own."""

    def __init__(self, board: Geometry, rung: str, seed: int = 0) -> None:
        self._board, self._rung = board, rung
        self._rng = generator_of(seed, 0xB0A2D)

    def act(self, obs: Array, mask: Bool | None) -> Int:
        """The rung's actions, (N, 2, rows, columns) -> (N,)."""
        own, other = self._board.stones(obs)
        return choose(self._board, self._rung, own, other, self._rng)

    def probabilities(self, obs: Array, mask: Bool | None) -> Float:
        """1 for the action it takes."""
        return np.eye(self._board.actions, dtype=np.float32)[self.act(obs, mask)]

    def value(self, obs: Array) -> Float:
        """0: a rung does not tell what it expects."""
        return np.zeros(len(obs), np.float32)

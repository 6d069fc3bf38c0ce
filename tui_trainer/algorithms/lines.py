"""What a board shows of its lines: the cells that would complete one, as inputs beside the stones.

For two-player games of k in a row whose observation is (2, rows, columns): the mover's stones, then the other's, row 0
at the bottom. k is 4, or the shorter side of a smaller board.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch import Tensor

from tui_trainer.algorithms.arrays import Array, Float
from tui_trainer.core.protocols import TaskSpec
from tui_trainer.errors import ConfigError

_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


def lines_of(rows: int, columns: int, length: int) -> list[list[int]]:
    """Every straight line of `length` cells, as cell numbers row * columns + column."""
    found = []
    for row, column, (up, right) in product(range(rows), range(columns), _DIRECTIONS):
        end_row, end_column = row + up * (length - 1), column + right * (length - 1)
        if end_row < rows and 0 <= end_column < columns:
            found.append([(row + up * i) * columns + column + right * i for i in range(length)])
    return found


class LineFeatures:
    """Stones and winning cells of both sides; where stones fall, also what each column's next two cells decide."""

    def __init__(self, spec: TaskSpec) -> None:
        if spec.players != 2 or len(spec.obs_shape) != 3 or spec.obs_shape[0] != 2:
            raise ConfigError(f"ppo.network: lines needs a board of two players' stones, {spec.id} has none")
        _, self.rows, self.columns = spec.obs_shape
        cells = self.rows * self.columns
        lines = lines_of(self.rows, self.columns, min(4, self.rows, self.columns))
        member = np.zeros((len(lines), cells), np.float32)
        for number, line in enumerate(lines):
            member[number, line] = 1
        self.almost = min(4, self.rows, self.columns) - 1
        both = np.concatenate([member, -4 * member], axis=1)
        self.counts = np.concatenate([both, np.roll(both, cells, axis=1)]).T.copy()
        """(2 * cells, 2 * lines): own stones on a line less 4 for each of the other's, for either side."""
        self.member = member
        self.falls = spec.n == self.columns != cells
        self.size = 4 * cells + (4 * self.columns if self.falls else 0)

    def __call__(self, obs: Array) -> Array:
        """(B, 2, rows, columns) -> (B, size) of 0 and 1, uint8."""
        stones = obs.reshape(len(obs), -1)
        empty = stones.reshape(len(obs), 2, -1).sum(1, dtype=np.uint8) == 0
        wins = self._winning(stones.astype(np.float32)) & empty[:, None]
        planes = [stones, wins.reshape(len(obs), -1)]
        if self.falls:
            planes += self._by_column(empty, wins)
        return np.concatenate(planes, axis=1, dtype=np.uint8, casting="unsafe")

    def _winning(self, stones: Float) -> Array:
        """The cells on a line that lacks one stone of either side, filled ones included: (B, 2, cells)."""
        almost = (stones @ self.counts == self.almost).astype(np.float32)
        found: Array = (almost.reshape(len(stones) * 2, -1) @ self.member).reshape(len(stones), 2, -1) > 0
        return found

    def _by_column(self, empty: Array, wins: Array) -> list[Array]:
        """Whether either side wins on a column's next cell, and on the one above it: four times (B, columns)."""
        shape = (len(empty), self.rows, self.columns)
        board = empty.reshape(shape)
        playable = board.copy()
        playable[:, 1:] &= ~board[:, :-1]
        above = np.zeros_like(playable)
        above[:, 1:] = playable[:, :-1]
        sides = wins.reshape(len(empty), 2, self.rows, self.columns)
        found: list[Array] = []
        for cells in (playable, above):
            found += [np.logical_or.reduce(sides[:, side] & cells, axis=1) for side in (0, 1)]
        return found


class LineFeaturesOnDevice:
    """The same in tensors of a device."""

    def __init__(self, features: LineFeatures, device: torch.device) -> None:
        self._features = features
        self._counts, self._member = (torch.from_numpy(a).to(device) for a in (features.counts, features.member))

    def __call__(self, obs: Tensor) -> Tensor:
        """(B, 2, rows, columns) -> (B, size) of 0 and 1, uint8."""
        stones = obs.flatten(1)
        empty = obs.sum(1) == 0
        almost = (stones.float() @ self._counts == self._features.almost).float()
        wins = (almost.view(2 * len(obs), -1) @ self._member > 0).view(obs.shape) & empty[:, None]
        planes = [stones, wins.flatten(1)]
        if self._features.falls:
            playable = empty.clone()
            playable[:, 1:] &= ~empty[:, :-1]
            above = torch.zeros_like(playable)
            above[:, 1:] = playable[:, :-1]
            planes += [(wins[:, side] & cells).any(1) for cells in (playable, above) for side in (0, 1)]
        return torch.cat([part.to(torch.uint8) for part in planes], 1)

"""Self-play against the past: a pool of parameter snapshots that play one seat in some environments."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tui_trainer.algorithms.arrays import (
    Bool,
    Float,
    Small,
    as_tensor,
    generator_of,
    generator_state,
    load_generator,
    take,
    take_array,
)


class Pool:
    """The first `share` of the environments have one seat played by a snapshot; which one changes each rollout.

    A seat is drawn anew for each game. The oldest snapshot leaves when the pool is full.
    """

    def __init__(self, *, size: int, share: float, every: int, num_envs: int, seed: int) -> None:
        self._size, self._every, self._num_envs = size, every, num_envs
        self.envs = round(share * num_envs) if size else 0
        self._rng = generator_of(seed, 3)
        self.seats = self._rng.integers(0, 2, self.envs).astype(np.int8)
        self._snapshots: list[Float] = []
        self._opponent = 0

    @property
    def opponent(self) -> Float | None:
        """The snapshot that plays in this rollout, or None while there is none."""
        return self._snapshots[self._opponent] if self._snapshots and self.envs else None

    def resize(self, share: float) -> None:
        """Play another share of the environments from the next rollout on; new ones draw their seats."""
        self.envs = round(share * self._num_envs)
        more = self._rng.integers(0, 2, max(0, self.envs - len(self.seats))).astype(np.int8)
        self.seats = np.concatenate([self.seats[: self.envs], more])

    def is_due(self, update: int) -> bool:
        """Whether a snapshot is kept after this update."""
        return bool(self.envs) and update % self._every == 0

    def offer(self, parameters: Float, update: int) -> None:
        """Keep a snapshot when one is due."""
        if self.is_due(update):
            self._snapshots = [*self._snapshots, parameters.copy()][-self._size :]

    def draw(self) -> None:
        """Choose the next rollout's opponent."""
        if self._snapshots and self.envs:
            self._opponent = int(self._rng.integers(len(self._snapshots)))

    def plays(self, to_move: Small) -> Bool:
        """Whether the snapshot moves now, for each of the pool's environments."""
        seated: Bool = to_move[: self.envs] == self.seats
        return seated

    def end(self, ended: Bool) -> None:
        """Draw new seats where a game has ended."""
        over = np.flatnonzero(ended[: self.envs])
        if len(over):
            self.seats[over] = self._rng.integers(0, 2, len(over))

    def take_over(self, state: Mapping[str, object]) -> None:
        """The snapshots of a run on another number of ranks; seats stay as drawn."""
        self._snapshots = [take_array({"snapshot": s}, "snapshot") for s in take(state, "snapshots")]
        self._opponent = 0
        self.draw()

    def state_dict(self) -> dict[str, object]:
        return {
            "seats": as_tensor(self.seats),
            "snapshots": [as_tensor(s) for s in self._snapshots],
            "opponent": self._opponent,
            "generator": generator_state(self._rng),
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        self.seats = np.array(take_array(state, "seats"), np.int8)
        self.envs = len(self.seats)
        snapshots = take(state, "snapshots")
        self._snapshots = [take_array({"snapshot": s}, "snapshot") for s in snapshots]
        self._opponent = int(take(state, "opponent"))
        load_generator(self._rng, take(state, "generator"))

"""Which items come next: every category in turn, by chance, or what was seen least. Exact across a save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Int = NDArray[np.int64]
Order: TypeAlias = Literal["round_robin", "random", "least_evaluated"]


class Batches:
    """Draws items, by numbers 0 to len(categories) - 1.

    round_robin: the categories in turn, the items of each in shuffled rounds, so that a small category counts as much
    as a large one · random: any item with the same chance · least_evaluated: those drawn least often so far.
    """

    def __init__(self, categories: Sequence[str], order: Order) -> None:
        self._names = list(dict.fromkeys(categories))
        self._members = [
            np.array([i for i, each in enumerate(categories) if each == name], np.int64) for name in self._names
        ]
        self._order = order
        self._counts: Int = np.zeros(len(categories), np.int64)
        self._seen: NDArray[np.bool_] = np.zeros(len(categories), np.bool_)
        """Drawn in the present round of its category."""
        self._turn = 0

    def draw(self, count: int, allowed: NDArray[np.bool_], rng: np.random.Generator) -> Int:
        """`count` items of those `allowed`, (items,); the same generator state gives the same ones.

        Raises ValueError where none is allowed.
        """
        if not allowed.any():
            raise ValueError("no item may be drawn")
        return np.array([self._next(allowed, rng) for _ in range(count)], np.int64)

    def _next(self, allowed: NDArray[np.bool_], rng: np.random.Generator) -> int:
        match self._order:
            case "round_robin":
                item = self._of_next_category(allowed, rng)
            case "random":
                item = int(rng.choice(np.flatnonzero(allowed)))
            case _:
                items = np.flatnonzero(allowed)
                counts = self._counts[items]
                item = int(rng.choice(items[counts == counts.min()]))
        self._counts[item] += 1
        return item

    def _of_next_category(self, allowed: NDArray[np.bool_], rng: np.random.Generator) -> int:
        while True:
            members = self._members[self._turn % len(self._members)]
            self._turn += 1
            if (mine := members[allowed[members]]).size:
                return self._next_of_round(mine, rng)

    def _next_of_round(self, items: Int, rng: np.random.Generator) -> int:
        if self._seen[items].all():
            self._seen[items] = False
        item = int(rng.choice(items[~self._seen[items]]))
        self._seen[item] = True
        return item

    def state(self) -> dict[str, object]:
        """Everything, copied."""
        return {"counts": self._counts.copy(), "seen": self._seen.copy(), "turn": self._turn}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue exactly where `state` was taken."""
        self._counts = np.asarray(state["counts"], np.int64).copy()
        self._seen = np.asarray(state["seen"], np.bool_).copy()
        self._turn = int(state["turn"])

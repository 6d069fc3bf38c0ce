"""Prioritised replay, proportional: transitions with a large error are drawn more often. Schaul et al. 2016."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tui_trainer.algorithms.arrays import Float, Int, as_tensor, copy_into, take

Double = NDArray[np.float64]


class SumTree:
    """Weights of slots under a binary tree of sums: to draw by weight and to change weights costs log2(slots).

    Node i has the children 2i and 2i + 1, node 1 is the root, and each sum is made of its two children anew whenever
    one changes, so that the leaves alone decide every bit.
    """

    def __init__(self, slots: int) -> None:
        self._first = 1 << max(1, (slots - 1).bit_length())
        self._sums = np.zeros(2 * self._first, np.float64)
        self.weights = self._sums[self._first : self._first + slots]
        """By slot; change them through `set`."""

    @property
    def total(self) -> float:
        return float(self._sums[1])

    def set(self, slots: Int, weights: Double | float) -> None:
        """Give slots (B,) their weights and mend the sums above them."""
        self.weights[slots] = weights
        nodes = slots + self._first
        while len(nodes) and nodes[0] > 1:
            nodes = nodes >> 1
            self._sums[nodes] = self._sums[2 * nodes] + self._sums[2 * nodes + 1]

    def find(self, points: Double) -> Int:
        """The slots at points (B,) of [0, total), where each slot is as long as its weight."""
        nodes = np.ones(len(points), np.int64)
        while nodes[0] < self._first:
            nodes *= 2
            left = self._sums[nodes]
            goes_right = (points >= left) & (self._sums[nodes + 1] > 0)
            points = points - left * goes_right
            nodes += goes_right
        return nodes - self._first


class Priorities:
    """P(i) = p_i^alpha / sum_k p_k^alpha with p_i = |error_i| + eps; a new transition gets the highest p seen yet."""

    def __init__(self, slots: int, *, alpha: float, eps: float) -> None:
        self._tree = SumTree(slots)
        self._alpha, self._eps = alpha, eps
        self._highest = 1.0

    def admit(self, slots: Int) -> None:
        """New transitions lie in these slots."""
        self._tree.set(slots, self._highest)

    def dismiss(self, slots: Int) -> None:
        """What lies in these slots is not drawn any more."""
        self._tree.set(slots, 0.0)

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Int, Double]:
        """Slots, one of each of `count` equal parts of the total, and their probabilities P."""
        part = self._tree.total / count
        slots = self._tree.find((np.arange(count) + rng.random(count)) * part)
        return slots, self._tree.weights[slots] / self._tree.total

    def judge(self, slots: Int, errors: Float) -> None:
        """The temporal-difference errors that transitions now have."""
        weights = (np.abs(errors.astype(np.float64)) + self._eps) ** self._alpha
        self._highest = max(self._highest, float(weights.max()))
        self._tree.set(slots, weights)

    def state_dict(self) -> dict[str, object]:
        return {"weights": as_tensor(self._tree.weights.copy()), "highest": self._highest}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        weights = np.zeros_like(self._tree.weights)
        copy_into(weights, state, "weights")
        self._tree.set(np.arange(len(weights)), weights)
        self._highest = float(take(state, "highest"))


def importance(probabilities: Double, size: int, beta: float) -> Float:
    """w_i = (size P(i))^-beta / max_j w_j: what takes the bias of drawing by P out of a mean, at beta = 1 all of it."""
    weights = (size * probabilities) ** -beta
    found: Float = (weights / weights.max()).astype(np.float32)
    return found

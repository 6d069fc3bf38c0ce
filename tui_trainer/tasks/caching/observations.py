"""What a cache's manager sees: 60 numbers, each about -1 to 1.

5 candidates x (probability, cached, log frequency, log size, age) · request 8 · cache 9 · ages 4 · frequencies 4 ·
system 3 · last action 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tui_trainer.tasks.arrays import Array, Float, Int, Small, loaded
from tui_trainer.tasks.caching.simulator import ACTIONS, HALF_LIFE, Caches
from tui_trainer.tasks.caching.traces import LENGTH

COUNT = 60
_RATES = np.array([1 / 16, 1 / 128, 1 / 16, 1 / 128, 1 / 24, 1 / 24, 1 / 64, 1 / 64, 1 / 64, 1 / 32], np.float32)
"""Of the moving averages: hits fast, slow; first requests fast, slow; reuse within the capacity, within four; ghosts of
the oldest, of the improbable; prefetches; foreseen."""


class Watcher:
    """Moving averages of what the caches went through, and the observation."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        n = len(caches.rows)
        self.averages: Float = np.zeros((n, len(_RATES)), np.float32)
        self.action: Small = np.zeros(n, np.int8)
        self.foreseen: Float = np.zeros(n, np.float32)
        """Probability that the present request was given one request ago."""

    def begin(self, rows: Int) -> None:
        """Forget what these went through."""
        self.averages[rows], self.action[rows], self.foreseen[rows] = 0, 0, 0

    def before(self, action: Array) -> tuple[Array, Array]:
        """Call before the caches act; hand what it returns to `after`."""
        self.action = action.astype(np.int8)
        return self._caches.successors()

    def after(self, likely: tuple[Array, Array], fetched: Array) -> None:
        """Call when the caches have looked up the next request."""
        c = self._caches
        at = np.minimum(c.t, LENGTH - 1)
        x = c.traces.requests[c.segment, at]
        ids, shares = likely
        self.foreseen = ((ids == x[:, None]) * shares).sum(axis=1).astype(np.float32)
        age = c.t - c.last[c.rows, x]
        capacity = c.held.shape[1]
        missed = ~c.is_hit
        ghost = missed & (c.t - c.gone_at[c.rows, x] <= 2 * capacity)
        how = c.gone_how[c.rows, x]
        seen = np.empty_like(self.averages)
        seen[:, 0] = seen[:, 1] = c.is_hit
        seen[:, 2] = seen[:, 3] = c.count[c.rows, x] == 0
        seen[:, 4] = age <= capacity
        seen[:, 5] = (age > capacity) & (age <= 4 * capacity)
        seen[:, 6], seen[:, 7] = ghost & (how == 1), ghost & (how == 2)
        seen[:, 8], seen[:, 9] = fetched, self.foreseen
        self.averages = self.averages + _RATES * (seen - self.averages)

    def observe(self) -> Float:
        """(N, 60)."""
        c = self._caches
        n, capacity = len(c.rows), c.held.shape[1]
        obs = np.empty((n, COUNT), np.float32)
        at = np.minimum(c.t, LENGTH - 1)
        x = c.traces.requests[c.segment, at]
        self._candidates(obs[:, :25], at)
        cached = c.held >= 0
        filled = np.maximum(cached.sum(axis=1), 1)
        self._request(obs[:, 25:33], x, at, cached, filled)
        obs[:, 33] = filled / capacity
        obs[:, 34:42] = self.averages[:, :8]
        age = c.t[:, None] - c.stamp
        _shares(obs[:, 42:46], age, (capacity // 2, capacity, 2 * capacity), cached, filled)
        count = c.count[c.rows[:, None], np.maximum(c.held, 0)]
        _shares(obs[:, 46:50], count, (1, 3, 7), cached, filled)
        obs[:, 50] = (age < 0).sum(axis=1) / capacity
        obs[:, 51:53] = self.averages[:, 8:]
        obs[:, 53:] = np.eye(len(ACTIONS), dtype=np.float32)[self.action]
        return obs

    def _candidates(self, out: Float, at: Int) -> None:
        c = self._caches
        ids, shares = c.traces.successor[c.segment, at], c.traces.probability[c.segment, at]
        rows, known = c.rows[:, None], np.maximum(ids, 0)
        here = ids >= 0
        out[:, 0::5] = shares * here
        out[:, 1::5] = (c.place[rows, known] >= 0) & here
        out[:, 2::5] = np.log1p(c.count[rows, known]) * (here / 4)
        out[:, 3::5] = c.traces.size_of[c.segment[:, None], known] * (here / 8)
        out[:, 4::5] = _log_age(c.t[:, None] - c.last[rows, known]) * here

    def _request(self, out: Float, x: Array, at: Int, cached: Array, filled: Array) -> None:
        c = self._caches
        last = c.last[c.rows, x]
        worth = np.maximum(c.worth[c.rows, x] - c.t / HALF_LIFE, -8)
        out[:, 0] = c.is_hit
        out[:, 1] = np.log1p(c.count[c.rows, x]) / 4
        out[:, 2] = _log_age(c.t - last)
        out[:, 3] = c.count[c.rows, x] == 0
        out[:, 4] = c.traces.size_of[c.segment, x] / 8
        out[:, 5] = worth / 8
        out[:, 6] = self.foreseen
        out[:, 7] = ((c.stamp > last[:, None]) & cached).sum(axis=1) / filled


def _log_age(age: Array) -> Array:
    """0 just now, 1 a segment ago or never."""
    found: Array = np.minimum(np.log2(1 + age) / np.log2(LENGTH), 1)
    return found


def _shares(out: Float, values: Array, edges: tuple[int, int, int], cached: Array, filled: Array) -> None:
    """Shares of the cached objects up to each edge, and above the last."""
    below = np.zeros(len(values), np.float32)
    for column, edge in enumerate(edges):
        total = ((values <= edge) & cached).sum(axis=1) / filled
        out[:, column] = total - below
        below = total
    out[:, 3] = 1 - below


def watcher_state(watcher: Watcher) -> dict[str, object]:
    """Everything, copied."""
    return {"averages": watcher.averages.copy(), "action": watcher.action.copy(), "foreseen": watcher.foreseen.copy()}


def load_watcher(watcher: Watcher, state: Mapping[str, Any]) -> None:
    """Continue exactly where the state was taken."""
    watcher.averages = loaded(watcher.averages, state, "averages")
    watcher.action = loaded(watcher.action, state, "action")
    watcher.foreseen = loaded(watcher.foreseen, state, "foreseen")

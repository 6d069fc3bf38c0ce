"""Generated requests that change phase: each kind of phase is served best by another policy.

popular: Zipf over a fixed set that returns throughout the segment (frequency pays) · window: a working set that moves
(recency pays, old frequencies mislead) · loop: round and round over more than the cache holds (recency never hits) ·
scan: objects that never return. One-hit wonders are strewn over all. `ease` in [0, 1] moves every one of these towards
more reuse.
"""

from __future__ import annotations

import numpy as np

from tui_trainer.tasks.arrays import Array, Int, generator_of

KINDS = ("popular", "window", "loop", "scan")
SHORTEST_PHASE, LONGEST_PHASE = 64, 192
_SHARES = (0.45, 0.23, 0.24, 0.08)


def segment(seed: int, number: int, length: int, capacity: int) -> tuple[Int, float]:
    """One segment's requests, (length,) object ids, and its ease."""
    rng = generator_of(seed, number)
    ease = float(rng.random())
    return Generated(rng, ease, capacity).requests(length), ease


class Generated:
    """A stream of phases for a cache of `capacity` objects."""

    def __init__(self, rng: np.random.Generator, ease: float, capacity: int) -> None:
        self._rng, self._ease, self._capacity = rng, ease, capacity
        count = int(capacity * (8 - 4 * ease))
        weights = 1 / np.arange(1, count + 1) ** (0.8 + 0.4 * ease)
        self._popular = np.cumsum(weights / weights.sum())
        self._next_new = count
        """Ids from here on were never requested."""

    def requests(self, length: int) -> Int:
        """(length,) ids."""
        phases, total, last = [], 0, -1
        while total < length:
            kind = self._other_kind(last)
            count = int(self._rng.integers(SHORTEST_PHASE, LONGEST_PHASE + 1))
            if KINDS[kind] == "scan":
                count //= 2
            phases.append(getattr(self, KINDS[kind])(count))
            total, last = total + count, kind
        return self._with_wonders(np.concatenate(phases)[:length])

    def _other_kind(self, last: int) -> int:
        shares = np.array(_SHARES)
        if last >= 0:
            shares[last] = 0
        return int(self._rng.choice(len(KINDS), p=shares / shares.sum()))

    def popular(self, count: int) -> Int:
        """Zipf; the same objects whenever it returns."""
        found: Int = np.searchsorted(self._popular, self._rng.random(count)).astype(np.int64)
        return found

    def window(self, count: int) -> Int:
        """Uniform over a set smaller than the cache, of which an object is replaced by a new one now and then."""
        size = int(self._capacity * (0.9 - 0.3 * self._ease))
        moved = (np.arange(count) * (0.35 - 0.25 * self._ease)).astype(np.int64)
        found: Int = self._new(size + int(moved[-1]) + 1)[moved + self._rng.integers(0, size, count)]
        return found

    def loop(self, count: int) -> Int:
        """Round and round."""
        size = int(self._capacity * (2.0 - 0.8 * self._ease))
        found: Int = self._new(size)[np.arange(count) % size]
        return found

    def scan(self, count: int) -> Int:
        """Each once."""
        return self._new(count)

    def _new(self, count: int) -> Int:
        self._next_new += count
        return np.arange(self._next_new - count, self._next_new)

    def _with_wonders(self, requests: Int) -> Int:
        wonder: Array = self._rng.random(len(requests)) < 0.25 * (1 - self._ease)
        requests = requests.copy()
        requests[wonder] = self._new(int(wonder.sum()))
        return requests

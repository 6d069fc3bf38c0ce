"""Many caches at once, each on a segment of its own; one request a step.

Every cached object has a *stamp*, which orders it for LRU: the time of its last use, later by a credit where it is to
be kept; and a *worth*, which orders it by how probable it is to be asked for again: log2 of the sum of its uses, each
halved every HALF_LIFE requests (Lee et al. 2001, LRFU), written so that it needs no update while it rests. An empty
place has stamp and worth below all others and is taken first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tui_trainer.tasks.arrays import Array, Bool, Int, loaded
from tui_trainer.tasks.caching.traces import LENGTH, SUCCESSORS, Traces

NOTHING, KEEP, FETCH_1, FETCH_3, FETCH_5, EVICT_OLD, EVICT_IMPROBABLE = range(7)
ACTIONS = ("nothing", "keep", "prefetch 1", "prefetch 3", "prefetch 5", "evict a batch", "evict improbable")
FETCHES = {FETCH_1: (1, 0.7), FETCH_3: (3, 0.5), FETCH_5: (5, 0.3)}
"""Action: how many of the likeliest successors, and above which probability."""
HALF_LIFE = 128.0
CREDIT = 4
"""A kept object counts as used this many capacities later than it was."""
BATCH_SHARE = 8
"""A batch is one of this many parts of the cache."""
EMPTY = -1
NEVER = -(2**20)
_LOWEST = np.float32(-1e9)

_FIELDS = (
    "segment", "t", "held", "stamp", "worth_of", "fetched", "place", "last", "count", "worth", "gone_at", "gone_how",
    "is_hit", "was_fetched", "hits", "fetched_hits", "prefetches",
)  # fmt: skip


class Caches:
    """N caches of `traces.capacity` objects; U objects in a segment at most."""

    def __init__(self, traces: Traces, num_envs: int) -> None:
        n, c, u = num_envs, traces.capacity, traces.objects
        self.traces = traces
        self.rows = np.arange(n)
        self.segment = np.zeros(n, np.int64)
        self.t = np.zeros(n, np.int32)
        self.held = np.full((n, c), EMPTY, np.int16)
        self.stamp = np.full((n, c), NEVER, np.int32)
        self.worth_of = np.full((n, c), _LOWEST, np.float32)
        self.fetched = np.zeros((n, c), np.bool_)
        """Came by prefetch and was not asked for since."""
        self.place = np.full((n, u), EMPTY, np.int16)
        self.last = np.full((n, u), NEVER, np.int32)
        self.count = np.zeros((n, u), np.int16)
        self.worth = np.full((n, u), _LOWEST, np.float32)
        self.gone_at = np.full((n, u), NEVER, np.int32)
        self.gone_how = np.zeros((n, u), np.int8)
        """1: evicted as the oldest, 2: as the least probable."""
        self.is_hit = np.zeros(n, np.bool_)
        self.was_fetched = np.zeros(n, np.bool_)
        self.hits = np.zeros(n, np.int32)
        """Demand hits: on objects that came in because they were asked for."""
        self.fetched_hits = np.zeros(n, np.int32)
        self.prefetches = np.zeros(n, np.int32)

    def begin(self, rows: Int, segments: Int) -> None:
        """Empty these caches and put them at the first request of their segments."""
        self.segment[rows], self.t[rows] = segments, 0
        for field, empty in (("held", EMPTY), ("stamp", NEVER), ("worth_of", _LOWEST), ("fetched", False),
                             ("place", EMPTY), ("last", NEVER), ("count", 0), ("worth", _LOWEST),
                             ("gone_at", NEVER), ("gone_how", 0), ("is_hit", False), ("was_fetched", False),
                             ("hits", 0), ("fetched_hits", 0), ("prefetches", 0)):  # fmt: skip
            getattr(self, field)[rows] = empty

    @property
    def request(self) -> Array:
        """The object asked for now, (N,)."""
        return self.traces.requests[self.segment, self.t].astype(np.int64)

    def successors(self) -> tuple[Array, Array]:
        """What is likely to be asked for next: ids (N, 5), -1 for none, and probabilities (N, 5)."""
        return self.traces.successor[self.segment, self.t], self.traces.probability[self.segment, self.t]

    def mask(self) -> Bool:
        """Legal actions (N, 7): a prefetch needs a prediction of what is not cached, an eviction something to evict."""
        legal = np.ones((len(self.rows), len(ACTIONS)), np.bool_)
        ids, shares = self.successors()
        missing = (ids >= 0) & (self.place[self.rows[:, None], np.maximum(ids, 0)] < 0)
        for action, (count, above) in FETCHES.items():
            legal[:, action] = (missing[:, :count] & (shares[:, :count] > above)).any(axis=1)
        legal[:, EVICT_OLD] = legal[:, EVICT_IMPROBABLE] = (self.held >= 0).any(axis=1)
        return legal

    def act(self, action: Array) -> Array:
        """Serve the present request, then look up the next: how many objects each cache prefetched, (N,)."""
        x = self.request
        self._note(x)
        self._evict_batches(x, action == EVICT_OLD)
        self._serve(x, action)
        fetched = self._prefetch(action)
        self.prefetches += fetched
        self.t += 1
        self._look_up()
        return fetched

    def _note(self, x: Array) -> None:
        """Count the use; the object's worth, cached or not: log2(1 + old uses) with their halving."""
        rows, now = self.rows, (self.t / HALF_LIFE).astype(np.float32)
        old = np.exp2(np.maximum(self.worth[rows, x] - now, -60.0))
        self.worth[rows, x] = np.log2(1 + old) + now
        self.last[rows, x] = self.t
        self.count[rows, x] += 1

    def _evict_batches(self, x: Array, wish: Bool) -> None:
        """The oldest eighth of the cache goes, not the object that is asked for."""
        rows = np.flatnonzero(wish)
        if not len(rows):
            return
        batch = max(1, self.held.shape[1] // BATCH_SHARE)
        stamp = np.where((self.held[rows] < 0) | (self.held[rows] == x[rows, None]), 2**30, self.stamp[rows])
        for _ in range(batch):
            at = stamp.argmin(axis=1)
            real = stamp[np.arange(len(rows)), at] < 2**30
            self._empty(rows[real], at[real], 1)
            stamp[np.arange(len(rows)), at] = 2**30

    def _serve(self, x: Array, action: Array) -> None:
        """Hits are renewed; misses come in for the oldest, or for the least probable unless that is the newcomer."""
        rows, at = self.rows, self.place[self.rows, x].astype(np.int64)
        improbable = action == EVICT_IMPROBABLE
        if (evicting := np.flatnonzero(improbable & (at >= 0))).size:
            self._evict_improbable(evicting, x)
        missed = at < 0
        if missed.any():
            by_worth = improbable & missed
            at = np.where(missed, self.stamp.argmin(axis=1), at)
            if by_worth.any():
                at[by_worth] = self.worth_of[by_worth].argmin(axis=1)
            admitted = missed & ~(by_worth & (self.worth_of[rows, at] > self.worth[rows, x]))
            self._insert(rows[admitted], x[admitted], at[admitted], np.where(by_worth, 2, 1)[admitted])
            rows, at, x = rows[admitted | ~missed], at[admitted | ~missed], x[admitted | ~missed]
        credit = CREDIT * self.held.shape[1] * (action[rows] == KEEP)
        self.stamp[rows, at] = self.t[rows] + credit
        self.worth_of[rows, at] = self.worth[rows, x]
        self.fetched[rows, at] = False

    def _evict_improbable(self, rows: Int, x: Array) -> None:
        """On a hit: the least probable other object leaves a place free for the next miss; none where one is free."""
        worth = np.where(self.held[rows] == x[rows, None], np.inf, self.worth_of[rows])
        at = worth.argmin(axis=1)
        real = np.isfinite(worth[np.arange(len(rows)), at]) & (self.held[rows, at] >= 0)
        self._empty(rows[real], at[real], 2)

    def _empty(self, rows: Int, at: Array, how: int | Array) -> None:
        gone = self.held[rows, at].astype(np.int64)
        self.place[rows, gone] = EMPTY
        self.gone_at[rows, gone], self.gone_how[rows, gone] = self.t[rows], how
        self.held[rows, at], self.stamp[rows, at], self.worth_of[rows, at] = EMPTY, NEVER, _LOWEST
        self.fetched[rows, at] = False

    def _insert(self, rows: Int, x: Array, at: Array, how: int | Array) -> None:
        full = self.held[rows, at] >= 0
        if full.any():
            self._empty(rows[full], at[full], how[full] if isinstance(how, np.ndarray) else how)
        self.held[rows, at], self.place[rows, x] = x, at

    def _prefetch(self, action: Array) -> Array:
        """Bring in the likeliest successors that are not cached, each for the oldest object; how many, (N,)."""
        fetched = np.zeros(len(self.rows), np.int32)
        rows = np.flatnonzero((action >= FETCH_1) & (action <= FETCH_5))
        if not len(rows):
            return fetched
        ids, shares = self.traces.successor[self.segment[rows], self.t[rows]], self.traces.probability[
            self.segment[rows], self.t[rows]]  # fmt: skip
        most = np.array([FETCHES.get(a, (0, 2.0)) for a in range(len(ACTIONS))], np.float32)[action[rows]]
        for rank in range(SUCCESSORS):
            wanted = (rank < most[:, 0]) & (shares[:, rank] > most[:, 1]) & (ids[:, rank] >= 0)
            some, object_ = rows[wanted], ids[wanted, rank].astype(np.int64)
            absent = self.place[some, object_] < 0
            some, object_ = some[absent], object_[absent]
            if len(some):
                self._bring(some, object_)
                fetched[some] += 1
        return fetched

    def _bring(self, rows: Int, object_: Int) -> None:
        at = self.stamp[rows].argmin(axis=1)
        self._insert(rows, object_, at, 1)
        self.stamp[rows, at] = self.t[rows]
        self.worth_of[rows, at] = self.worth[rows, object_]
        self.fetched[rows, at] = True

    def _look_up(self) -> None:
        """Is the next request cached, and how did it come in?"""
        going = self.t < LENGTH
        x = self.traces.requests[self.segment, np.minimum(self.t, LENGTH - 1)]
        at = self.place[self.rows, x]
        self.is_hit = (at >= 0) & going
        self.was_fetched = self.is_hit & self.fetched[self.rows, at]
        self.hits += self.is_hit & ~self.was_fetched
        self.fetched_hits += self.was_fetched

    def is_hit_of_lru(self) -> Bool:
        """Would the request that `act` just looked up hit in a plain LRU, (N,)?"""
        going = self.t < LENGTH
        found: Bool = self.traces.lru_hits[self.segment, np.minimum(self.t, LENGTH - 1)] & going
        return found

    def state(self) -> dict[str, object]:
        """Everything, copied."""
        return {name: getattr(self, name).copy() for name in _FIELDS}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue exactly where `state` was taken."""
        for name in _FIELDS:
            setattr(self, name, loaded(getattr(self, name), state, name))

"""What a cache's episodes came to, and how one looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tui_trainer.core.values import Metrics, PartResult
from tui_trainer.tasks.arrays import Array, Int
from tui_trainer.tasks.caching.simulator import ACTIONS, Caches
from tui_trainer.tasks.caching.traces import LENGTH, Baselines
from tui_trainer.tasks.statistics import tally

_EPSILON = 1e-9


class Counts(NamedTuple):
    """Of each cache so far, (N,) each."""

    requests: Int
    hits: Array
    """On objects that came in because they were asked for."""
    fetched_hits: Array
    """On objects that lay there by prefetch alone."""
    prefetches: Array

    @classmethod
    def of(cls, caches: Caches) -> Counts:
        """As they stand."""
        requests = np.minimum(caches.t + 1, LENGTH)
        return cls(requests, caches.hits.copy(), caches.fetched_hits.copy(), caches.prefetches.copy())

    def demand(self) -> Array:
        """Demand hit ratio, (N,)."""
        return self.hits / self.requests

    def net(self, fetch_cost: float) -> Array:
        """All hits less the cost of what was prefetched, over requests, (N,)."""
        return (self.hits + self.fetched_hits - fetch_cost * self.prefetches) / self.requests


def result(counts: Counts, known: Sequence[Baselines], fetch_cost: float, segments: Int) -> PartResult:
    """An evaluation's part; a segment on which the best online policy is equalled counts as a draw."""
    net, demand = counts.net(fetch_cost), counts.demand()
    best = np.array([baselines.best for baselines in known])
    return tally(
        net * counts.requests,
        wins=int((net > best + _EPSILON).sum()),
        draws=int((np.abs(net - best) <= _EPSILON).sum()),
        distinct=len(np.unique(segments)),
        repeats=True,
        extra=_metrics(demand, net, counts, known),
        frame=_table(demand, net, known),
    )


def _metrics(demand: Array, net: Array, counts: Counts, known: Sequence[Baselines]) -> Metrics:
    lru = _mean(known, "LRU")
    bound = float(np.mean([baselines.bound for baselines in known]))
    gap = max(bound - lru, _EPSILON)
    return {
        "demand_hit_ratio": float(demand.mean()),
        "net_hit_ratio": float(net.mean()),
        "prefetches_per_request": float((counts.prefetches / counts.requests).mean()),
        "gap_closed": (float(demand.mean()) - lru) / gap,
        "gap_closed_net": (float(net.mean()) - lru) / gap,
        **{f"hit_ratio {name}": _mean(known, name) for name in known[0].online},
        "hit_ratio Belady": bound,
    }


def _mean(known: Sequence[Baselines], name: str) -> float:
    return float(np.mean([baselines.online[name] for baselines in known]))


def _table(demand: Array, net: Array, known: Sequence[Baselines]) -> str:
    rows = {"policy, demand": float(demand.mean()), "policy, net": float(net.mean())}
    rows |= {name: _mean(known, name) for name in known[0].online}
    rows["Belady"] = float(np.mean([baselines.bound for baselines in known]))
    return "\n".join(f"{name:<15}{value:6.3f} {_bar(value)}" for name, value in rows.items())


def picture(counts: Counts, caches: Caches, action: int, env: int) -> str:
    """Hit ratios so far and what the cache holds, oldest first."""
    requests, capacity = int(counts.requests[env]), caches.held.shape[1]
    filled = int((caches.held[env] >= 0).sum())
    order = np.argsort(caches.stamp[env])[capacity - filled :]
    marks = "".join(_mark(caches, env, int(at)) for at in order[-64:])
    demand, fetched = float(counts.demand()[env]), float(counts.fetched_hits[env] / requests)
    return "\n".join(
        [
            f"request {requests:>4} of {LENGTH} · {'hit' if caches.is_hit[env] else 'miss'} · did: {ACTIONS[action]}",
            f"demand hits   {demand:6.3f} {_bar(demand)}",
            f"prefetch hits {fetched:6.3f} {_bar(fetched)} of {int(counts.prefetches[env])} prefetched",
            f"cache {filled:>3}/{capacity} {marks}",
            "oldest first: . once, o again, O often, + kept, ? prefetched",
        ]
    )


def _mark(caches: Caches, env: int, at: int) -> str:
    if caches.fetched[env, at]:
        return "?"
    if caches.stamp[env, at] > caches.t[env]:
        return "+"
    uses = int(caches.count[env, caches.held[env, at]])
    return "." if uses < 2 else "o" if uses < 5 else "O"


def _bar(share: float) -> str:
    return "█" * round(30 * max(0.0, min(1.0, share)))

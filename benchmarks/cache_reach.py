"""What the actions of `cache` can reach on held-out segments, whoever chooses them.

    OMP_NUM_THREADS=1 python benchmarks/cache_reach.py --segments 10 --windows 32,8,1

Rows: each action taken always, where it is legal; then a clairvoyant that at the beginning of each window tries every
action for the window's length, goes on as plain LRU for --ahead requests, and takes what hit most. It knows the future
and looks no further than that, so what it closes can be reached, and more may be. Columns for each band: the share of
the gap between LRU and Belady that demand hits close, and the same for net hits, each by one that maximises it.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from tui_trainer.tasks import cache
from tui_trainer.tasks.caching.results import Counts, result
from tui_trainer.tasks.caching.simulator import ACTIONS, NOTHING, Caches
from tui_trainer.tasks.caching.traces import LENGTH


def main() -> None:
    """A row for each constant policy and each window."""
    options = _options()
    task: Any = cache.make({"workload_seed": options.seed}, 1, 0)
    print(f"{'':>24} " + " ".join(f"{band:^15}" for band in cache.BANDS))
    for action, name in enumerate(ACTIONS):
        print(row(task, f"always {name}", options, lambda caches, cost, a=action: constant(caches, a)), flush=True)
    for window in map(int, options.windows.split(",")):
        name = f"clairvoyant, window {window}"
        print(row(task, name, options, lambda c, cost, w=window: chosen(c, w, options.ahead, cost)), flush=True)


def row(task: Any, name: str, options: argparse.Namespace, choose: Any) -> str:
    """Demand and net, each of a run that is led by it."""
    found = []
    for band in cache.BANDS:
        segments = task.held_out(band, options.segments, options.seed)
        demand = played(task, segments, lambda c: choose(c, None))
        net = played(task, segments, lambda c: choose(c, task._options.fetch_cost))
        found.append(f"{100 * demand['gap_closed']:>6.1f}% {100 * net['gap_closed_net']:>6.1f}%")
    return f"{name:>24} " + " ".join(found)


def played(task: Any, segments: Any, choose: Any) -> Any:
    """What an evaluation tells of the segments."""
    held_out = task._library.held_out
    caches = Caches(held_out, len(segments))
    caches.begin(caches.rows, segments)
    actions, left = np.zeros(0), 0
    for _ in range(LENGTH - 1):
        if not left:
            actions, left = choose(caches)
        caches.act(legal(caches, actions))
        left -= 1
    known = [held_out.baselines(int(s)) for s in segments]
    return result(Counts.of(caches), known, task._options.fetch_cost, segments).extra


def legal(caches: Caches, actions: Any) -> Any:
    """Nothing, where the wish is masked."""
    return np.where(caches.mask()[caches.rows, actions], actions, NOTHING)


def constant(caches: Caches, action: int) -> tuple[Any, int]:
    return np.full(len(caches.rows), action), LENGTH


def chosen(caches: Caches, window: int, ahead: int, cost: float | None) -> tuple[Any, int]:
    """The action for the next window, (N,): of equals the first, so nothing where nothing is gained."""
    count, n = len(ACTIONS), len(caches.rows)
    tried = copies(caches, count)
    before = worth(tried, cost)
    wish = np.repeat(np.arange(count), n)
    for step in range(min(window + ahead, LENGTH - 1 - int(caches.t[0]))):
        tried.act(legal(tried, wish) if step < window else np.zeros(count * n, np.int64))
    gained = (worth(tried, cost) - before).reshape(count, n)
    return gained.argmax(axis=0), window


def copies(caches: Caches, count: int) -> Caches:
    """The same caches `count` times over."""
    found = Caches(caches.traces, count * len(caches.rows))
    found.load({name: np.concatenate([array] * count) for name, array in caches.state().items()})
    return found


def worth(caches: Caches, cost: float | None) -> Any:
    """Demand hits, or all hits less what prefetching cost."""
    return caches.hits * 1.0 if cost is None else caches.hits + caches.fetched_hits - cost * caches.prefetches


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the workloads")
    parser.add_argument("--segments", type=int, default=10, help="held-out segments of each band")
    parser.add_argument("--windows", default="32,8,1", help="requests for which an action is held")
    parser.add_argument("--ahead", type=int, default=96, help="requests that it looks ahead after the window")
    return parser.parse_args()


if __name__ == "__main__":
    main()

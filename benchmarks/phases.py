"""What measuring phase times costs: clock readings and sums, against the update that they measure.

    OMP_NUM_THREADS=1 python benchmarks/phases.py

The collector and the meter run as they are, with clocks that count their readings; the cost of one reading and of one
sum, times how many there are in an update, is put against the seconds of an update. Needs the extra `gym`.
"""

from __future__ import annotations

import os
import time
import timeit
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from tui_trainer import tasks
from tui_trainer.algorithms import build, collector
from tui_trainer.core.config import Layer, resolve
from tui_trainer.core.reports import CollectReport, UpdateReport
from tui_trainer.engine.meter import Meter

CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ppo, CartPole, 8": ("ppo", "gym:CartPole-v1", {"num_envs": 8, "n_steps": 128, "batch_size": 256}),
    "ppo, CartPole, 64": ("ppo", "gym:CartPole-v1", {"num_envs": 64, "n_steps": 128, "batch_size": 2048}),
    "ppo, Connect Four, 512": ("ppo", "connect_four", {"num_envs": 512, "n_steps": 16, "batch_size": 1024}),
    "dqn, CartPole, 8": ("dqn", "gym:CartPole-v1", {"num_envs": 8, "learning_starts": 0}),
}
UPDATES = 30


class Counting:
    """A clock that counts its readings."""

    def __init__(self) -> None:
        self.readings = 0

    def __call__(self) -> float:
        self.readings += 1
        return time.perf_counter()


def main() -> None:
    torch.set_num_threads(1)
    reading = timeit.timeit(time.perf_counter, number=1_000_000) / 1e6
    print(f"a clock reading takes {1e9 * reading:.0f} ns")
    print(f"{'what':<24} {'update':>10} {'readings':>9} {'sums':>10} {'cost':>8}")
    for name, (algorithm, task, table) in CASES.items():
        config = resolve([Layer("benchmark", {"run": {"algorithm": algorithm}, algorithm: table})]).config
        learner = build(algorithm, tasks.make(task, {}, table["num_envs"]), config, "cpu")
        seconds, readings, reports = measured(learner)
        sums = cost_of_sums(reports)
        cost = (readings * reading + sums) / seconds
        print(f"{name:<24} {1e3 * seconds:>7.2f} ms {readings:>9.0f} {1e6 * sums:>7.1f} us {100 * cost:>6.3f} %")


def measured(learner: Any) -> tuple[float, float, tuple[CollectReport, UpdateReport]]:
    """CPU seconds and clock readings of an update, and the reports it gave."""
    clock = Counting()
    collector.perf_counter = clock  # type: ignore[attr-defined]
    learner.collect(1e9)
    learner.learn()
    clock.readings, start = 0, time.process_time()
    for _ in range(UPDATES):
        collected = learner.collect(1e9)
        learned = learner.learn()
    seconds = (time.process_time() - start) / UPDATES
    collector.perf_counter = time.perf_counter  # type: ignore[attr-defined]
    return seconds, clock.readings / UPDATES, (collected, learned)


def cost_of_sums(reports: tuple[CollectReport, UpdateReport]) -> float:
    """Seconds that the meter needs to take in an update: its phases and the loop's three."""
    meter = Meter(10**9, time.monotonic)
    bare = CollectReport(steps=0, episodes=0, complete=True, metrics=reports[0].metrics, seconds={})
    bare_update = UpdateReport(metrics=reports[1].metrics, seconds={})

    def with_phases() -> None:
        meter.collected(reports[0])
        meter.learned(reports[1])
        for phase in ("", "", "save"):
            meter.add(phase, 0.0)

    def without() -> None:
        meter.collected(bare)
        meter.learned(bare_update)

    return max(0.0, timeit.timeit(with_phases, number=20_000) - timeit.timeit(without, number=20_000)) / 20_000


if __name__ == "__main__":
    main()

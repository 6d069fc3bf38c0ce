"""How fast PPO or DQN learns to manage a cache with the preset, seed by seed, on held-out segments.

    OMP_NUM_THREADS=1 python benchmarks/cache_learning.py --seeds 1-5 --seconds 60

Time is the process's CPU time in collect and learn, so that a busy machine does not blur it; the wall time stands
beside it. Each seed has workloads of its own (`task.workload_seed`). Columns for each band: the share of the gap
between LRU and Belady that demand hits close, the same for net hits (all hits less the cost of prefetching), the win
rate against the best of the five online policies. `constant` rows take one action always, where it is legal.
"""

from __future__ import annotations

import argparse
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tui_trainer.algorithms import build
from tui_trainer.cli.settings import parse_seeds
from tui_trainer.core.config import Layer, assignments_layer, resolve
from tui_trainer.core.values import Difficulty
from tui_trainer.tasks import cache
from tui_trainer.tasks.caching.simulator import ACTIONS

PRESET = Path(__file__).resolve().parent.parent / "configs" / "cache.toml"


class Constant:
    """One action where it is legal, otherwise none."""

    def __init__(self, action: int) -> None:
        self.action = action

    def act(self, obs: Any, mask: Any) -> Any:
        return np.where(mask[:, self.action], self.action, 0)


def main() -> None:
    """Print a row for each seed and moment."""
    options = _options()
    torch.set_num_threads(1)
    print(f"{'seed':>4} {'':>24} {'steps':>9} {'wall':>6} " + " ".join(f"{band:^22}" for band in cache.BANDS))
    for seed in parse_seeds(options.seeds):
        for row in train(options, seed):
            print(row, flush=True)


def train(options: argparse.Namespace, seed: int) -> Iterator[str]:
    """Train one seed; a line at each mark, then the constant policies'."""
    layers = [Layer("preset", tomllib.loads(options.config.read_text())), assignments_layer(options.set)]
    run = {"seed": seed, "algorithm": options.algorithm}
    layers.append(Layer("seed", {"run": run, "task": {"workload_seed": seed}}))
    config = resolve(layers).config
    envs = config.ppo.num_envs if options.algorithm == "ppo" else config.dqn.num_envs
    task: Any = cache.make(config.task, envs, 0)
    if options.low is not None:
        task.set_difficulty(Difficulty(low=options.low))
    learner = build(options.algorithm, task, config, "cpu")
    steps, spent, began = 0, 0.0, time.perf_counter()
    for mark in [m for m in (10, 20, 30, 60, 120) if m < options.seconds] + [options.seconds]:
        while spent < mark:
            begun = time.process_time()
            while not (report := learner.collect(1e9)).complete:
                pass
            learner.learn()
            steps, spent = steps + report.steps, spent + time.process_time() - begun
        wall = time.perf_counter() - began
        yield line(seed, f"{options.algorithm} {spent:.0f} s", steps, wall, task, learner.policy(), options.episodes)
    if options.constants:
        for action, name in enumerate(ACTIONS):
            yield line(seed, f"constant: {name}", 0, 0, task, Constant(action), options.episodes)


def line(seed: int, name: str, steps: int, wall: float, task: Any, policy: Any, episodes: int) -> str:
    """The policy on held-out segments of every band."""
    cells = []
    for band in cache.BANDS:
        part = task.evaluate(policy, part=band, episodes=episodes, seed=7)
        closed, net = part.extra["gap_closed"], part.extra["gap_closed_net"]
        cells.append(f"{100 * closed:>6.1f}% {100 * net:>6.1f}% {part.win_rate:>5.2f} ")
    return f"{seed:>4} {name:>24} {steps:>9} {wall:>5.0f}s " + " ".join(cells)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=PRESET)
    parser.add_argument("--algorithm", choices=("ppo", "dqn"), default="ppo")
    parser.add_argument("--seeds", default="1-5", help="such as 1-5")
    parser.add_argument("--seconds", type=float, default=60, help="of training, CPU time")
    parser.add_argument("--episodes", type=int, default=100, help="held-out segments of each band")
    parser.add_argument("--low", type=float, help="lower bound of the training quality; default 0.7")
    parser.add_argument("--constants", action="store_true", help="constant policies, too")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()

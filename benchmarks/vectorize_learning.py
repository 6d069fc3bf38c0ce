"""How fast PPO learns to choose VTracer's parameters with the preset, seed by seed, on held-out pictures.

    OMP_NUM_THREADS=1 python benchmarks/vectorize_learning.py --seeds 1-5 --seconds 30

Time is CPU time of training (collect and learn, worker processes included) over --cores, so that a busy machine does
not blur it: what a free machine with so many cores would take. Each seed has pictures of its own
(`task.picture_seed`). Columns for each category: win rate against VTracer's defaults, mean SSIM and kilobytes; the last
rows are the defaults', and a search's: the best of --search random parameters for each picture.
"""

from __future__ import annotations

import argparse
import os
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
from tui_trainer.tasks import vectorize
from tui_trainer.tasks.vector.parameters import COUNT, DEFAULTS, values_of
from tui_trainer.tasks.vector.results import Best, result

PRESET = Path(__file__).resolve().parent.parent / "configs" / "vectorize.toml"
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print a row for each seed and moment."""
    options = _options()
    torch.set_num_threads(1)
    print(
        f"{'seed':>4} {'':>10} {'steps':>6} {'wall':>5} "
        + " ".join(f"{c:^17}" for c in ("simple", "text", "gradient", "complex"))
    )
    for seed in parse_seeds(options.seeds):
        for row in train(options, seed):
            print(row, flush=True)


def train(options: argparse.Namespace, seed: int) -> Iterator[str]:
    """Train one seed; a line at each mark, then the defaults' and the search's."""
    layers = [Layer("preset", tomllib.loads(options.config.read_text())), assignments_layer(options.set)]
    layers.append(Layer("seed", {"run": {"seed": seed}, "task": {"picture_seed": seed}}))
    config = resolve(layers).config
    task: Any = vectorize.make(config.task, config.ppo.num_envs, 0)
    task.set_difficulty(Difficulty(level=options.level, low=options.low))
    learner = build("ppo", task, config, "cpu")
    steps, spent, began = 0, 0.0, time.perf_counter()
    for mark in (options.seconds / 3, options.seconds * 2 / 3, options.seconds):
        while spent < mark:
            before = cpu_seconds(task)
            while not (report := learner.collect(1e9)).complete:
                pass
            learner.learn()
            steps, spent = steps + report.steps, spent + (cpu_seconds(task) - before) / options.cores
        yield line(seed, f"{spent:.0f} s", steps, time.perf_counter() - began, task, learner.policy())
    yield cells(seed, "defaults", 0, 0, task, lambda pictures: known(task, pictures, [DEFAULTS]))
    if options.search:
        tried = values_of(np.random.default_rng(seed).random((options.search, COUNT)))
        yield cells(seed, "search", 0, 0, task, lambda pictures: known(task, pictures, [DEFAULTS, *tried]))
    task.close()


def cpu_seconds(task: Any) -> float:
    """Of this process and its workers."""
    total = time.process_time()
    for pid in task.worker_pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


def line(seed: int, name: str, steps: int, wall: float, task: Any, policy: Any) -> str:
    """The policy on every held-out picture."""
    return cells(seed, name, steps, wall, task, lambda pictures: task.attempt(policy, pictures))


def known(task: Any, pictures: Any, tried: Any) -> list[Best]:
    """The best of given parameters for each picture."""
    default = task._traces(pictures, [DEFAULTS] * len(pictures))
    best = [Best(p, DEFAULTS, d, d) for p, d in zip(pictures, default)]
    for values in tried:
        traced = task._traces(pictures, [values] * len(pictures))
        new = [Best(b.picture, values, t, b.default) for b, t in zip(best, traced)]
        score = task._worth.score
        best = [n if score(n.traced, n.default) > score(b.traced, b.default) else b for b, n in zip(best, new)]
    return best


def cells(seed: int, name: str, steps: int, wall: float, task: Any, attempt: Any) -> str:
    """Win rate, SSIM, kilobytes of every category."""
    found = []
    for category in task.spec.parts:
        part = result(attempt([p for p in task._library.held_out if p.category == category]), task._worth)
        found.append(f"{part.win_rate:>5.2f} {part.extra['ssim']:.3f} {part.extra['bytes'] / 1024:>5.1f}")
    return f"{seed:>4} {name:>10} {steps:>6} {wall:>4.0f}s " + " ".join(found)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=PRESET)
    parser.add_argument("--seeds", default="1-5", help="such as 1-5")
    parser.add_argument("--seconds", type=float, default=30, help="of training")
    parser.add_argument("--cores", type=int, default=2, help="that the time is reckoned for")
    parser.add_argument("--level", type=int, default=3, help="categories trained on, 0 to 3")
    parser.add_argument("--low", type=float, default=0.3, help="lower bound of the training quality")
    parser.add_argument("--search", type=int, default=0, help="parameters tried by the search; 0 = none")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""How fast PPO learns Connect Four with a preset, seed by seed: win rates against the ladder over wall time.

    OMP_NUM_THREADS=1 python benchmarks/connect_four_learning.py --seeds 1-5 --seconds 180

Time counts from the start of the process (each seed is its own), import of torch included, evaluations too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

STARTED = time.perf_counter()
PRESET = Path(__file__).resolve().parent.parent / "configs" / "connect_four.toml"
RUNGS = ("random", "1-ply", "minimax-2", "minimax-4")


def main() -> None:
    options = _options()
    if options.seed is not None:
        run(options)
        return
    from tui_trainer.cli.settings import parse_seeds

    print(f"{'seed':>4} {'time':>6} {'updates':>7} {'plies':>11} {'plies/s':>8} " + " ".join(f"{r:>9}" for r in RUNGS))
    for seed in parse_seeds(options.seeds):
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--seed", str(seed)], check=True)


def run(options: argparse.Namespace) -> None:
    """Train one seed and print a row at each mark."""
    import torch

    from tui_trainer import tasks
    from tui_trainer.algorithms import build
    from tui_trainer.core.config import Layer, assignments_layer, resolve

    torch.set_num_threads(1)
    layers = [Layer("preset", tomllib.loads(options.config.read_text()))]
    layers.append(assignments_layer(options.set))
    layers.append(Layer("--seed", {"run": {"seed": options.seed}}))
    config = resolve(layers).config
    task = tasks.make(config.run.task, config.task, config.ppo.num_envs)
    learner = build("ppo", task, config, "cpu")
    steps = updates = 0
    trained_s = 0.0
    for mark in _marks(options.seconds):
        while time.perf_counter() - STARTED < mark:
            begun = time.perf_counter()
            while not (report := learner.collect(1e9)).complete:
                pass
            learner.learn()
            steps, updates = steps + report.steps, updates + 1
            trained_s += time.perf_counter() - begun
        elapsed = time.perf_counter() - STARTED
        rates = [task.evaluate(learner.policy(), part=r, episodes=options.games, seed=7).win_rate for r in RUNGS]
        row = f"{options.seed:>4} {elapsed:>5.1f}s {updates:>7} {steps:>11} {steps / max(trained_s, 1e-9):>8.0f} "
        print(row + " ".join(f"{100 * (r or 0):>8.1f}%" for r in rates), flush=True)


def _marks(seconds: float) -> Iterator[float]:
    yield from (m for m in (5, 10, 20, 40, 60, 90, 120, 180, 300) if m < seconds)
    yield seconds


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=PRESET)
    parser.add_argument("--seeds", default="1-5", help="such as 1-5")
    parser.add_argument("--seed", type=int, help="train this one seed, in this process")
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--games", type=int, default=400, help="evaluation games against each rung")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()

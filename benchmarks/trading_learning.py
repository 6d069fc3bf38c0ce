"""How fast PPO learns to trade with the preset, seed by seed: held-out segments by quality, beside TSMOM.

    OMP_NUM_THREADS=1 python benchmarks/trading_learning.py --seeds 1-5 --seconds 15

Time is CPU time of training alone (collect and learn), so that a busy machine does not blur it. Each seed trades a
market of its own (`task.market_seed`), and every figure is of all held-out segments of a band. Columns: win rate,
Sharpe ratio, return of a segment in percent.
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
from tui_trainer.tasks import trading
from tui_trainer.tasks.market.results import Account, result
from tui_trainer.tasks.market.segments import LENGTH

PRESET = Path(__file__).resolve().parent.parent / "configs" / "trading.toml"
BANDS = {"0.7-1.0": (0.7, 1.0), "0.5-0.7": (0.5, 0.7), "0.3-0.5": (0.3, 0.5), "0.0-0.3": (0.0, 0.3)}


def main() -> None:
    """Print a row for each seed, moment and band set."""
    options = _options()
    torch.set_num_threads(1)
    print(f"{'seed':>4} {'':>16} {'steps/s':>8} " + " ".join(f"{band:^21}" for band in BANDS))
    for seed in parse_seeds(options.seeds):
        for row in train(options, seed):
            print(row, flush=True)


def train(options: argparse.Namespace, seed: int) -> Iterator[str]:
    """Train one seed; a line at each mark, then the baselines'."""
    layers = [Layer("preset", tomllib.loads(options.config.read_text())), assignments_layer(options.set)]
    layers.append(Layer("seed", {"run": {"seed": seed}, "task": {"market_seed": seed}}))
    config = resolve(layers).config
    task: Any = trading.make(config.task, config.ppo.num_envs, 0)
    if options.low is not None:
        task.set_difficulty(trading.Difficulty(low=options.low))
    learner = build("ppo", task, config, "cpu")
    steps, spent = 0, 0.0
    for mark in (options.seconds / 4, options.seconds / 2, options.seconds):
        while spent < mark:
            begun = time.process_time()
            while not (report := learner.collect(1e9)).complete:
                pass
            learner.learn()
            steps, spent = steps + report.steps, spent + time.process_time() - begun
        yield line(seed, f"PPO {spent:.1f} s", steps / spent, task, config.ppo.num_envs, learner.policy())
    yield line(seed, "TSMOM", 0, task, 0, trading.Momentum())
    yield oracle(seed, task)


def line(seed: int, name: str, speed: float, task: Any, envs: int, policy: Any) -> str:
    """The policy on all held-out segments of every band."""
    cells = []
    for low, high in BANDS.values():
        start = held_out(task, low, high)
        other = trading.TradingTask(task._market, task._options, len(start), 0)
        cells.append(cell(other.play(policy, start), task))
    return f"{seed:>4} {name:>16} {speed:>8.0f} " + " ".join(cells)


def oracle(seed: int, task: Any) -> str:
    """Who knows the regime of the bar ahead."""
    cells = []
    for low, high in BANDS.values():
        start = held_out(task, low, high)
        path = task._market.regime[start[:, None] + np.arange(LENGTH)]
        cells.append(cell(Account.of(task._market, start, path, np.full(len(start), LENGTH), task._cost), task))
    return f"{seed:>4} {'regime oracle':>16} {'':>8} " + " ".join(cells)


def held_out(task: Any, low: float, high: float) -> Any:
    """All held-out segments of a band."""
    found = task._market.held_out
    return found.start[slice(*found.between(low, high))]


def cell(account: Account, task: Any) -> str:
    """Win rate, Sharpe ratio, return."""
    part = result(account, task._market.scale, task._options.bars_per_year, "")
    return f"{part.win_rate:>6.3f} {part.extra['sharpe']:>6.2f} {part.extra['return_percent']:>6.1f}%"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=PRESET)
    parser.add_argument("--seeds", default="1-5", help="such as 1-5")
    parser.add_argument("--seconds", type=float, default=15, help="of training")
    parser.add_argument("--low", type=float, help="lower bound of the training quality; default 0.7")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()

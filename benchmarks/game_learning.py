"""How fast a preset learns a game, by processor time spent on training, or how fast its environment alone is.

    OMP_NUM_THREADS=1 python benchmarks/game_learning.py configs/shogi.toml --seconds 100 --set run.seed=2
    OMP_NUM_THREADS=1 python benchmarks/game_learning.py configs/shogi.toml --speed

Processor time leaves out what other programs take of a shared machine, and evaluations.
"""

from __future__ import annotations

import argparse
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    options = _options()
    from tui_trainer import tasks
    from tui_trainer.core.config import Layer, assignments_layer, resolve

    config = resolve(
        [Layer("preset", tomllib.loads(options.config.read_text())), assignments_layer(options.set)]
    ).config
    if options.speed:
        for count in (16, 64, 256):
            task = tasks.make(config.run.task, {**config.task, "opponent_share": 0.0}, count)
            print(f"{count:>4} games: {speed(task, options.seconds / 10):,.0f} plies/s of processor time")
        return
    learn(config, options)


def speed(task: Any, seconds: float) -> float:
    """Plies a second of random legal play; only `step` is timed."""
    rng, mask = np.random.default_rng(1), task.reset(1).mask
    spent, plies = 0.0, 0
    while spent < seconds:
        action = np.array([rng.choice(np.flatnonzero(row)) for row in mask])
        began = time.process_time()
        mask = task.step(action).mask
        spent += time.process_time() - began
        plies += len(action)
    return plies / spent


def learn(config: Any, options: argparse.Namespace) -> None:
    """Train, and print the win rate against each opponent at five marks."""
    import torch

    from tui_trainer import tasks
    from tui_trainer.algorithms import build
    from tui_trainer.core.values import Difficulty

    torch.set_num_threads(1)
    task = tasks.make(config.run.task, config.task, config.ppo.num_envs, config.manager.episodes.max_steps)
    if config.continuous.level:
        task.set_difficulty(Difficulty(level=config.continuous.level))
    learner = build("ppo", task, config, "cpu")
    spent, plies = 0.0, 0
    for mark in np.linspace(0, options.seconds, 5):
        while spent < mark:
            began = time.process_time()
            while not (report := learner.collect(1e9)).complete:
                pass
            learner.learn()
            spent, plies = spent + time.process_time() - began, plies + report.steps
        rates = []
        for part in task.spec.parts:
            result = task.evaluate(learner.policy(), part=part, episodes=options.games, seed=7)
            rates.append(f"{part} {result.win_rate:.2f} won {result.draw_rate:.2f} drawn")
        print(f"{spent:>6.0f} s {plies:>9,} plies {plies / max(spent, 0.01):>7,.0f}/s   {', '.join(rates)}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--games", type=int, default=20, help="evaluation games against each opponent")
    parser.add_argument("--speed", action="store_true", help="only the environment")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()

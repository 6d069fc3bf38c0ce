"""What the contests on CartPole-v1 share: one clock, slices of training, rounds that interleave them."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
Slice = Callable[[float], float]
"""Trains for about so many seconds; returns environment steps a second."""


def options_of(description: str | None, *, seconds: float = 3.0) -> argparse.ArgumentParser:
    """Rounds, the length of a slice and the clock."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="rounds")
    parser.add_argument("--slice", type=float, default=seconds, help="seconds of each slice")
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall")
    return parser


class Contest:
    """Contestants that are timed by one clock; one thread."""

    def __init__(self, clock: str) -> None:
        torch.set_num_threads(1)
        self.clock = CLOCKS[clock]

    def ours(self, algorithm: str, num_envs: int, table: Mapping[str, Any]) -> Slice:
        """This project's learner on its `gym:CartPole-v1`."""
        from tui_trainer import tasks
        from tui_trainer.algorithms import build
        from tui_trainer.core.config import Layer, resolve

        chosen = {"run": {"algorithm": algorithm}, algorithm: {"num_envs": num_envs, **table}}
        config = resolve([Layer("benchmark", chosen)]).config
        learner = build(algorithm, tasks.make("gym:CartPole-v1", {}, num_envs), config, "cpu")

        def run(seconds: float) -> float:
            steps, start = 0, self.clock()
            while self.clock() - start < seconds:
                steps += learner.collect(1e9).steps
                learner.learn()
            return steps / (self.clock() - start)

        return run

    def stable_baselines3(self, algorithm: str, num_envs: int, **settings: Any) -> Slice:
        """Stable-Baselines3's learner with its own vectorised environments."""
        import stable_baselines3
        from stable_baselines3.common.callbacks import BaseCallback
        from stable_baselines3.common.env_util import make_vec_env

        clock = self.clock

        class Deadline(BaseCallback):
            """Stops at the end of the slice."""

            at = 0.0

            def _on_step(self) -> bool:
                return clock() < self.at

        learner = getattr(stable_baselines3, algorithm)
        model = learner("MlpPolicy", make_vec_env("CartPole-v1", num_envs), device="cpu", **settings)
        deadline = Deadline()

        def run(seconds: float) -> float:
            start, before = clock(), model.num_timesteps
            deadline.at = start + seconds
            model.learn(10**6, callback=deadline, reset_num_timesteps=False)
            return float((model.num_timesteps - before) / (clock() - start))

        return run

    def rounds(self, contestants: Mapping[str, Slice], pairs: int, seconds: float) -> list[dict[str, float]]:
        """Each contestant's speed in each round; a busy machine slows all of a round alike."""
        for run in contestants.values():
            run(min(1.0, seconds))
        return [{name: run(seconds) for name, run in contestants.items()} for _ in range(pairs)]

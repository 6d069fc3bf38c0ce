"""DQN on CartPole-v1 against Stable-Baselines3: environment steps a second at an equal replay ratio.

    OMP_NUM_THREADS=1 python benchmarks/dqn_cartpole.py --pairs 5 --slice 3

One gradient step on 128 transitions for 10 environment steps, two hidden layers of 256, a buffer of 100,000, one
thread. Stable-Baselines3 steps 8 environments as we do, and 1, as its documentation has it. Each round runs a slice of
every contestant in turn; the last column is the median of the rounds' ratios. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

BATCH, STEPS_A_GRADIENT_STEP, BUFFER, HIDDEN, RATE = 128, 10, 100_000, 256, 2.3e-3
Slice = Callable[[float], float]
"""Trains for about so many seconds; returns environment steps a second."""
clock: Callable[[], float] = time.perf_counter


def ours(num_envs: int, **options: object) -> Slice:
    """This project's learner on its `gym:CartPole-v1`."""
    from tui_trainer import tasks
    from tui_trainer.algorithms import build
    from tui_trainer.core.config import Layer, resolve

    table = {
        "num_envs": num_envs,
        "train_freq": STEPS_A_GRADIENT_STEP * num_envs,
        "gradient_steps": num_envs,
        "batch_size": BATCH,
        "buffer_size": BUFFER,
        "learning_starts": 1000,
        "hidden": [HIDDEN, HIDDEN],
        "learning_rate": RATE,
        "exploration_steps": 8000,
        **options,
    }
    config = resolve([Layer("benchmark", {"run": {"algorithm": "dqn"}, "dqn": table})]).config
    learner = build("dqn", tasks.make("gym:CartPole-v1", {}, num_envs), config, "cpu")

    def run(seconds: float) -> float:
        steps, start = 0, clock()
        while clock() - start < seconds:
            steps += learner.collect(1e9).steps
            learner.learn()
        return steps / (clock() - start)

    return run


def stable_baselines3(num_envs: int) -> Slice:
    """Stable-Baselines3's DQN with its own vectorised environments."""
    from stable_baselines3 import DQN
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env

    class Deadline(BaseCallback):
        """Stops at the end of the slice."""

        at = 0.0

        def _on_step(self) -> bool:
            return clock() < self.at

    model = DQN(
        "MlpPolicy",
        make_vec_env("CartPole-v1", num_envs),
        train_freq=STEPS_A_GRADIENT_STEP,
        gradient_steps=num_envs,
        batch_size=BATCH,
        buffer_size=BUFFER,
        learning_starts=1000,
        learning_rate=RATE,
        target_update_interval=500,
        exploration_fraction=1.0,
        policy_kwargs={"net_arch": [HIDDEN, HIDDEN]},
        device="cpu",
    )
    deadline = Deadline()

    def run(seconds: float) -> float:
        start, before = clock(), model.num_timesteps
        deadline.at = start + seconds
        model.learn(10**6, callback=deadline, reset_num_timesteps=False)
        return (model.num_timesteps - before) / (clock() - start)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="rounds")
    parser.add_argument("--slice", type=float, default=3.0, help="seconds of each slice")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    options = parser.parse_args()
    if options.clock == "cpu":
        global clock
        clock = time.process_time
    torch.set_num_threads(1)
    contestants = {
        "tui-trainer, 8 environments": ours(8),
        "stable-baselines3, 8": stable_baselines3(8),
        "stable-baselines3, 1": stable_baselines3(1),
        "tui-trainer, every option": ours(8, dueling=True, n_steps=3, prioritized_replay=True),
    }
    for run in contestants.values():
        run(1.0)
    speeds = [{name: run(options.slice) for name, run in contestants.items()} for _ in range(options.pairs)]
    reference = next(iter(contestants))
    print(f"{'contestant':<30} {'steps/s':>9} {'ours is':>9} {'from':>7} {'to':>7}")
    for name in contestants:
        ratios = sorted(s[reference] / s[name] for s in speeds)
        speed = statistics.median(s[name] for s in speeds)
        print(f"{name:<30} {speed:>9.0f} {statistics.median(ratios):>8.2f}x {ratios[0]:>6.2f}x {ratios[-1]:>6.2f}x")


if __name__ == "__main__":
    main()

"""PPO's learning curves beside a loop in CleanRL's style: mean return at equal steps, over many seeds.

    OMP_NUM_THREADS=1 python benchmarks/curves.py --envs CartPole-v1 --seeds 0-9 --steps 100000

CleanRL's settings for both: 4 environments, 128 steps, 4 epochs of 4 minibatches, two tanh networks of 64-64, a
learning rate of 2.5e-4 that falls to 0 over the run. A figure is the mean return of the last 100 episodes of training,
an interval the mean over seeds with the 95 % interval of Student's t. `within` tells whether our mean lies in the
loop's interval. `--minutes` begins no further seed after so long. Needs the extra `gym`.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from _loop import MINIBATCHES, STEPS, Loop

from tui_trainer import tasks
from tui_trainer.algorithms import build
from tui_trainer.cli.settings import parse_seeds
from tui_trainer.core.config import Layer, resolve

ENVS, MARKS = 4, 10
_T = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""Student's t, 97.5 %, by degrees of freedom from 1 on."""


def ours(env_id: str, seed: int, steps: int) -> list[float]:
    """Our curve, a figure at each tenth of the steps."""
    ppo = {
        "num_envs": ENVS,
        "n_steps": STEPS,
        "batch_size": ENVS * STEPS // MINIBATCHES,
        "n_epochs": 4,
        "learning_rate": 2.5e-4,
        "learning_rate_final": 0.0,
        "clip_range_vf": 0.2,
        "vf_coef": 0.25,
        "ent_coef": 0.01,
    }
    table = {"run": {"seed": seed}, "ppo": ppo, "manager": {"termination": {"max_steps": steps}}}
    learner = build("ppo", tasks.make(f"gym:{env_id}", {}, ENVS), resolve([Layer("benchmark", table)]).config, "cpu")
    found, done, latest = [], 0, float("nan")
    while len(found) < MARKS:
        report = learner.collect(1e9)
        learner.learn()
        done, latest = done + report.steps, report.metrics.get("rollout/ep_rew_mean", latest)
        found += [latest] * (min(MARKS, done * MARKS // steps) - len(found))
    return found


def loops(env_id: str, seed: int, steps: int) -> list[float]:
    """The loop's."""
    loop, found = Loop(env_id, ENVS, seed, steps), []
    while len(found) < MARKS:
        loop.update()
        found += [loop.mean_return] * (min(MARKS, loop.steps * MARKS // steps) - len(found))
    return found


def interval(curves: list[list[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Means and half widths at each mark."""
    table = np.array(curves)
    t = _T[min(len(table) - 1, len(_T)) - 1] if len(table) > 1 else float("nan")
    spread = table.std(0, ddof=1) if len(table) > 1 else np.full(table.shape[1], np.nan)
    return table.mean(0), t * spread / len(table) ** 0.5


def show(env_id: str, steps: int, found: list[tuple[list[float], list[float]]]) -> None:
    """The table."""
    (mine, width), (theirs, bound) = (interval([pair[side] for pair in found]) for side in (0, 1))
    print(f"\n{env_id}, {len(found)} seeds\n{'steps':>8} {'tui-trainer':>20} {'loop':>20}   within")
    for mark in range(MARKS):
        inside = "yes" if abs(mine[mark] - theirs[mark]) <= bound[mark] else "no"
        cells = [f"{m[mark]:.1f} ± {w[mark]:.1f}" for m, w in ((mine, width), (theirs, bound))]
        print(f"{(mark + 1) * steps // MARKS:>8} {cells[0]:>20} {cells[1]:>20}   {inside}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", nargs="*", default=["CartPole-v1", "Acrobot-v1"])
    parser.add_argument("--seeds", default="0-9", help="such as 0-9")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=5.0, help="of CPU time, for each environment")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for env_id in options.envs:
        begun, found = time.process_time(), []
        for seed in parse_seeds(options.seeds):
            if time.process_time() - begun < 60 * options.minutes:
                found.append((ours(env_id, seed, options.steps), loops(env_id, seed, options.steps)))
        show(env_id, options.steps, found)


if __name__ == "__main__":
    main()

"""Time to learn CartPole-v1: a greedy mean of at least 475 over 100 episodes, beside Stable-Baselines3.

    OMP_NUM_THREADS=1 python benchmarks/learning_cartpole.py --seeds 10

PPO with the settings that rl-zoo tuned for CartPole (8 environments, 32 steps, batches of 256, 20 epochs, both learning
rate and clip range falling linearly to 0 over 100,000 steps), the same for both, one thread, start-up excluded. A run
ends at the first check that passes; checks come every 4,096 steps and their time does not count. Each seed goes to
both in turn, so that a busy machine slows both alike. `--configuration wide` trains ours at 64 environments, as in
ppo_cartpole.py. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")

import gymnasium as gym
import numpy as np
import torch

THRESHOLD, EPISODES, LIMIT, CHECK = 475.0, 100, 100_000, 4096
ZOO = {
    "num_envs": 8,
    "n_steps": 32,
    "batch_size": 256,
    "n_epochs": 20,
    "learning_rate": 1e-3,
    "learning_rate_final": 0.0,
    "clip_range": 0.2,
    "clip_range_final": 0.0,
    "gamma": 0.98,
    "gae_lambda": 0.8,
    "ent_coef": 0.0,
}
WIDE = {"num_envs": 64, "n_steps": 128, "batch_size": 2048, "n_epochs": 4, "learning_rate": 2.5e-4, "ent_coef": 0.01}
Act = Callable[[np.ndarray], np.ndarray]
clock: Callable[[], float] = time.perf_counter


class Result:
    """When a run passed, in training seconds and steps; `seconds` is None where it never did."""

    def __init__(self, slices: Iterator[tuple[float, int, Act]]) -> None:
        self.seconds: float | None = None
        self.steps, self.score, trained = 0, 0.0, 0.0
        for seconds, self.steps, act in slices:
            trained += seconds
            self.score = greedy(act)
            if self.score >= THRESHOLD:
                self.seconds = trained
                return


def greedy(act: Act) -> float:
    """The mean return of 100 greedy episodes."""
    envs = gym.make_vec("CartPole-v1", EPISODES, vectorization_mode="vector_entry_point")
    obs, _ = envs.reset(seed=10_000)
    returns, alive = np.zeros(EPISODES), np.ones(EPISODES, np.bool_)
    while alive.any():
        obs, reward, terminated, truncated, _ = envs.step(act(obs))
        returns += reward * alive
        alive &= ~(terminated | truncated)
    envs.close()
    return float(returns.mean())


def ours(seed: int, table: dict[str, object], limit: int) -> Iterator[tuple[float, int, Act]]:
    """Slices of this project's learner."""
    from tui_trainer import tasks
    from tui_trainer.algorithms import build
    from tui_trainer.core.config import Layer, resolve

    tables = {"run": {"seed": seed}, "ppo": table, "manager": {"termination": {"max_steps": limit}}}
    config = resolve([Layer("benchmark", tables)]).config
    learner = build("ppo", tasks.make("gym:CartPole-v1", {}, config.ppo.num_envs), config, "cpu")
    steps = 0
    while steps < limit:
        start, until = clock(), steps + CHECK
        while steps < min(until, limit):
            steps += learner.collect(1e9).steps
            learner.learn()
        seconds, policy = clock() - start, learner.policy()
        yield seconds, steps, lambda obs, policy=policy: policy.act(obs.astype(np.float32), None)


def stable_baselines3(seed: int) -> Iterator[tuple[float, int, Act]]:
    """Slices of Stable-Baselines3's PPO with rl-zoo's settings."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    model = PPO(
        "MlpPolicy",
        make_vec_env("CartPole-v1", 8, seed=seed),
        n_steps=32,
        batch_size=256,
        n_epochs=20,
        gamma=0.98,
        gae_lambda=0.8,
        ent_coef=0.0,
        learning_rate=lambda left: left * 1e-3,
        clip_range=lambda left: left * 0.2,
        seed=seed,
        device="cpu",
    )
    model._total_timesteps, whole = LIMIT, model._update_current_progress_remaining
    model._update_current_progress_remaining = lambda now, _: whole(now, LIMIT)
    while model.num_timesteps < LIMIT:
        start = clock()
        model.learn(CHECK, reset_num_timesteps=False)
        seconds = clock() - start
        yield seconds, model.num_timesteps, lambda obs: model.predict(obs, deterministic=True)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--configuration", choices=["zoo", "wide"], default="zoo")
    parser.add_argument("--alone", action="store_true", help="without Stable-Baselines3")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: on a machine that others use")
    options = parser.parse_args()
    if options.clock == "cpu":
        global clock
        clock = time.process_time
    torch.set_num_threads(1)
    table, limit = (ZOO, LIMIT) if options.configuration == "zoo" else (WIDE, 10 * LIMIT)
    warm_up(table, with_peer=not options.alone)
    results: dict[str, list[Result]] = {"tui-trainer": [], "stable-baselines3": []}
    print(f"{'seed':>4} {'contestant':<20} {'seconds':>8} {'steps':>8} {'greedy':>7}")
    for seed in range(1, options.seeds + 1):
        results["tui-trainer"].append(Result(ours(seed, table, limit)))
        tell(seed, "tui-trainer", results["tui-trainer"][-1])
        if not options.alone:
            results["stable-baselines3"].append(Result(stable_baselines3(seed)))
            tell(seed, "stable-baselines3", results["stable-baselines3"][-1])
    medians = {}
    for name, found in results.items():
        passed = [result.seconds for result in found if result.seconds is not None]
        if passed:
            medians[name] = statistics.median(passed)
            print(f"{name}: {len(passed)} of {len(found)} seeds, median {medians[name]:.2f} s")
    if len(medians) == 2:
        print(f"ours takes 1/{medians['stable-baselines3'] / medians['tui-trainer']:.1f} of the time")


def warm_up(table: dict[str, object], *, with_peer: bool) -> None:
    """Imports and first calls are start-up."""
    next(ours(99, table, CHECK))
    if with_peer:
        next(stable_baselines3(99))


def tell(seed: int, name: str, result: Result) -> None:
    """One line."""
    seconds = "-" if result.seconds is None else f"{result.seconds:.2f}"
    print(f"{seed:>4} {name:<20} {seconds:>8} {result.steps:>8} {result.score:>7.1f}", flush=True)


if __name__ == "__main__":
    main()

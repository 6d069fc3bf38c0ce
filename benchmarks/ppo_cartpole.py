"""PPO on CartPole-v1 against its peers: environment steps a second, in interleaved slices.

    OMP_NUM_THREADS=1 python benchmarks/ppo_cartpole.py --pairs 5 --slice 3

128 steps, 4 epochs x 4 minibatches, two 64-64 tanh networks, one thread, 8 and 64 environments. Each round runs a
slice of every contestant in turn, so that a busy machine slows all alike; the last column is the median of the
rounds' ratios. `--clock cpu` counts this process's CPU seconds instead of wall time: what a machine shared with other
work would give if it were idle. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import gymnasium as gym
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical

STEPS, EPOCHS, MINIBATCHES = 128, 4, 4
Slice = Callable[[float], float]
"""Trains for about so many seconds; returns environment steps a second."""
clock: Callable[[], float] = time.perf_counter


def ours(num_envs: int, gradients: str) -> Slice:
    """This project's learner on its `gym:CartPole-v1`."""
    from tui_trainer import tasks
    from tui_trainer.algorithms import build
    from tui_trainer.core.config import Layer, resolve

    table = {
        "num_envs": num_envs,
        "n_steps": STEPS,
        "batch_size": num_envs * STEPS // MINIBATCHES,
        "n_epochs": EPOCHS,
        "learning_rate": 2.5e-4,
        "gradients": gradients,
    }
    config = resolve([Layer("benchmark", {"ppo": table})]).config
    learner = build("ppo", tasks.make("gym:CartPole-v1", {}, num_envs), config, "cpu")

    def run(seconds: float) -> float:
        steps, start = 0, clock()
        while clock() - start < seconds:
            steps += learner.collect(1e9).steps
            learner.learn()
        return steps / (clock() - start)

    return run


def stable_baselines3(num_envs: int) -> Slice:
    """Stable-Baselines3's PPO with its own vectorised environments."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env

    class Deadline(BaseCallback):
        """Stops at the end of the slice."""

        at = 0.0

        def _on_step(self) -> bool:
            return clock() < self.at

    model = PPO(
        "MlpPolicy",
        make_vec_env("CartPole-v1", num_envs),
        n_steps=STEPS,
        batch_size=num_envs * STEPS // MINIBATCHES,
        n_epochs=EPOCHS,
        learning_rate=2.5e-4,
        ent_coef=0.01,
        device="cpu",
    )
    deadline = Deadline()

    def run(seconds: float) -> float:
        start, before = clock(), model.num_timesteps
        deadline.at = start + seconds
        model.learn(10**9, callback=deadline, reset_num_timesteps=False)
        return (model.num_timesteps - before) / (clock() - start)

    return run


class CleanAgent(nn.Module):
    """CleanRL's agent: two networks, a Categorical."""

    def __init__(self) -> None:
        super().__init__()
        self.critic = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
        self.actor = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))

    def act(self, x: torch.Tensor, action: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        """Action, log-probability, entropy and value."""
        chosen = Categorical(logits=self.actor(x))
        if action is None:
            action = chosen.sample()
        return action, chosen.log_prob(action), chosen.entropy(), self.critic(x)[:, 0]


class CleanLoop:
    """A loop as CleanRL's ppo.py writes it: torch storage, a Categorical each step, SyncVectorEnv."""

    def __init__(self, num_envs: int) -> None:
        self.n = num_envs
        self.envs = gym.vector.SyncVectorEnv([lambda: gym.make("CartPole-v1") for _ in range(num_envs)])
        self.agent = CleanAgent()
        self.adam = torch.optim.Adam(self.agent.parameters(), lr=2.5e-4, eps=1e-5)
        self.obs = torch.zeros(STEPS, num_envs, 4)
        self.actions, self.log_probs, self.rewards, self.dones, self.values = torch.zeros(5, STEPS, num_envs)
        self.next_obs = torch.as_tensor(self.envs.reset(seed=1)[0])
        self.next_done = torch.zeros(num_envs)

    def run(self, seconds: float) -> float:
        """A slice."""
        steps, start = 0, clock()
        while clock() - start < seconds:
            self.collect()
            self.learn()
            steps += STEPS * self.n
        return steps / (clock() - start)

    def collect(self) -> None:
        """A rollout."""
        for t in range(STEPS):
            self.obs[t], self.dones[t] = self.next_obs, self.next_done
            with torch.no_grad():
                self.actions[t], self.log_probs[t], _, self.values[t] = self.agent.act(self.next_obs)
            obs, reward, terminated, truncated, _ = self.envs.step(self.actions[t].long().numpy())
            self.rewards[t] = torch.as_tensor(reward)
            self.next_obs = torch.as_tensor(obs)
            self.next_done = torch.as_tensor(np.logical_or(terminated, truncated), dtype=torch.float32)

    def advantages(self) -> torch.Tensor:
        """Generalised advantage estimates."""
        found, last = torch.zeros_like(self.rewards), torch.zeros(self.n)
        with torch.no_grad():
            value, done = self.agent.critic(self.next_obs)[:, 0], self.next_done
        for t in reversed(range(STEPS)):
            delta = self.rewards[t] + 0.99 * value * (1 - done) - self.values[t]
            last = found[t] = delta + 0.99 * 0.95 * (1 - done) * last
            value, done = self.values[t], self.dones[t]
        return found

    def learn(self) -> None:
        """Four epochs of four minibatches."""
        advantage = self.advantages()
        returns = (advantage + self.values).flatten()
        advantage, obs, rows = advantage.flatten(), self.obs.flatten(0, 1), np.arange(STEPS * self.n)
        actions, log_probs = self.actions.flatten(), self.log_probs.flatten()
        for _ in range(EPOCHS):
            np.random.shuffle(rows)
            for part in np.split(rows, MINIBATCHES):
                _, log_prob, entropy, value = self.agent.act(obs[part], actions[part])
                ratio = (log_prob - log_probs[part]).exp()
                a = advantage[part]
                a = (a - a.mean()) / (a.std() + 1e-8)
                policy = torch.max(-a * ratio, -a * ratio.clamp(0.8, 1.2)).mean()
                loss = policy + 0.25 * ((value - returns[part]) ** 2).mean() - 0.01 * entropy.mean()
                self.adam.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.agent.parameters(), 0.5)
                self.adam.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="rounds")
    parser.add_argument("--slice", type=float, default=3.0, help="seconds of each slice")
    parser.add_argument("--envs", type=int, nargs="*", default=[8, 64])
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    options = parser.parse_args()
    if options.clock == "cpu":
        global clock
        clock = time.process_time
    torch.set_num_threads(1)
    print(f"{'environments':>12} {'contestant':<28} {'steps/s':>9} {'ours is':>9}")
    for num_envs in options.envs:
        compare(num_envs, options.pairs, options.slice)


def compare(num_envs: int, pairs: int, seconds: float) -> None:
    """Print a row for each contestant: median speed, and the median ratio of ours to it."""
    contestants = {
        "tui-trainer": ours(num_envs, "auto"),
        "stable-baselines3": stable_baselines3(num_envs),
        "CleanRL's loop": CleanLoop(num_envs).run,
        "tui-trainer, autograd": ours(num_envs, "autograd"),
    }
    for run in contestants.values():
        run(0.5)
    speeds = [{name: run(seconds) for name, run in contestants.items()} for _ in range(pairs)]
    for name in contestants:
        speed = statistics.median(s[name] for s in speeds)
        ratio = statistics.median(s["tui-trainer"] / s[name] for s in speeds)
        print(f"{num_envs:>12} {name:<28} {speed:>9.0f} {ratio:>8.2f}x", flush=True)


if __name__ == "__main__":
    main()

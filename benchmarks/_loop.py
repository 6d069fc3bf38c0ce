"""PPO as CleanRL writes it, in a loop of our own: torch storage, a Categorical each step, SyncVectorEnv, autograd.

Its habits, so that a comparison means something: orthogonal weights, a value loss clipped around the old value, a
learning rate that falls to 0 where a length is given, and ends without a bootstrap, truncated or not.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import nn
from torch.distributions import Categorical

STEPS, EPOCHS, MINIBATCHES = 128, 4, 4
LEARNING_RATE, GAMMA, LAMBDA, CLIP, ENTROPY, VALUE, NORM = 2.5e-4, 0.99, 0.95, 0.2, 0.01, 0.5, 0.5
WINDOW = 100


def _layer(before: int, after: int, gain: float) -> nn.Linear:
    layer = nn.Linear(before, after)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def _network(inputs: int, outputs: int, gain: float) -> nn.Sequential:
    first, second = _layer(inputs, 64, 2**0.5), _layer(64, 64, 2**0.5)
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), _layer(64, outputs, gain))


class Agent(nn.Module):
    """Two networks."""

    def __init__(self, inputs: int, actions: int) -> None:
        super().__init__()
        self.critic, self.actor = _network(inputs, 1, 1.0), _network(inputs, actions, 0.01)

    def act(self, x: torch.Tensor, action: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        """Action, log-probability, entropy and value."""
        chosen = Categorical(logits=self.actor(x))
        if action is None:
            action = chosen.sample()
        return action, chosen.log_prob(action), chosen.entropy(), self.critic(x)[:, 0]


class Loop:
    """An update is `collect` and `learn`; `length` is the number of steps that the learning rate falls over."""

    def __init__(self, env_id: str, num_envs: int, seed: int = 1, length: int = 0) -> None:
        torch.manual_seed(seed)
        self.n, self.length, self.steps = num_envs, length, 0
        self._shuffle = np.random.default_rng(seed)
        makers = [lambda: gym.make(env_id) for _ in range(num_envs)]
        self.envs = gym.vector.SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)
        inputs = int(np.prod(self.envs.single_observation_space.shape))
        self.agent = Agent(inputs, int(self.envs.single_action_space.n))
        self.adam = torch.optim.Adam(self.agent.parameters(), lr=LEARNING_RATE, eps=1e-5)
        self.obs = torch.zeros(STEPS, num_envs, inputs)
        self.actions, self.log_probs, self.rewards, self.dones, self.values = torch.zeros(5, STEPS, num_envs)
        self.next_obs = torch.as_tensor(self.envs.reset(seed=seed)[0], dtype=torch.float32)
        self.next_done = torch.zeros(num_envs)
        self._returns, self._last = np.zeros(num_envs), deque[float](maxlen=WINDOW)

    @property
    def mean_return(self) -> float:
        """Of the last 100 episodes; NaN before the first has ended."""
        return float(np.mean(self._last)) if self._last else float("nan")

    def run(self, seconds: float, clock: Callable[[], float] = time.perf_counter) -> float:
        """Train for about so many seconds; environment steps a second."""
        before, start = self.steps, clock()
        while clock() - start < seconds:
            self.update()
        return (self.steps - before) / (clock() - start)

    def update(self) -> None:
        """A rollout and what is learned of it."""
        if self.length:
            self.adam.param_groups[0]["lr"] = LEARNING_RATE * max(0.0, 1 - self.steps / self.length)
        self.collect()
        self.learn()
        self.steps += STEPS * self.n

    def collect(self) -> None:
        """A rollout."""
        for t in range(STEPS):
            self.obs[t], self.dones[t] = self.next_obs, self.next_done
            with torch.no_grad():
                self.actions[t], self.log_probs[t], _, self.values[t] = self.agent.act(self.next_obs)
            obs, reward, terminated, truncated, _ = self.envs.step(self.actions[t].long().numpy())
            done = np.logical_or(terminated, truncated)
            self.rewards[t] = torch.as_tensor(reward)
            self.next_obs = torch.as_tensor(obs, dtype=torch.float32)
            self.next_done = torch.as_tensor(done, dtype=torch.float32)
            self._returns += reward
            self._last.extend(self._returns[done].tolist())
            self._returns[done] = 0

    def advantages(self) -> torch.Tensor:
        """Generalised advantage estimates."""
        found, last = torch.zeros_like(self.rewards), torch.zeros(self.n)
        with torch.no_grad():
            value, done = self.agent.critic(self.next_obs)[:, 0], self.next_done
        for t in reversed(range(STEPS)):
            delta = self.rewards[t] + GAMMA * value * (1 - done) - self.values[t]
            last = found[t] = delta + GAMMA * LAMBDA * (1 - done) * last
            value, done = self.values[t], self.dones[t]
        return found

    def learn(self) -> None:
        """Four epochs of four minibatches."""
        advantage = self.advantages()
        returns, values = (advantage + self.values).flatten(), self.values.flatten()
        advantage, obs, rows = advantage.flatten(), self.obs.flatten(0, 1), np.arange(STEPS * self.n)
        actions, log_probs = self.actions.flatten(), self.log_probs.flatten()
        for _ in range(EPOCHS):
            self._shuffle.shuffle(rows)
            for part in np.split(rows, MINIBATCHES):
                _, log_prob, entropy, value = self.agent.act(obs[part], actions[part])
                ratio = (log_prob - log_probs[part]).exp()
                a = advantage[part]
                a = (a - a.mean()) / (a.std() + 1e-8)
                policy = torch.max(-a * ratio, -a * ratio.clamp(1 - CLIP, 1 + CLIP)).mean()
                near = values[part] + (value - values[part]).clamp(-CLIP, CLIP)
                error = torch.max((value - returns[part]) ** 2, (near - returns[part]) ** 2).mean()
                loss = policy + VALUE * 0.5 * error - ENTROPY * entropy.mean()
                self.adam.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.agent.parameters(), NORM)
                self.adam.step()

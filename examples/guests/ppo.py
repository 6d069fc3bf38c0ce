"""PPO on CartPole in one file, top to bottom, in CleanRL's manner. Five lines are about tui-trainer; they are marked.

python examples/guests/ppo.py --name cartpole          # then, in another terminal: tui-trainer attach cartpole
python examples/guests/ppo.py --name cartpole --resume # after a kill or a stop: from its newest checkpoint
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import nn

from tui_trainer.guests import guest  # tui-trainer


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="cartpole")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--total-timesteps", type=int, default=10**9)
    parser.add_argument("--learning-rate", type=float, default=2.5e-4)
    parser.add_argument("--num-envs", type=int, default=4)
    parser.add_argument("--num-steps", type=int, default=32)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--deaf", action="store_true", help="never ask should_stop")
    return parser.parse_args(argv)


class Agent(nn.Module):
    def __init__(self, obs: int, actions: int) -> None:
        super().__init__()
        self.critic = nn.Sequential(nn.Linear(obs, 64), nn.Tanh(), nn.Linear(64, 1))
        self.actor = nn.Sequential(nn.Linear(obs, 64), nn.Tanh(), nn.Linear(64, actions))

    def forward(self, obs: torch.Tensor) -> tuple[torch.distributions.Categorical, torch.Tensor]:
        return torch.distributions.Categorical(logits=self.actor(obs)), self.critic(obs).squeeze(-1)


def train(args: argparse.Namespace) -> int:
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    envs = gymnasium.make_vec("CartPole-v1", num_envs=args.num_envs)
    agent = Agent(4, 2)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate)
    at = {"step": 0}

    def state() -> dict[str, Any]:
        return {"agent": agent.state_dict(), "optimizer": optimizer.state_dict(), "step": at["step"]}

    def set_learning_rate(value: float) -> None:
        for group in optimizer.param_groups:
            group["lr"] = value

    total = args.total_timesteps
    wish = {"total_steps": total, "resume": args.resume, "task": "CartPole-v1", "algorithm": "ppo.py", "actions": 2}
    with guest(args.name, args, **wish) as run:  # tui-trainer
        run.checkpoint(state)  # tui-trainer
        run.on_set("learning_rate", set_learning_rate)  # tui-trainer
        if (kept := run.restored()) is not None:  # tui-trainer
            agent.load_state_dict(kept["agent"])
            optimizer.load_state_dict(kept["optimizer"])
            at["step"] = kept["step"]
        obs, _ = envs.reset(seed=args.seed)
        returns, lengths = np.zeros(args.num_envs), []
        while at["step"] < total:
            seen, acted, logs, rewards, values, dones = [], [], [], [], [], []
            for _ in range(args.num_steps):
                with torch.no_grad():
                    policy, value = agent(torch.as_tensor(obs, dtype=torch.float32))
                    action = policy.sample()
                seen.append(torch.as_tensor(obs, dtype=torch.float32))
                obs, reward, terminated, truncated, _ = envs.step(action.numpy())
                done = terminated | truncated
                returns += reward
                lengths += [float(r) for r in returns[done]]
                returns[done] = 0.0
                for kept_in, item in ((acted, action), (logs, policy.log_prob(action)), (values, value)):
                    kept_in.append(item)
                rewards.append(torch.as_tensor(reward, dtype=torch.float32))
                dones.append(torch.as_tensor(done, dtype=torch.float32))
            at["step"] += args.num_envs * args.num_steps
            with torch.no_grad():
                ahead = agent(torch.as_tensor(obs, dtype=torch.float32))[1]
            targets = []
            for reward_t, done_t in zip(reversed(rewards), reversed(dones), strict=True):
                ahead = reward_t + 0.99 * ahead * (1 - done_t)
                targets.insert(0, ahead)
            policy, value = agent(torch.stack(seen))
            target = torch.stack(targets)
            advantage = target - torch.stack(values)
            ratio = (policy.log_prob(torch.stack(acted)) - torch.stack(logs)).exp()
            gain = torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
            loss = -gain + 0.5 * (value - target).pow(2).mean() - 0.01 * policy.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            numbers = {"train/loss": loss, "train/entropy_loss": -policy.entropy().mean()}
            if lengths:
                numbers["rollout/ep_rew_mean"] = np.mean(lengths[-100:])
            run.log(at["step"], numbers, episodes=len(lengths))  # tui-trainer
            if not args.deaf and run.should_stop:  # tui-trainer
                break
    return run.exit_code


if __name__ == "__main__":
    sys.stdout.write(f"pid {os.getpid()}\n")
    sys.exit(train(parse(sys.argv[1:])))

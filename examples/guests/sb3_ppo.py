"""Stable-Baselines3's PPO on CartPole, under the app: the callback is the only addition.

python examples/guests/sb3_ppo.py                 # then, in another terminal: tui-trainer attach sb3
python examples/guests/sb3_ppo.py --resume        # goes on from the newest checkpoint
"""

from __future__ import annotations

import argparse
import sys

from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env

from tui_trainer.guests.sb3 import Steer, restore


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="sb3")
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--log", default="sb3-log")
    parser.add_argument("--resume", action="store_true")
    args = parser.parse_args(argv)
    env = make_vec_env("CartPole-v1", n_envs=8)
    model = restore(args.name, PPO, env) if args.resume else None
    if model is None:
        model = PPO("MlpPolicy", env, n_steps=64, seed=1, device="cpu")
    judge = EvalCallback(make_vec_env("CartPole-v1"), eval_freq=1000, n_eval_episodes=10, log_path=args.log, verbose=0)
    steps = max(1, args.steps - model.num_timesteps)
    steer = Steer(args.name, resume=args.resume)
    model.learn(steps, callback=[judge, steer], reset_num_timesteps=not args.resume)


if __name__ == "__main__":
    main(sys.argv[1:])

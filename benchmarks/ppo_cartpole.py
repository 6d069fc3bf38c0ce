"""PPO on CartPole-v1 against its peers: environment steps a second, in interleaved slices.

    OMP_NUM_THREADS=1 python benchmarks/ppo_cartpole.py --pairs 5 --slice 3

128 steps, 4 epochs x 4 minibatches, two 64-64 tanh networks, one thread, 8 and 64 environments. Each round runs a
slice of every contestant in turn, so that a busy machine slows all alike; the last column is the median of the
rounds' ratios. `--clock cpu` counts this process's CPU seconds instead of wall time: what a machine shared with other
work would give if it were idle. Needs the extra `bench`.
"""

from __future__ import annotations

import statistics
from functools import partial

from _contest import Contest, options_of
from _loop import EPOCHS, LEARNING_RATE, MINIBATCHES, STEPS, Loop


def main() -> None:
    parser = options_of(__doc__)
    parser.add_argument("--envs", type=int, nargs="*", default=[8, 64])
    options = parser.parse_args()
    contest = Contest(options.clock)
    print(f"{'environments':>12} {'contestant':<28} {'steps/s':>9} {'ours is':>9}")
    for num_envs in options.envs:
        compare(contest, num_envs, options.pairs, options.slice)


def compare(contest: Contest, num_envs: int, pairs: int, seconds: float) -> None:
    """Print a row for each contestant: median speed, and the median ratio of ours to it."""
    same = {
        "n_steps": STEPS,
        "batch_size": num_envs * STEPS // MINIBATCHES,
        "n_epochs": EPOCHS,
        "learning_rate": LEARNING_RATE,
    }
    contestants = {
        "tui-trainer": contest.ours("ppo", num_envs, same),
        "stable-baselines3": contest.stable_baselines3("PPO", num_envs, ent_coef=0.01, **same),
        "CleanRL's loop": partial(Loop("CartPole-v1", num_envs).run, clock=contest.clock),
        "tui-trainer, autograd": contest.ours("ppo", num_envs, {**same, "gradients": "autograd"}),
    }
    speeds = contest.rounds(contestants, pairs, seconds)
    for name in contestants:
        speed = statistics.median(s[name] for s in speeds)
        ratio = statistics.median(s["tui-trainer"] / s[name] for s in speeds)
        print(f"{num_envs:>12} {name:<28} {speed:>9.0f} {ratio:>8.2f}x", flush=True)


if __name__ == "__main__":
    main()

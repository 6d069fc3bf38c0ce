"""DQN on CartPole-v1 against Stable-Baselines3: environment steps a second at an equal replay ratio.

    OMP_NUM_THREADS=1 python benchmarks/dqn_cartpole.py --pairs 5 --slice 3

One gradient step on 128 transitions for 10 environment steps, two hidden layers of 256, a buffer of 100,000, one
thread. Stable-Baselines3 steps 8 environments as we do, and 1, as its documentation has it. Each round runs a slice of
every contestant in turn; the last column is the median of the rounds' ratios. Double estimates, our default, cost a
third pass where theirs makes two. Needs the extra `bench`.
"""

from __future__ import annotations

import statistics
from typing import Any

from _contest import Contest, Slice, options_of

STEPS_A_GRADIENT_STEP, HIDDEN = 10, 256
SAME = {"batch_size": 128, "buffer_size": 100_000, "learning_starts": 1000, "learning_rate": 2.3e-3}


def ours(contest: Contest, num_envs: int, **options: Any) -> Slice:
    """This project's."""
    ratio = {"train_freq": STEPS_A_GRADIENT_STEP * num_envs, "gradient_steps": num_envs}
    network = {"hidden": [HIDDEN, HIDDEN], "exploration_steps": 8000}
    return contest.ours("dqn", num_envs, {**SAME, **ratio, **network, **options})


def theirs(contest: Contest, num_envs: int) -> Slice:
    """Stable-Baselines3's: train_freq counts steps of all environments together as one."""
    return contest.stable_baselines3(
        "DQN",
        num_envs,
        train_freq=STEPS_A_GRADIENT_STEP,
        gradient_steps=num_envs,
        target_update_interval=500,
        exploration_fraction=1.0,
        policy_kwargs={"net_arch": [HIDDEN, HIDDEN]},
        **SAME,
    )


def main() -> None:
    options = options_of(__doc__).parse_args()
    contest = Contest(options.clock)
    contestants = {
        "tui-trainer, 8 environments": ours(contest, 8),
        "tui-trainer, not double": ours(contest, 8, double=False),
        "stable-baselines3, 8": theirs(contest, 8),
        "stable-baselines3, 1": theirs(contest, 1),
        "tui-trainer, every option": ours(contest, 8, dueling=True, n_steps=3, prioritized_replay=True),
    }
    speeds = contest.rounds(contestants, options.pairs, options.slice)
    reference = next(iter(contestants))
    print(f"{'contestant':<30} {'steps/s':>9} {'ours is':>9} {'from':>7} {'to':>7}")
    for name in contestants:
        ratios = sorted(s[reference] / s[name] for s in speeds)
        speed = statistics.median(s[name] for s in speeds)
        print(f"{name:<30} {speed:>9.0f} {statistics.median(ratios):>8.2f}x {ratios[0]:>6.2f}x {ratios[-1]:>6.2f}x")


if __name__ == "__main__":
    main()

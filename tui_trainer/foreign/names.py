"""Names of metrics and settings elsewhere, and what they are called here. The documentation prints both tables."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache

from tui_trainer.core.text import clean_line

METRICS: dict[str, str] = {
    "charts/episodic_return": "rollout/ep_rew_mean",
    "charts/episodic_length": "rollout/ep_len_mean",
    "charts/epsilon": "rollout/exploration_rate",
    "charts/SPS": "time/fps",
    "charts/learning_rate": "train/learning_rate",
    "losses/policy_loss": "train/policy_gradient_loss",
    "losses/value_loss": "train/value_loss",
    "losses/entropy": "train/entropy_loss",
    "losses/approx_kl": "train/approx_kl",
    "losses/clipfrac": "train/clip_fraction",
    "losses/explained_variance": "train/explained_variance",
    "losses/td_loss": "train/loss",
    "losses/q_values": "train/q_mean",
    "losses/*": "train/*",
    "eval/episodic_return": "eval/mean_reward",
    "eval/return": "eval/mean_reward",
    "episode_reward": "rollout/ep_rew_mean",
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    "lr": "train/learning_rate",
}
"""`*` stands for a family. Stable-Baselines3's names are ours; any other name becomes `task/NAME`."""

FAMILIES = ("rollout", "train", "time", "eval", "game", "task", "difficulty", "manager", "system")
"""What begins so keeps its name."""

COUNTERS = ("time/total_timesteps", "time/time_elapsed", "time/iterations", "time/episodes", "global_step", "update")
"""Where a row stands, not what it measured."""

SETTINGS: dict[str, str] = {
    "env_id": "run.task", "env": "run.task", "env_name": "run.task", "algo": "run.algorithm",
    "algorithm": "run.algorithm", "seed": "run.seed", "num_steps": "n_steps", "update_epochs": "n_epochs",
    "clip_coef": "clip_range", "max_kl": "target_kl",
}  # fmt: skip
"""CleanRL's and common names of settings; others keep theirs."""


@lru_cache(maxsize=4096)
def metric(name: str) -> str:
    """What a metric is called here, clean."""
    name = clean_line(name, 120)
    for pattern, ours in METRICS.items():
        if name == pattern:
            return ours
        if pattern.endswith("*") and fnmatchcase(name, pattern):
            return ours[:-1] + name[len(pattern) - 1 :]
    return name if name.partition("/")[0] in FAMILIES and "/" in name else f"task/{name}"

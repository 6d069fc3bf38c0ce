"""What each metric means. A name with `*` stands for a family, and comes behind those that it would hide."""

from __future__ import annotations

from fnmatch import fnmatchcase

MEANINGS: dict[str, str] = {
    "rollout/ep_rew_mean": "Mean episodic return over the newest finished episodes.",
    "rollout/ep_len_mean": "Mean length of the newest finished episodes, in environment steps.",
    "rollout/exploration_rate": "DQN: epsilon, the share of random actions.",
    "time/fps": "SPS: environment steps a second of wall time, pauses left out.",
    "train/loss": "The whole loss of the last update.",
    "train/learning_rate": "Adam's step size at the last update.",
    "train/grad_norm": "Norm of the gradient before it is clipped, mean over minibatches.",
    "train/policy_gradient_loss": "PPO: the clipped surrogate loss.",
    "train/value_loss": "PPO: squared error of the value, before vf_coef.",
    "train/entropy_loss": "PPO: minus the policy's entropy, in nats; 0 is a policy without doubt.",
    "train/approx_kl": "PPO: how far the update moved the policy, in nats (Schulman's estimator).",
    "train/clip_fraction": "PPO: share of ratios that were clipped.",
    "train/clip_range": "PPO: the clip range in force.",
    "train/explained_variance": "PPO: share of the returns' variance that the value explains; 1 is all of it.",
    "train/std": "PPO on boxes: mean standard deviation of the actions.",
    "train/q_mean": "DQN: mean value of the actions taken in the batch.",
    "game/*_rate": "Share of the newest games that ended so (black, white, draw).",
    "game/*_total": "Share of all games that ended so.",
    "eval/mean_reward": "Reference evaluation: mean episodic return over all parts.",
    "eval/*": "Reference evaluation: the task's score, such as eval/win_rate; eval/win_rate/random is one part's.",
    "eval_present/*": "The same at the present difficulty; shown, and never used to select.",
    "task/*": "What the task or a callback tells.",
    "system/cpu_percent": "Load of all cores together, 0 to 100.",
    "system/process_cpu_percent": "The engine and its children, 100 for each busy core.",
    "system/memory_used_gib": "Memory in use on the machine, or in the container.",
    "system/process_rss_gib": "Resident memory of the engine and its children.",
    "system/disk_free_gib": "Free where the session lies.",
    "system/disk_write_mib_s": "Written to all disks, a second.",
    "system/network_mib_s": "Sent and received, a second.",
    "system/gpu*_percent": "Load of that GPU, 0 to 100.",
    "system/gpu*_process_memory_gib": "Memory of that GPU that the engine and its children hold.",
    "system/gpu*_memory_gib": "Memory in use on that GPU.",
    "system/gpu*_power_w": "Its power.",
    "system/gpu*_temperature_c": "Its temperature.",
}


def meaning(name: str) -> str | None:
    """The sentence of a metric, by its name or its family; None for one that nobody has described."""
    exact = MEANINGS.get(name)
    if exact is not None:
        return exact
    return next((text for pattern, text in MEANINGS.items() if fnmatchcase(name, pattern)), None)

"""What one of several ranks trains with: its part of the environments and batches, and a seed of its own.

Settings say what the whole run does, however many ranks share it. Importing this loads neither torch nor numpy.
"""

from __future__ import annotations

import hashlib

import msgspec

from tui_trainer.core.config import Config
from tui_trainer.errors import ConfigError

_SHARED = {
    "ppo": ("num_envs", "batch_size"),
    "dqn": ("num_envs", "batch_size", "train_freq", "buffer_size"),
}
"""Settings that the ranks divide among them."""


def share_of(config: Config, rank: int, size: int) -> Config:
    """A rank's own settings. Raises ConfigError where they cannot be divided by the number of ranks."""
    algorithm = config.run.algorithm
    if size == 1:
        return config
    if algorithm not in _SHARED:
        raise ConfigError(f"{algorithm} cannot train on {size} ranks", "ppo and dqn can")
    settings = getattr(config, algorithm)
    parts: dict[str, object] = {
        name: _part(f"{algorithm}.{name}", getattr(settings, name), size) for name in _SHARED[algorithm]
    }
    if algorithm == "ppo":
        parts["rollout"] = "host"  # gradients meet there
    run = msgspec.structs.replace(config.run, seed=seed_of(config.run.seed, rank))
    return msgspec.structs.replace(config, run=run, **{algorithm: msgspec.structs.replace(settings, **parts)})


def seed_of(seed: int, rank: int) -> int:
    """Rank 0 has the run's seed; the others' have nothing in common with it or with those of other runs."""
    if rank == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed} rank {rank}".encode()).digest()[:4]) >> 1


def _part(key: str, whole: int, size: int) -> int:
    if whole % size:
        near = max(size, whole // size * size)
        raise ConfigError(f"{key} = {whole} cannot be divided among {size} ranks", f"{near} can: --set {key}={near}")
    return whole // size

"""Which number of environments and of threads is fastest on this machine, found by trying."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from tui_trainer.core.config import Config, Layer, Scalar, assignments_layer, resolve, to_table

FACTORS = (1.0, 0.25, 0.5, 2.0, 4.0)
"""Of the configured number of environments."""


class Trial(msgspec.Struct, frozen=True):
    """Settings that were tried, and the environment steps a second that they gave."""

    settings: dict[str, Scalar]
    sps: float


def calibrate(base: Config, cores: int, sps_of: Callable[[Config], float]) -> Iterator[Trial]:
    """The settings as they are first, then other numbers of environments, then threads for the fastest number."""
    tried: list[Trial] = []
    for factor in FACTORS:
        settings = environments(base, factor)
        if settings not in [trial.settings for trial in tried]:
            tried.append(Trial(settings, sps_of(with_settings(base, settings))))
            yield tried[-1]
    best = max(tried, key=lambda trial: trial.sps)
    for threads in thread_counts(cores):
        if threads != base.run.threads:
            settings = {**best.settings, "run.threads": threads}
            yield Trial(settings, sps_of(with_settings(base, settings)))


def environments(base: Config, factor: float) -> dict[str, Scalar]:
    """`factor` times as many environments: PPO at equal minibatches an update, DQN at an equal replay ratio.

    Nothing for an algorithm from elsewhere, whose settings have other names.
    """
    if base.run.algorithm == "dqn":
        return {"dqn.num_envs": max(1, min(base.dqn.train_freq, round(base.dqn.num_envs * factor)))}
    if base.run.algorithm != "ppo":
        return {}
    num_envs = max(1, round(base.ppo.num_envs * factor))
    rows = base.ppo.batch_size * num_envs // base.ppo.num_envs
    return {"ppo.num_envs": num_envs, "ppo.batch_size": max(1, rows)}


def thread_counts(cores: int) -> list[int]:
    """1, 2, 4 ... up to the cores there are."""
    powers = [2**power for power in range(cores.bit_length())]
    return sorted({*powers, cores})


def with_settings(base: Config, settings: dict[str, Scalar]) -> Config:
    """The configuration with these settings in place of its own."""
    words = [f"{key}={value}" for key, value in settings.items()]
    return resolve([Layer("config", to_table(base)), assignments_layer(words)]).config

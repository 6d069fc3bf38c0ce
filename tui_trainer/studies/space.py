"""The search space: pure functions from [study.space] to what a trial tries."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from tui_trainer.core.config import (
    Config,
    Dimension,
    Layer,
    Resolved,
    Scalar,
    assignments_layer,
    flatten,
    known_keys,
    resolve,
    to_table,
)
from tui_trainer.errors import ConfigError

SHARE = 1 / 3
"""Width of a narrowed range beside the old one."""

Space = Mapping[str, Dimension]


def is_whole(key: str, dimension: Dimension) -> bool:
    """Whether the setting takes whole numbers; a task's option does where both ends are whole."""
    if key in known_keys():
        kind = known_keys()[key].type
        return getattr(kind, "__origin__", kind) is int
    return isinstance(dimension.low, int) and isinstance(dimension.high, int)


def narrow(space: Space, best: Mapping[str, Scalar]) -> dict[str, Dimension]:
    """The space around an earlier best: a third of each range, on its own scale, within its bounds; choices stay."""
    return {key: _around(key, dimension, best.get(key)) for key, dimension in space.items()}


def _around(key: str, dimension: Dimension, centre: Scalar | None) -> Dimension:
    low, high = dimension.low, dimension.high
    if low is None or high is None or not isinstance(centre, (int, float)):
        return dimension
    there, back = (math.log, math.exp) if dimension.log else (float, float)
    half = SHARE * (there(high) - there(low)) / 2
    middle = min(max(there(centre), there(low) + half), there(high) - half)
    below, above = max(low, back(middle - half)), min(high, back(middle + half))
    if is_whole(key, dimension):
        below, above = _whole(below, above, dimension)
    return msgspec.structs.replace(dimension, low=below, high=above)


def _whole(below: float, above: float, dimension: Dimension) -> tuple[int, int]:
    """The whole numbers around a range, on the dimension's own grid."""
    assert dimension.low is not None
    assert dimension.high is not None
    step, start = int(dimension.step or 1), int(dimension.low)
    first = start + step * math.floor((below - start) / step)
    last = start + step * math.ceil((above - start) / step)
    return first, min(last, int(dimension.high))


def require_ends(space: Space) -> None:
    """Raises ConfigError where a setting does not take an end of its range, or one of its choices."""
    for key, dimension in space.items():
        for value in (dimension.low, dimension.high, *dimension.choices):
            if value is not None:
                _require_value(key, value)


def _require_value(key: str, value: Scalar) -> None:
    """On defaults with room, so that no other setting stands in the way of this one."""
    roomy = {"ppo": {"num_envs": 2**10, "n_steps": 2**10}, "dqn": {"buffer_size": 2**30}}
    resolve([Layer("room", roomy), _assignment(key, value, "study.space")])


def _assignment(key: str, value: Scalar, origin: str) -> Layer:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return assignments_layer([f"{key}={text}"], origin)


def trial_settings(base: Resolved, params: Mapping[str, Scalar], origin: str, note: str) -> Resolved:
    """The run of one trial: the base with these values, in optuna mode, without the study's own table.

    Raises ConfigError where the values do not go together, such as a batch larger than the rollout.
    """
    table = to_table(base.config)
    del table["study"]
    table["run"]["name"], table["run"]["note"] = "", note
    table["manager"]["mode"] = "optuna"
    layers = [Layer("base", table), *(_assignment(key, value, origin) for key, value in params.items())]
    found = resolve(layers)
    kept = {key: base.origins[key] for key in base.origins if not key.startswith("study.")}
    return Resolved(found.config, {**kept, "manager.mode": "tune", **dict.fromkeys(params, origin)})


def require_limit(config: Config) -> None:
    """Trials must end at the same place: a hard limit that does not depend on time."""
    limits = config.manager.termination
    if not (limits.max_updates or limits.max_steps or limits.max_episodes):
        raise ConfigError(
            "a trial would never end: no limit is set", "such as --set manager.termination.max_updates=200"
        )


def differences(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """Dotted keys whose values differ."""
    a, b = dict(flatten(old)), dict(flatten(new))
    return sorted(key for key in {*a, *b} if a.get(key) != b.get(key))

"""VTracer's parameters as numbers in [0, 1] and back, rounded to steps so that a result can be looked up again.

One half is VTracer's default, 0 and 1 are the ends of the range, and between them the way from the default grows with
the square: a policy that knows nothing begins at the defaults and tries small changes more often than large ones. Where
the default is the end of the range, the other half holds all of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tui_trainer.tasks.arrays import Array, Float


class Parameter(NamedTuple):
    """One of VTracer's parameters."""

    name: str
    low: float
    high: float
    step: float
    default: float
    """VTracer's own; for path_precision the one it documents, since left out nothing is rounded at all."""


PARAMETERS = (
    Parameter("filter_speckle", 1, 12, 1, 4),
    Parameter("color_precision", 1, 8, 1, 6),  # bits a channel; 0 panics, above 8 it wraps
    Parameter("layer_difference", 0, 64, 2, 16),
    Parameter("corner_threshold", 0, 180, 5, 60),
    Parameter("length_threshold", 3.5, 10, 0.5, 4),
    Parameter("max_iterations", 1, 20, 1, 10),  # 0 panics
    Parameter("splice_threshold", 0, 180, 5, 45),
    Parameter("path_precision", 0, 8, 1, 8),
)
COUNT = len(PARAMETERS)
LOW = np.array([p.low for p in PARAMETERS])
HIGH = np.array([p.high for p in PARAMETERS])
STEP = np.array([p.step for p in PARAMETERS])
MIDDLE = np.array([p.default for p in PARAMETERS])
_TINY = 1e-9

Values = tuple[float, ...]
DEFAULTS: Values = tuple(float(p.default) for p in PARAMETERS)


def values_of(action: Array) -> list[Values]:
    """(N, 8) in [0, 1], clipped -> a tuple of parameters for each row."""
    turn = 2 * np.clip(action, 0, 1) - 1
    turn = turn * np.abs(turn)
    wished = MIDDLE + np.where(turn < 0, turn * (MIDDLE - LOW), turn * (HIGH - MIDDLE))
    rounded = np.clip(LOW + np.round((wished - LOW) / STEP) * STEP, LOW, HIGH)
    return [tuple(row) for row in rounded.tolist()]


def units_of(values: list[Values]) -> Float:
    """Tuples of parameters -> (N, 8) in [0, 1]."""
    away = np.array(values) - MIDDLE
    reach = np.maximum(np.where(away < 0, MIDDLE - LOW, HIGH - MIDDLE), _TINY)
    found: Float = (0.5 + np.sign(away) * np.sqrt(np.abs(away) / reach) / 2).astype(np.float32)
    return found


def keywords(values: Values) -> dict[str, float | int]:
    """As VTracer takes them."""
    return {p.name: value if p.name == "length_threshold" else round(value) for p, value in zip(PARAMETERS, values)}

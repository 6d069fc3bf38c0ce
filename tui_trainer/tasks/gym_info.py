"""What Gymnasium environments tell in `info` beside each step: the numbers of it, one array a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tui_trainer.tasks.arrays import Array, Bool

MOST = 50
"""Names taken from one step: an environment may tell hundreds."""


def numbers(info: Mapping[str, Any], ended: Bool) -> dict[str, Array] | None:
    """{name: (N,) float64}, NaN in the rows that tell nothing; None where there is nothing at all.

    Where an environment was reset in the same step, its own last words lie in `final_info`, and what stands in `info`
    belongs to the next episode. Texts, arrays and nested tables are left out.
    """
    if not info:
        return None
    last = info.get("final_info")
    if not isinstance(last, Mapping):
        return _scalars(info, len(ended), np.ones_like(ended)) or None
    found = _scalars(info, len(ended), ~ended)
    for name, values in _scalars(last, len(ended), ended).items():
        found[name] = np.where(np.isnan(values), found[name], values) if name in found else values
    return dict(list(found.items())[:MOST]) or None


def _scalars(info: Mapping[str, Any], count: int, rows: Bool) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name, values in info.items():
        if len(found) == MOST:
            break
        if isinstance(values, np.ndarray) and values.shape == (count,) and _is_number(name, values):
            told = rows & np.asarray(info.get(f"_{name}", True), np.bool_)
            found[name] = np.where(told, values.astype(np.float64), np.nan)
    return found


def _is_number(name: str, values: Array) -> bool:
    return values.dtype.kind in "biuf" and not name.startswith("_")

"""What PettingZoo environments tell in `info` beside each step: a table an agent."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tui_trainer.tasks.arrays import Array

MOST = 50
"""Names taken from one step: an environment may tell hundreds."""


def numbers_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Array] | None:
    """{name: (N,) float64} of one table a row, NaN in the rows that tell nothing; None where there is nothing at all.

    Texts, arrays and nested tables are left out.
    """
    found: dict[str, Array] = {}
    for row, info in enumerate(rows):
        for name, value in info.items():
            if not _is_number(value) or (name not in found and len(found) == MOST):
                continue
            found.setdefault(name, np.full(len(rows), np.nan))[row] = float(value)
    return found or None


def _is_number(value: object) -> bool:
    return isinstance(value, (numbers.Real, np.bool_))

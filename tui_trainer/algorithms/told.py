"""Numbers that a task tells beside its steps, as metrics `task/<name>`: their means over a rollout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tui_trainer.algorithms.arrays import Bool
from tui_trainer.core.text import clean_line
from tui_trainer.core.values import Metrics

MOST_NAMES = 50
"""Each is a curve that is kept; what comes later is left out."""
PREFIX = "task/"


class Told:
    """Sums of a rollout under way. Between rollouts there is nothing to remember but which names are known."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, int]] = {}
        self._names: dict[str, str] = {}

    def add(self, info: Mapping[str, Any], valid: Bool) -> None:
        """One step's numbers, (N,) each; rows that are no transition, NaN and what is no number do not count."""
        for name, values in info.items():
            if not _is_numeric(values, valid) or not self._is_known(name):
                continue
            counted = valid & np.isfinite(values)
            total, count = self._sums.get(name, (0.0, 0))
            here = int(np.count_nonzero(counted))
            if here:
                self._sums[name] = total + float(values[counted].sum(dtype=np.float64)), count + here

    def take(self) -> Metrics:
        """Means since the last call, `task/<name>` each."""
        sums, self._sums = self._sums, {}
        return {self._names[name]: total / count for name, (total, count) in sums.items()}

    def state_dict(self) -> dict[str, object]:
        """Empty between rollouts."""
        return {name: list(pair) for name, pair in self._sums.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._sums = {
            name: (float(total), int(count)) for name, (total, count) in state.items() if self._is_known(name)
        }

    def _is_known(self, name: str) -> bool:
        if name not in self._names and len(self._names) < MOST_NAMES:
            self._names[name] = PREFIX + clean_line(str(name).removeprefix(PREFIX), 60)
        return name in self._names


def _is_numeric(values: object, valid: Bool) -> bool:
    return isinstance(values, np.ndarray) and values.shape == valid.shape and values.dtype.kind in "biuf"

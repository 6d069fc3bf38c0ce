"""Conditions over metrics, such as `eval/win_rate >= 0.95`."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping

import msgspec

from tui_trainer.errors import ConfigError

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_PATTERN = re.compile(r"\s*([A-Za-z0-9_./:\- ]+?)\s*(>=|<=|>|<)\s*([-+0-9.eE]+)\s*")


class Condition(msgspec.Struct, frozen=True):
    """`metric op value`."""

    metric: str
    op: str
    value: float

    def holds(self, metrics: Mapping[str, float | None]) -> bool:
        """False while the metric is unknown or not finite."""
        seen = metrics.get(self.metric)
        return seen is not None and math.isfinite(seen) and _OPERATORS[self.op](seen, self.value)

    def __str__(self) -> str:
        return f"{self.metric} {self.op} {self.value:g}"


def parse_condition(text: str) -> Condition:
    """Read a condition; raises ConfigError with an example when it is none."""
    match = _PATTERN.fullmatch(text)
    try:
        if match and math.isfinite(value := float(match[3])):
            return Condition(match[1], match[2], value)
    except ValueError:
        pass
    raise ConfigError(f"{text!r} is not a condition", 'write it like "eval/win_rate >= 0.95"')

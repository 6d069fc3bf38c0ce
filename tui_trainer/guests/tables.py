"""What a script says in its own shapes, in ours: settings as a table, scores as an evaluation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from tui_trainer.core.config import LARGEST_INTEGER
from tui_trainer.core.text import clean_line
from tui_trainer.core.values import PartResult

LONGEST = 200
"""Characters of a setting that is neither number nor text."""


def plain_table(config: object) -> dict[str, Any]:
    """A script's settings (mapping, dataclass, argparse's Namespace or None) as TOML can hold them.

    What is no number, truth value or text stands as its text; None is left out.
    """
    if config is None:
        return {}
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        config = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    table = config if isinstance(config, Mapping) else vars(config)
    return {_key(key): _plain(value) for key, value in table.items() if value is not None}


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as a nested table."""
    table: dict[str, Any] = {}
    for key, value in settings.items():
        *parents, last = key.split(".")
        place = table
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return table


def scores(mean: float | Sequence[float], std: float, episodes: int, win_rate: float | None) -> PartResult:
    """An evaluation from every episode's return, or from their mean, standard deviation and number."""
    if isinstance(mean, (int, float)) or not hasattr(mean, "__len__"):
        centre = float(mean)  # type: ignore[arg-type]  # a scalar of numpy or torch
        spread, count, low, high = float(std), max(1, int(episodes)), centre - float(std), centre + float(std)
    else:
        each = [float(value) for value in mean]
        count, low, high = len(each), min(each), max(each)
        centre = math.fsum(each) / count
        spread = math.sqrt(math.fsum((value - centre) ** 2 for value in each) / count)
    share = None if win_rate is None else float(win_rate)
    return PartResult(episodes=count, mean=centre, std=spread, min=low, max=high, win_rate=share)


def _key(key: object) -> str:
    return clean_line(str(key)).replace(".", "_") or "_"


def _plain(value: object) -> Any:
    match value:
        case bool() | str():
            return value if isinstance(value, bool) else clean_line(value, LONGEST)
        case int() if abs(value) <= LARGEST_INTEGER:
            return value
        case float() if math.isfinite(value):
            return value
        case Mapping():
            return {_key(key): _plain(item) for key, item in value.items() if item is not None}
        case list() | tuple():
            return [_plain(item) for item in value if item is not None]
        case _:
            return clean_line(str(value), LONGEST)

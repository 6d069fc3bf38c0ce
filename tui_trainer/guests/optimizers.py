"""The learning rate of any torch optimizer and its schedule, as something that can be set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def rate(optimizers: Sequence[Any]) -> float:
    """The learning rate of the first parameter group."""
    return float(optimizers[0].param_groups[0]["lr"])


def set_rate(optimizers: Iterable[Any], schedules: Iterable[Any], value: float) -> None:
    """Give every group the rate; a schedule that multiplies a base rate goes on from this one."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = value
            if "initial_lr" in group:
                group["initial_lr"] = value
    for schedule in schedules:
        if hasattr(schedule, "base_lrs"):
            schedule.base_lrs = [value] * len(schedule.base_lrs)

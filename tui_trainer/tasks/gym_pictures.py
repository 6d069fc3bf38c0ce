"""Gymnasium observations as text: pictures where one is known, otherwise numbers with bars."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tui_trainer.tasks.arrays import Array

_WIDTH = 41
_BAR = 21
_MOST_NUMBERS = 8


def picture(name: str, obs: Array) -> str:
    """A few lines for one environment's observation."""
    family = name.rpartition(":")[2].rpartition("-")[0]
    return PICTURES.get(family, bars)(obs)


def bars(obs: Array) -> str:
    """The first numbers, each with its place on a scale from -1 to 1, squeezed by tanh."""
    return "\n".join(_bar(float(value)) for value in obs.ravel()[:_MOST_NUMBERS])


def _bar(value: float) -> str:
    place = round((np.tanh(value) + 1) / 2 * (_BAR - 1)) if np.isfinite(value) else 0
    return f"{value:+9.3f} {'-' * place}o{'-' * (_BAR - 1 - place)}"


def cart_pole(obs: Array) -> str:
    """Track from -2.4 to 2.4, the pole's lean drawn five times as large."""
    x, _, angle, _ = (float(value) for value in obs)
    cart = _column(x, -2.4, 2.4)
    stroke = "|" if abs(angle) < 0.02 else "/" if angle > 0 else "\\"
    poles = [_at(cart + round(5 * height * np.sin(angle)), stroke) for height in (4, 3, 2, 1)]
    return "\n".join([*poles, _at(cart, "#"), "=" * _WIDTH])


def mountain_car(obs: Array) -> str:
    """The valley from -1.2 to 0.6, the flag at 0.5."""
    rows = [[" "] * _WIDTH for _ in range(6)]
    for column, position in enumerate(np.linspace(-1.2, 0.6, _WIDTH)):
        rows[_height(position)][column] = "."
    rows[_height(0.5)][_column(0.5, -1.2, 0.6)] = "F"
    rows[_height(float(obs[0]))][_column(float(obs[0]), -1.2, 0.6)] = "o"
    return "\n".join("".join(row).rstrip() for row in rows)


def _height(position: float) -> int:
    """Row of the track, 0 at the top."""
    return round(2.5 - 2.5 * float(np.sin(3 * position)))


def _column(value: float, low: float, high: float) -> int:
    return round((min(max(value, low), high) - low) / (high - low) * (_WIDTH - 1))


def _at(column: int, glyph: str) -> str:
    return " " * min(max(column, 0), _WIDTH - 1) + glyph


PICTURES: dict[str, Callable[[Array], str]] = {
    "CartPole": cart_pole,
    "MountainCar": mountain_car,
    "MountainCarContinuous": mountain_car,
}

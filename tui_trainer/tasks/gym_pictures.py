"""Gymnasium observations as text: pictures where one is known, images in shades, otherwise numbers with bars."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tui_trainer.tasks.arrays import Array
from tui_trainer.tasks.pictures import bars, image, is_image

_WIDTH = 41
_HEIGHT = 12
_LEG = 3
"""Lines that a link of Acrobot is long."""


def picture(name: str, obs: Array) -> str:
    """A few lines for one environment's observation."""
    if is_image(obs):
        return image(obs)
    family = name.rpartition(":")[2].rpartition("-")[0]
    return PICTURES.get(family, bars)(obs)


def cart_pole(obs: Array) -> str:
    """Track from -2.4 to 2.4, the pole's lean drawn five times as large."""
    x, _, angle, _ = (float(value) for value in obs)
    cart = _column(x, -2.4, 2.4)
    stroke = "|" if abs(angle) < 0.02 else "/" if angle > 0 else "\\"
    poles = [_at(cart + round(5 * height * np.sin(angle)), stroke) for height in (4, 3, 2, 1)]
    return "\n".join([*poles, _at(cart, "#"), "=" * _WIDTH])


def mountain_car(obs: Array) -> str:
    """The valley from -1.2 to 0.6, the flag at 0.5."""
    rows = _canvas(6)
    for column, position in enumerate(np.linspace(-1.2, 0.6, _WIDTH)):
        rows[_height(position)][column] = "."
    rows[_height(0.5)][_column(0.5, -1.2, 0.6)] = "F"
    rows[_height(float(obs[0]))][_column(float(obs[0]), -1.2, 0.6)] = "o"
    return _text(rows)


def _height(position: float) -> int:
    """Row of the track, 0 at the top."""
    return round(2.5 - 2.5 * float(np.sin(3 * position)))


def acrobot(obs: Array) -> str:
    """Two links that hang from the middle; the tip has to rise above the line."""
    cos1, sin1, cos2, sin2 = (float(value) for value in obs[:4])
    elbow = np.array([sin1, cos1])
    tip = elbow + np.array([sin1 * cos2 + cos1 * sin2, cos1 * cos2 - sin1 * sin2])
    canvas = _canvas(4 * _LEG + 1)
    canvas[_LEG] = ["-"] * _WIDTH
    for start, end, glyph in ((np.zeros(2), elbow, "o"), (elbow, tip, "*")):
        for share in np.linspace(0, 1, 2 * _LEG):
            x, down = start + share * (end - start)
            canvas[round(2 * _LEG + _LEG * down)][round(_WIDTH // 2 + 2 * _LEG * x)] = glyph
    canvas[2 * _LEG][_WIDTH // 2] = "+"
    return _text(canvas)


def lunar_lander(obs: Array) -> str:
    """The lander over its pad between the flags: where it is, how it leans and which legs stand."""
    x, y, _, _, angle, _, left, right = (float(value) for value in obs)
    canvas = _canvas(_HEIGHT)
    canvas[-1] = ["."] * _WIDTH
    for flag in (-0.2, 0.2):
        canvas[-1][_column(flag, -1.0, 1.0)] = "F"
    row = _HEIGHT - 2 - round(min(max(y, 0.0), 1.5) / 1.5 * (_HEIGHT - 2))
    column = min(max(_column(x, -1.0, 1.0), 1), _WIDTH - 2)
    body = "A" if abs(angle) < 0.2 else "<" if angle > 0 else ">"
    canvas[row][column - 1 : column + 2] = ["|" if left else "/", body, "|" if right else "\\"]
    return _text(canvas)


def _canvas(rows: int) -> list[list[str]]:
    return [[" "] * _WIDTH for _ in range(rows)]


def _text(canvas: list[list[str]]) -> str:
    return "\n".join("".join(row).rstrip() for row in canvas)


def _column(value: float, low: float, high: float) -> int:
    return round((min(max(value, low), high) - low) / (high - low) * (_WIDTH - 1))


def _at(column: int, glyph: str) -> str:
    return " " * min(max(column, 0), _WIDTH - 1) + glyph


PICTURES: dict[str, Callable[[Array], str]] = {
    "Acrobot": acrobot,
    "CartPole": cart_pole,
    "LunarLander": lunar_lander,
    "LunarLanderContinuous": lunar_lander,
    "MountainCar": mountain_car,
    "MountainCarContinuous": mountain_car,
}

"""Observations as text: images in shades, numbers with bars."""

from __future__ import annotations

import numpy as np

from tui_trainer.tasks.arrays import Array, Float

_BAR = 21
_MOST_NUMBERS = 8
_SHADES = np.array(list(" .:-=+*#%@"))
_WIDTH, _HEIGHT = 42, 18
"""Of a shaded picture at most; a character is about twice as high as wide."""
_SMALLEST = 16
"""Rows and columns of what is an image rather than a board."""
_STACKED = 4
"""Planes of an image that are frames, the newest last; one is grey, three are colours."""


def is_image(obs: Array) -> bool:
    """Whether an observation (planes, rows, columns) can be drawn in shades."""
    return obs.ndim == 3 and len(obs) in (1, 3, _STACKED) and min(obs.shape[1:]) >= _SMALLEST


def image(obs: Array) -> str:
    """An image (planes, rows, columns) in shades: how far each cell's oddest point is from the commonest grey.

    Colours count by their mean, of frames the newest is drawn: so that a ball of two points is seen.
    """
    grey = (obs[-1] if len(obs) == _STACKED else obs.mean(axis=0)).astype(np.float32)
    rows, columns = grey.shape
    scale = max(columns / _WIDTH, rows / _HEIGHT / 2, 1.0)
    odd = np.nan_to_num(np.abs(grey - np.nanmedian(grey)), posinf=0.0)
    cells = _most(odd, round(rows / scale / 2), round(columns / scale))
    shade = (cells / max(float(cells.max()), 1e-9) * (len(_SHADES) - 1)).round().astype(int)
    return "\n".join("".join(_SHADES[row]).rstrip() for row in shade)


def _most(points: Float, rows: int, columns: int) -> Float:
    """The largest of each cell of a grid over the picture, (rows, columns)."""
    tops = np.linspace(0, points.shape[0], rows + 1).astype(int)[:-1]
    lefts = np.linspace(0, points.shape[1], columns + 1).astype(int)[:-1]
    found: Float = np.maximum.reduceat(np.maximum.reduceat(points, tops, axis=0), lefts, axis=1)
    return found


def bars(obs: Array) -> str:
    """The first numbers, each with its place on a scale from -1 to 1, squeezed by tanh."""
    return "\n".join(_bar(float(value)) for value in obs.ravel()[:_MOST_NUMBERS])


def _bar(value: float) -> str:
    place = round((np.tanh(value) + 1) / 2 * (_BAR - 1)) if np.isfinite(value) else 0
    return f"{value:+9.3f} {'-' * place}o{'-' * (_BAR - 1 - place)}"

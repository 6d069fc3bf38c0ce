"""How like two pictures are."""

from __future__ import annotations

import functools
import math

import numpy as np

from tui_trainer.tasks.arrays import Array

_WINDOW = 7
_C1, _C2 = 0.01**2, 0.03**2
_LEAST_MSE = 1e-10


def ssim(one: Array, other: Array) -> float:
    """Structural similarity of two (H, W, C) uint8 pictures, mean over 7 x 7 windows and channels; 1 = the same.

    (2 mu_x mu_y + c1)(2 s_xy + c2) / ((mu_x^2 + mu_y^2 + c1)(s_x^2 + s_y^2 + c2)), c1 = .01^2, c2 = .03^2 on a scale of
    1, covariances with n - 1. Wang et al. 2004. A side shorter than 7 pixels makes the window that short.
    """
    x, y = (np.moveaxis(picture, 2, 0) / 255.0 for picture in (one, other))
    window = min(_WINDOW, *x.shape[1:])
    rows, columns = (_averages(length, window) for length in x.shape[1:])
    mx, my, xx, yy, xy = rows @ np.stack([x, y, x * x, y * y, x * y]) @ columns.T
    unbiased = window**2 / max(1, window**2 - 1)
    vx, vy, vxy = unbiased * (xx - mx * mx), unbiased * (yy - my * my), unbiased * (xy - mx * my)
    top = (2 * mx * my + _C1) * (2 * vxy + _C2)
    return float((top / ((mx * mx + my * my + _C1) * (vx + vy + _C2))).mean())


@functools.lru_cache(maxsize=64)
def _averages(length: int, window: int) -> Array:
    """The matrix that turns `length` values into the means of every whole window."""
    first = np.arange(length - window + 1)[:, None]
    place = np.arange(length)
    return ((place >= first) & (place < first + window)) / window


def mse(one: Array, other: Array) -> float:
    """Mean squared difference on a scale of 1."""
    return float(np.square(one / 255.0 - other / 255.0).mean())


def psnr(error: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error on a scale of 1; 100 where there is none."""
    return -10 * math.log10(max(error, _LEAST_MSE))

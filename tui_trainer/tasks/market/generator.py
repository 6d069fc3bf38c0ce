"""Markets with known regimes: the drift of a bar is its regime's sign times a signal-to-noise ratio times volatility.

Each instrument lives through eras, which have a signal-to-noise ratio, a volatility and a liquidity of their own;
within an era the sign changes at random times. Innovations are Student t with 5 degrees of freedom.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tui_trainer.data.bars import Bars, Double
from tui_trainer.tasks.arrays import Array, Small, generator_of

HIGHEST_SNR = 0.45
ERA_BARS = 1024
SHORTEST_REGIME, MORE_BARS = 16, 48
"""A regime lasts SHORTEST_REGIME bars and an exponential time of mean MORE_BARS on top."""
_FREEDOM = 5
_DAY_S = 86_400


class Truth(NamedTuple):
    """What the generator knows of its bars, (T,) each."""

    regime: Small
    """Sign of the drift: -1, +1."""
    snr: Double
    """|drift| of a bar over its standard deviation."""


def generate(seed: int, instruments: int, length: int, first: int = 0) -> list[tuple[Bars, Truth]]:
    """`instruments` independent series of `length` bars from number `first` on; each is the same for the same seed."""
    return [_instrument(generator_of(seed, number), length) for number in range(first, first + instruments)]


def _instrument(rng: np.random.Generator, length: int) -> tuple[Bars, Truth]:
    eras = -(-length // ERA_BARS)
    volatility = rng.uniform(0.006, 0.015) * np.exp(rng.normal(0, 0.25, eras))
    snr = _by_era(rng.uniform(0, HIGHEST_SNR, eras), length)
    sigma, liquidity = _by_era(volatility, length), _by_era(np.exp(rng.normal(0, 0.05, eras)), length)
    regime = _regimes(rng, length)
    noise = rng.standard_t(_FREEDOM, length) / np.sqrt(_FREEDOM / (_FREEDOM - 2))
    close = np.log(100.0) + np.cumsum(regime * snr * sigma + sigma * noise - sigma**2 / 2)
    bars = _bars(rng, close, sigma, np.abs(noise), liquidity)
    return bars, Truth(regime.astype(np.int8), snr)


def _by_era(values: Double, length: int) -> Double:
    return np.repeat(values, ERA_BARS)[:length]


def _regimes(rng: np.random.Generator, length: int) -> Array:
    count = length // SHORTEST_REGIME + 1
    lasting = SHORTEST_REGIME + rng.exponential(MORE_BARS, count).astype(np.int64)
    signs = rng.choice([-1, 1]) * np.where(np.arange(count) % 2, -1, 1)
    return np.repeat(signs, lasting)[:length]


def _bars(rng: np.random.Generator, log_close: Double, sigma: Double, shock: Double, liquidity: Double) -> Bars:
    """Bars around the closes: an open near the close before, high and low around both, volume that follows shocks."""
    length = len(log_close)
    log_open = np.concatenate([log_close[:1], log_close[:-1]]) + 0.1 * sigma * rng.normal(size=length)
    reach = 0.4 * sigma * np.abs(rng.normal(size=(2, length)))
    high, low = np.maximum(log_open, log_close) + reach[0], np.minimum(log_open, log_close) - reach[1]
    close = np.exp(log_close)
    volume = 1e6 * liquidity * np.exp(0.3 * rng.normal(size=length) + 0.2 * shock) / close
    return Bars(np.arange(length) * _DAY_S, np.exp(log_open), np.exp(high), np.exp(low), close, volume)

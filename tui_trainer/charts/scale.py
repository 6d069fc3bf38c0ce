"""Axes: round numbers that stay where they are while a run grows."""

from __future__ import annotations

import math

_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


def nice_step(span: float, parts: int) -> float:
    """The smallest round step (1, 2, 2.5, 5 x 10^k) that divides `span` into at most `parts` parts."""
    if not (span > 0 and math.isfinite(span)):
        return 1.0
    raw = span / max(1, parts)
    power = 10.0 ** math.floor(math.log10(raw))
    return next((n * power for n in _NICE if n * power >= raw * (1 - 1e-9)), 10 * power)


def nice_range(low: float, high: float, parts: int) -> tuple[float, float]:
    """The smallest range of whole steps around [low, high]; a flat line gets room on both sides."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        pad = abs(low) * 0.5 or 0.5
        low, high = low - pad, high + pad
    step = nice_step(high - low, parts)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def ticks(low: float, high: float, parts: int) -> list[float]:
    """Round numbers within [low, high], at most `parts` + 1."""
    if not (high > low and math.isfinite(low) and math.isfinite(high)):
        return [low]
    step = nice_step(high - low, parts)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def roomy_end(x: float, parts: int = 12) -> float:
    """A right edge at or past `x` that moves only now and then, so that a growing chart is not redrawn each time.

    Edges lie a power of two divided by `parts` apart: at most 1/`parts` of the width stays empty twice over.
    """
    if not (x > 0 and math.isfinite(x)):
        return 1.0
    unit = 2.0 ** math.floor(math.log2(x)) / parts
    return math.ceil(x / unit - 1e-9) * unit

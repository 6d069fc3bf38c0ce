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
    if not (x > 1e-300 and math.isfinite(x)):
        return 1.0
    unit = 2.0 ** math.floor(math.log2(x)) / parts
    return math.ceil(x / unit - 1e-9) * unit


def stepped_end(x: float, span: float, parts: int = 12) -> float:
    """A right edge at or past `x` for a window of `span` that follows the newest point, moving in `parts` jumps."""
    if not (span > 0 and math.isfinite(span) and math.isfinite(x)):
        return x
    unit = span / parts
    return math.ceil(x / unit - 1e-9) * unit


_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


def time_ticks(low: float, high: float, parts: int) -> list[float]:
    """Whole seconds, minutes, hours or days within [low, high], at most `parts` + 1."""
    if not (high > low and math.isfinite(low) and math.isfinite(high)):
        return [low]
    span = high - low
    days = 86400.0 * nice_step(span / 86400, parts)
    step = next((float(each) for each in _MINUTES if span / each <= parts), max(86400.0, days))
    return [index * step for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


_ROUND = (1.0, 2.0, 5.0)


def log_range(low: float, high: float) -> tuple[float, float]:
    """The smallest range with ends at 1, 2 or 5 x 10^k around positive [low, high]; never a single point."""
    if not (0 < low <= high and math.isfinite(high)):
        return 1.0, 10.0
    bottom, top = _round_down(low), _round_up(high)
    return (bottom, top) if top > bottom else (_round_down(bottom * 0.9), _round_up(top * 1.1))


def _round_down(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return max((n * power for n in _ROUND if n * power <= value * (1 + 1e-12)), default=power / 2)


def _round_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next((n * power for n in _ROUND if n * power >= value * (1 - 1e-12)), 10 * power)


def log_ticks(low: float, high: float, parts: int) -> list[float]:
    """Powers of ten within [low, high], at most `parts` + 1; with fewer than two of them finer ones."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    inside = [10.0**k for k in range(first, last + 1) if low * (1 - 1e-9) <= 10.0**k <= high * (1 + 1e-9)]
    if len(inside) >= 2:
        every = math.ceil(len(inside) / (parts + 1))
        return inside[::every]
    finer = [n * 10.0**k for k in range(first, last + 1) for n in _ROUND]
    found = [value for value in finer if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    if len(found) <= 3 and parts >= 4:
        return ticks(low, high, parts)
    return found if len(found) <= parts + 1 else [found[0], found[-1]]

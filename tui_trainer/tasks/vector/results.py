"""What tracings are worth, what an evaluation came to, and how an attempt looks as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from tui_trainer.core.values import PartResult
from tui_trainer.tasks.arrays import Array
from tui_trainer.tasks.statistics import tally
from tui_trainer.tasks.vector.library import Picture
from tui_trainer.tasks.vector.parameters import PARAMETERS, Values
from tui_trainer.tasks.vector.tracing import THUMB, Traced

FAILED = -1.0
"""Score of a tracing that VTracer did not finish."""
_EPSILON = 1e-9
_SHADES = " ░▒▓█"


NOTHING = Traced(FAILED, 1.0, 0.0, 1024.0, bytes(THUMB[0] * THUMB[1]))
"""Stands for the defaults' tracing of a picture at which they fail."""


class Worth(NamedTuple):
    """How a tracing is scored.

    SSIM - byte_weight x log2(bytes / 1024); past `budget` times the bytes of VTracer's defaults, where there is a
    budget, `over_budget_weight` x log2 of the excess is taken off as well.
    """

    byte_weight: float
    budget: float
    """Times the bytes of the defaults; 0 = none."""
    over_budget_weight: float

    def score(self, traced: Traced | None, default: Traced) -> float:
        """Higher is better; FAILED where there is no tracing."""
        if traced is None:
            return FAILED
        found = traced.ssim - self.byte_weight * math.log2(max(1.0, traced.size) / 1024)
        return found - self.over_budget_weight * max(0.0, self.excess(traced, default))

    def excess(self, traced: Traced, default: Traced) -> float:
        """log2 of the bytes over the budget; at most 0 within it."""
        return math.log2(max(1.0, traced.size) / (self.budget * default.size)) if self.budget else 0.0

    def is_better(self, traced: Traced | None, default: Traced) -> bool:
        """Whether it beats the defaults, within the budget."""
        if traced is None or self.excess(traced, default) > 0:
            return False
        return self.score(traced, default) > self.score(default, default) + _EPSILON

    def is_even(self, traced: Traced | None, default: Traced) -> bool:
        """Whether it is worth as much as the defaults."""
        return traced is not None and abs(self.score(traced, default) - self.score(default, default)) <= _EPSILON


class Best(NamedTuple):
    """The best attempt at a picture."""

    picture: Picture
    values: Values
    traced: Traced | None
    default: Traced


def result(found: Sequence[Best], worth: Worth) -> PartResult:
    """An evaluation's part. A win is a picture whose best tracing beats that of VTracer's defaults."""
    wins = sum(worth.is_better(b.traced, b.default) for b in found)
    draws = sum(worth.is_even(b.traced, b.default) for b in found)
    scores = np.array([worth.score(b.traced, b.default) for b in found])
    return tally(
        scores,
        wins,
        draws,
        distinct=len({b.picture.digest for b in found}),
        repeats=True,
        extra=_metrics(found, worth),
        frame=comparison(found[0]),
    )


def _metrics(found: Sequence[Best], worth: Worth) -> dict[str, float | None]:
    done = [(b.traced, b.default) for b in found if b.traced is not None]
    metrics: dict[str, float | None] = {"failed": float(len(found) - len(done))}
    for name, field in (("ssim", "ssim"), ("mse", "mse"), ("psnr", "psnr"), ("bytes", "size")):
        metrics[name] = _mean([getattr(traced, field) for traced, _ in done])
        metrics[f"{name} of defaults"] = _mean([getattr(default, field) for _, default in done])
    within = [worth.excess(traced, default) <= 0 for traced, default in done]
    return {**metrics, "within budget": _mean([float(each) for each in within])}


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def comparison(best: Best) -> str:
    """The picture and what its SVG shows, side by side, above the figures."""
    right = best.traced.thumb if best.traced else b"\0" * (THUMB[0] * THUMB[1])
    lines = [f"{'picture':<{THUMB[0]}}   traced"]
    lines += [f"{one}   {other}".rstrip() for one, other in zip(_rows(thumb(best.picture.pixels)), _rows(right))]
    lines += [f"{'':<9}{'ssim':>7}{'psnr':>7}{'bytes':>8}", _figures("traced", best.traced)]
    lines += [_figures("defaults", best.default), _named(best.values)]
    return "\n".join(lines)


def _figures(name: str, traced: Traced | None) -> str:
    if traced is None:
        return f"{name:<9}VTracer failed"
    return f"{name:<9}{traced.ssim:7.3f}{traced.psnr:7.1f}{traced.size:8.0f}"


def _named(values: Values) -> str:
    return " ".join(f"{p.name.split('_')[0]} {value:g}" for p, value in zip(PARAMETERS, values))


def thumb(pixels: Array) -> bytes:
    """Brightness at the size of a tracing's thumb."""
    return Image.fromarray(pixels).convert("L").resize(THUMB, Image.Resampling.BOX).tobytes()


def _rows(brightness: bytes) -> list[str]:
    width, height = THUMB
    shades = [_SHADES[min(4, value * 5 // 256)] for value in brightness]
    return ["".join(shades[row * width : (row + 1) * width]) for row in range(height)]

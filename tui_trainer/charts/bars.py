"""Bars and sparklines on one line."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from tui_trainer.charts.scale import roomy_end
from tui_trainer.charts.span import Glyphs, Row, Span
from tui_trainer.core.series import Series

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEVELS = " ▁▂▃▄▅▆▇█"
_ASCII_LEVELS = " _.-=*#@"
_STACK = "█▓▒░▚▞≡"
_ASCII_STACK = "#=+-.:~"


def bar(share: float, width: int, glyphs: Glyphs = "braille", style: str = "bar") -> Row:
    """A horizontal bar of `width` columns, `share` (0..1) of it filled to an eighth of a column."""
    share = min(1.0, max(0.0, share))
    if glyphs == "ascii":
        full = round(share * width)
        return (Span("#" * full, style), Span("." * (width - full), "track"))
    eighths = round(share * width * 8)
    full, part = divmod(eighths, 8)
    text = "█" * full + (_EIGHTHS[part] if part else "")
    return (Span(text, style), Span("·" * (width - len(text)), "track"))


def patterns(glyphs: Glyphs = "braille") -> str:
    """The fillings of a stacked bar's parts, in order."""
    return _ASCII_STACK if glyphs == "ascii" else _STACK


def stacked(shares: Sequence[tuple[float, str]], width: int, glyphs: Glyphs = "braille", fillings: str = "") -> Row:
    """One bar of several parts, each (share, style); the parts differ in pattern, too, their own ones in `fillings`."""
    fillings = fillings or patterns(glyphs)
    total = sum(share for share, _ in shares)
    if total <= 0 or width <= 0:
        return (Span(" " * max(0, width)),)
    spans: list[Span] = []
    used, upto = 0, 0.0
    for index, (share, style) in enumerate(shares):
        upto += share / total
        end = round(upto * width)
        if end > used:
            spans.append(Span(fillings[index % len(fillings)] * (end - used), style))
            used = end
    return tuple(spans)


def spark(values: Sequence[float | None], width: int, glyphs: Glyphs = "braille", style: str = "") -> Row:
    """The newest `width` values as one line of columns, lowest to highest; an unknown value is a gap."""
    shown = list(values)[-width:] if width > 0 else []
    known = [value for value in shown if value is not None]
    levels = _ASCII_LEVELS if glyphs == "ascii" else _LEVELS
    low, high = min(known, default=0.0), max(known, default=1.0)
    text = "".join(" " if value is None else _level(value, low, high, levels) for value in shown)
    return (Span(" " * (width - len(shown))), Span(text, style))


def gauges(percents: Sequence[float], width: int, glyphs: Glyphs = "braille", style: str = "") -> Span:
    """A column for each value, 0..100, empty at 0; neighbours share one, by the higher, where columns are fewer."""
    columns = min(width, len(percents))
    levels = _ASCII_LEVELS if glyphs == "ascii" else _LEVELS
    ends = [at * len(percents) // columns for at in range(columns + 1)] if columns > 0 else []
    highest = [max(percents[low:high]) for low, high in itertools.pairwise(ends)]
    return Span("".join(levels[-int(-percent * (len(levels) - 1) // 100)] for percent in highest), style)


def _level(value: float, low: float, high: float, levels: str) -> str:
    share = (value - low) / (high - low) if high > low else 0.3
    return levels[1 + min(len(levels) - 2, int(share * (len(levels) - 1)))]


def resampled(series: Series, width: int) -> list[float | None]:
    """The whole history as at most `width` means in order of x; the right edge moves in jumps, as a chart's does."""
    buckets = series.buckets
    if len(buckets) <= width or width <= 0:
        return [bucket.mean for bucket in buckets]
    end = roomy_end(float(buckets[-1].step))
    sums, counts = [0.0] * width, [0] * width
    for bucket in buckets:
        if bucket.mean is not None:
            place = min(width - 1, int(bucket.step * width / end))
            sums[place] += bucket.mean
            counts[place] += 1
    means = [total / count if count else None for total, count in zip(sums, counts, strict=True)]
    return means[: min(width, int(buckets[-1].step * width / end) + 1)]

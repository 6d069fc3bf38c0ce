"""Line charts of series: several lines, axes with round numbers, gaps, marks and labels at the lines' ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from tui_trainer.charts.canvas import Canvas
from tui_trainer.charts.scale import nice_range, roomy_end, ticks
from tui_trainer.charts.span import Glyphs, Row, Span, cells, cut, fit
from tui_trainer.core.format import si
from tui_trainer.core.series import Series

DASHES: tuple[tuple[int, int], ...] = ((1, 0), (10, 2), (5, 1), (3, 1), (2, 1), (1, 1))
"""One pattern a line, so that colour is not the only difference."""


def short(value: float) -> str:
    """`5M`, not `5.00M`."""
    text = si(value)
    number, prefix = (text[:-1], text[-1]) if text[-1].isalpha() else (text, "")
    return (number.rstrip("0").rstrip(".") if "." in number else number) + prefix


class Line(msgspec.Struct, frozen=True):
    """One line: its history, its style's name, and the text at its end (value included)."""

    series: Series
    style: str
    label: str = ""
    dash: tuple[int, int] = (1, 0)


class Mark(msgspec.Struct, frozen=True):
    """A dashed vertical at `x` with a word at its top; without a word, only a tick on the axis."""

    x: float
    label: str = ""
    style: str = "mark"


class Chart(msgspec.Struct, frozen=True):
    """What to draw. `y_range` None fits the data; `x_end` None fits it too, in jumps."""

    lines: tuple[Line, ...]
    marks: tuple[Mark, ...] = ()
    y_range: tuple[float, float] | None = None
    x_start: float = 0.0
    x_end: float | None = None
    y_text: Callable[[float], str] = short
    x_unit: str = "steps"


class Column(msgspec.Struct, frozen=True, array_like=True):
    """One column of dots of one line: lowest, highest, and the mean of its newest bucket."""

    x: int
    low: float
    high: float
    mean: float


def decimate(series: Series, x_start: float, x_end: float, columns: int) -> list[list[Column]]:
    """The series as runs of at most `columns` columns; lows and highs survive, and a run ends at each gap."""
    runs: list[list[Column]] = [[]]
    scale = (columns - 1) / (x_end - x_start) if x_end > x_start else 0.0
    for bucket in series.buckets:
        if bucket.mean is None or bucket.low is None or bucket.high is None:
            if runs[-1]:
                runs.append([])
            continue
        x = round((bucket.step - x_start) * scale)
        if not 0 <= x < max(1, columns):
            continue
        run = runs[-1]
        if run and run[-1].x == x:
            run[-1] = Column(x, min(run[-1].low, bucket.low), max(run[-1].high, bucket.high), bucket.mean)
        else:
            run.append(Column(x, bucket.low, bucket.high, bucket.mean))
    return [run for run in runs if run]


def draw(chart: Chart, width: int, height: int, glyphs: Glyphs = "braille") -> list[Row]:
    """The chart as `height` rows of `width` columns; what does not fit is left out, never squeezed unreadable."""
    if width < 4 or height < 2:
        return [fit((), width) for _ in range(max(0, height))]
    low, high = _y_range(chart, height)
    axis = _y_axis(chart, low, high, height - 1)
    gutter = max(cells(text) for text in axis.values()) + 1
    ends = _labels_width(chart, width - gutter)
    plot = Canvas(width - gutter - ends, height - 1, glyphs)
    x_end = _x_end(chart)
    _draw_lines(plot, chart, low, high, x_end)
    _draw_marks(plot, chart, x_end, glyphs)
    labels = _placed_labels(chart, low, high, height - 1)
    rows = [
        _chart_row(index, picture, axis, gutter, labels, ends, glyphs) for index, picture in enumerate(plot.lines())
    ]
    return [fit(row, width) for row in (*rows, _x_axis(chart, x_end, gutter, plot.width, width, glyphs))]


def _y_range(chart: Chart, height: int) -> tuple[float, float]:
    if chart.y_range is not None:
        return chart.y_range
    lows = [b.low for line in chart.lines for b in line.series.buckets if b.low is not None]
    highs = [b.high for line in chart.lines for b in line.series.buckets if b.high is not None]
    return nice_range(min(lows, default=0.0), max(highs, default=1.0), 5)


def _x_end(chart: Chart) -> float:
    if chart.x_end is not None:
        return chart.x_end
    steps = [last.step for line in chart.lines if (last := line.series.last) is not None]
    return roomy_end(float(max(steps, default=1)))


def _y_axis(chart: Chart, low: float, high: float, height: int) -> dict[int, str]:
    """Row → label."""
    parts = max(1, min(5, (height - 1) // 2))
    values = ticks(low, high, parts)
    shown = values if len(values) > 1 else [low, high]
    return {_row_of(value, low, high, height): chart.y_text(value) for value in shown}


def _row_of(value: float, low: float, high: float, rows: int) -> int:
    share = (value - low) / (high - low) if high > low else 0.5
    return max(0, min(rows - 1, round((1 - share) * (rows - 1))))


def _labels_width(chart: Chart, room: int) -> int:
    widest = max((cells(line.label) for line in chart.lines if line.label), default=-1) + 1
    return widest if widest and room - widest >= max(8, room // 3) else 0


def _draw_lines(plot: Canvas, chart: Chart, low: float, high: float, x_end: float) -> None:
    for line in reversed(chart.lines):
        for run in decimate(line.series, chart.x_start, x_end, plot.columns):
            _draw_run(plot, run, line, low, high)


def _draw_run(plot: Canvas, run: Sequence[Column], line: Line, low: float, high: float) -> None:
    before: tuple[int, int] | None = None
    for column in run:
        y = _row_of(column.mean, low, high, plot.rows)
        if before is None:
            plot.dot(column.x, y, line.style)
        else:
            plot.line(*before, column.x, y, line.style, line.dash)
        if column.high > column.low:
            top, bottom = (_row_of(value, low, high, plot.rows) for value in (column.high, column.low))
            plot.column(column.x, top, bottom, line.style)
        before = (column.x, y)


def _draw_marks(plot: Canvas, chart: Chart, x_end: float, glyphs: Glyphs) -> None:
    stroke = "|" if glyphs == "ascii" else "╎"
    for mark in chart.marks:
        column = _column_of(mark.x, chart.x_start, x_end, plot.width)
        if not mark.label or column is None:
            continue
        for row in range(plot.height):
            plot.put(column, row, stroke, mark.style)
        text = cut(mark.label, max(0, plot.width))
        plot.put_clear(min(column + 1, plot.width - cells(text)), text, mark.style)


def _column_of(x: float, x_start: float, x_end: float, width: int) -> int | None:
    share = (x - x_start) / (x_end - x_start) if x_end > x_start else 0.0
    return round(share * (width - 1)) if 0 <= share <= 1 and width > 0 else None


def _placed_labels(chart: Chart, low: float, high: float, rows: int) -> dict[int, Line]:
    """Row → line: each label at its line's last value, moved apart where they would collide."""
    known = [(last.mean, line) for line in chart.lines if line.label and (last := _last_known(line)) is not None]
    wanted = sorted(known, key=lambda pair: -pair[0])[:rows]
    placed: dict[int, Line] = {}
    free = 0
    for index, (value, line) in enumerate(wanted):
        latest = rows - (len(wanted) - index)
        row = min(max(free, _row_of(value, low, high, rows)), latest)
        placed[row] = line
        free = row + 1
    return placed


class _Known(msgspec.Struct, frozen=True):
    mean: float


def _last_known(line: Line) -> _Known | None:
    for bucket in reversed(line.series.buckets):
        if bucket.mean is not None and math.isfinite(bucket.mean):
            return _Known(bucket.mean)
    return None


def _chart_row(
    index: int, picture: Row, axis: dict[int, str], gutter: int, labels: dict[int, Line], ends: int, glyphs: Glyphs
) -> Row:
    tick, bar = ("+", "|") if glyphs == "ascii" else ("┤", "│")
    text = axis.get(index)
    left = Span(f"{text or '':>{gutter - 1}}{tick if text is not None else bar}", "axis")
    line = labels.get(index) if ends else None
    right = Span(f" {line.label}" if line else "", line.style if line else "")
    return (left, *picture, *fit((right,), ends)) if ends else (left, *picture)


def _x_axis(chart: Chart, x_end: float, gutter: int, plot_width: int, width: int, glyphs: Glyphs) -> Row:
    """The axis with its numbers in it: `└0────5M────10M── steps`."""
    corner, dash, tick = ("+", "-", "'") if glyphs == "ascii" else ("└", "─", "┴")
    cells_ = [dash] * plot_width
    for mark in chart.marks:
        column = _column_of(mark.x, chart.x_start, x_end, plot_width)
        if column is not None:
            cells_[column] = tick
    for value in ticks(chart.x_start, x_end, max(2, plot_width // 12)):
        _write(cells_, _column_of(value, chart.x_start, x_end, plot_width), short(value))
    unit = f" {chart.x_unit}"
    tail = unit if len(unit) <= width - gutter - plot_width else ""
    return fit((Span(f"{'':>{gutter - 1}}{corner}{''.join(cells_)}{tail}", "axis"),), width)


def _write(cells_: list[str], column: int | None, text: str) -> None:
    if column is None or column < 0 or len(text) > len(cells_):
        return
    column = min(column, len(cells_) - len(text))
    cells_[column : column + len(text)] = list(text)

"""Line charts of series: several lines, bands, axes with round numbers, gaps, marks, a crosshair, labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from tui_trainer.charts.axes import X_UNITS, XAxis, XKind, YAxis, short, y_axis
from tui_trainer.charts.canvas import Canvas
from tui_trainer.charts.columns import Column, at, decimate, unknown_columns
from tui_trainer.charts.scale import roomy_end
from tui_trainer.charts.smooth import smooth
from tui_trainer.charts.span import Glyphs, Row, Span, cells, cut, fit
from tui_trainer.core.series import Series

DASHES: tuple[tuple[int, int], ...] = ((1, 0), (10, 2), (5, 1), (3, 1), (2, 1), (1, 1))
"""One pattern a line, so that colour is not the only difference."""

FAINT = "-"
"""Behind a style's name: the same, fainter. For what lies behind a line."""


class Line(msgspec.Struct, frozen=True):
    """One line: its history, its style's name, the text at its end (value included), its name, its interval."""

    series: Series
    style: str
    label: str = ""
    dash: tuple[int, int] = (1, 0)
    name: str = ""
    band: Series | None = None
    """Lows and highs of an interval around the line."""


class Mark(msgspec.Struct, frozen=True):
    """A dashed vertical at `x` with a word at its top; without a word, only its sign on the axis."""

    x: float
    label: str = ""
    style: str = "mark"
    sign: str = ""


class Level(msgspec.Struct, frozen=True):
    """A dotted horizontal at a known value, with its name at the left."""

    y: float
    label: str
    style: str = "mark"


class Chart(msgspec.Struct, frozen=True):
    """What to draw. `y_range` None fits what is shown; `x_end` None fits it too, in jumps."""

    lines: tuple[Line, ...]
    marks: tuple[Mark, ...] = ()
    y_range: tuple[float, float] | None = None
    x_start: float = 0.0
    x_end: float | None = None
    y_text: Callable[[float], str] = short
    kind: XKind = "steps"
    origin: float = 0.0
    """Unix time at which wall time begins."""
    log: bool = False
    smoothing: float = 0.0
    """Weight of the past in the moving average that is drawn over the raw values; 0 draws those alone."""
    x_unit: str = ""
    """Where x is none of the kinds: what it counts."""
    cross: float | None = None
    """Where the crosshair stands; the values there are written above the chart."""
    levels: tuple[Level, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """Where the plot lies within a chart's cells, and its axes."""

    gutter: int
    """Columns left of the plot."""
    width: int
    height: int
    top: int
    """Rows above the plot."""
    x: XAxis
    y: YAxis
    numbers: dict[int, str]
    """Row of the plot -> number of the y axis."""
    ends: int
    """Columns of the labels right of the plot."""

    def x_at(self, column: int) -> float | None:
        """The x under a column of the chart; None beside the plot."""
        inside = column - self.gutter
        if not 0 <= inside < self.width:
            return None
        return self.x.start + (self.x.end - self.x.start) * inside / max(1, self.width - 1)


def plan(chart: Chart, width: int, height: int) -> Plan | None:
    """How the chart is laid out at a size; None where there is no room for one."""
    top = 1 if chart.cross is not None and height >= 5 else 0
    if width < 4 or height - top < 2:
        return None
    x = _x_axis_of(chart)
    y = _y_axis_of(chart, x)
    rows = height - top - 1
    numbers = y.texts(rows, chart.y_text)
    gutter = max(cells(text) for text in numbers.values()) + 1
    ends = _labels_width(chart, width - gutter)
    return Plan(gutter, max(0, width - gutter - ends), rows, top, x, y, numbers, ends)


def draw(chart: Chart, width: int, height: int, glyphs: Glyphs = "braille") -> list[Row]:
    """The chart as `height` rows of `width` columns; what does not fit is left out, never squeezed unreadable."""
    laid = plan(chart, width, height)
    if laid is None:
        return [fit((), width) for _ in range(max(0, height))]
    plot = Canvas(laid.width, laid.height, glyphs)
    _draw_levels(plot, chart, laid)
    _draw_lines(plot, chart, laid)
    _draw_unknown(plot, chart, laid)
    _draw_marks(plot, chart, laid)
    _name_levels(plot, chart, laid)
    _draw_cross(plot, chart, laid)
    labels = _placed_labels(chart, laid)
    rows = [_chart_row(index, picture, laid, labels, glyphs) for index, picture in enumerate(plot.lines())]
    above = [readout(chart, laid)] if laid.top else []
    return [fit(row, width, "…") for row in (*above, *rows, _x_axis(chart, laid, width, glyphs))]


# --- axes ----------------------------------------------------------------------------------------------------------


def _x_axis_of(chart: Chart) -> XAxis:
    axis = XAxis(chart.x_start, chart.x_end or 0.0, chart.kind, chart.origin)
    if chart.x_end is not None:
        return axis
    ends = [axis.of(last) for line in chart.lines if (last := line.series.last) is not None]
    return msgspec.structs.replace(axis, end=roomy_end(max(ends, default=1.0)))


def _y_axis_of(chart: Chart, x: XAxis) -> YAxis:
    if chart.y_range is not None and not chart.log:
        return YAxis(*chart.y_range)
    shown = [b for line in chart.lines for b in line.series.buckets if 0 <= x.share(x.of(b)) <= 1]
    lows = [b.low for b in shown if b.low is not None]
    highs = [b.high for b in shown if b.high is not None]
    known = [level.y for level in chart.levels] if lows else []
    lows, highs = lows + known, highs + known
    return y_axis(lows, highs, log=chart.log)


def _labels_width(chart: Chart, room: int) -> int:
    widest = max((cells(line.label) for line in chart.lines if line.label), default=-1) + 1
    return widest if widest and room - widest >= max(8, room // 3) else 0


# --- lines ---------------------------------------------------------------------------------------------------------


def _draw_lines(plot: Canvas, chart: Chart, laid: Plan) -> None:
    for line in reversed(chart.lines):
        for run in decimate(line.band, laid.x, plot.columns) if line.band else ():
            _draw_band(plot, run, line.style + FAINT, laid.y)
    for line in reversed(chart.lines) if chart.smoothing else ():
        _draw_series(plot, line.series, line.style + FAINT, (1, 0), laid)
    for line in reversed(chart.lines):
        series = smooth(line.series, chart.smoothing) if chart.smoothing else line.series
        _draw_series(plot, series, line.style, line.dash, laid)


def _draw_series(plot: Canvas, series: Series, style: str, dash: tuple[int, int], laid: Plan) -> None:
    for run in decimate(series, laid.x, plot.columns):
        _draw_run(plot, run, style, dash, laid.y)


def _draw_run(plot: Canvas, run: Sequence[Column], style: str, dash: tuple[int, int], axis: YAxis) -> None:
    """A line through the points; one that stands alone, such as a first evaluation, is a spot."""
    if len(run) == 1 and (row := _dot_row(axis, run[0].mean, plot.rows)) is not None:
        plot.spot(run[0].x, row, style)
    before: tuple[float, float] | None = None
    for column in run:
        y = _height(axis, column.mean, plot.rows)
        if y is not None:
            x0, y0 = before or (column.x, y)
            segment = _clipped(x0, y0, column.x, y, plot.columns, plot.rows)
            if segment is not None:
                plot.line(*segment, style, dash if before else (1, 0))
        if column.high > column.low:
            _draw_extent(plot, column, style, axis)
        before = None if y is None else (column.x, y)


def _height(axis: YAxis, value: float, rows: int) -> float | None:
    """The value's dot from the top, not rounded and not held within the plot; None where it has no place."""
    share = axis.share(value)
    return None if share is None else (1 - share) * (rows - 1)


def _dot_row(axis: YAxis, value: float, rows: int) -> int | None:
    """The row of dots of a value within the plot."""
    y = _height(axis, value, rows)
    return round(y) if y is not None and -0.5 <= y < rows - 0.5 else None


def _draw_extent(plot: Canvas, column: Column, style: str, axis: YAxis) -> None:
    """From lowest to highest, as far as it is in the range."""
    extent = _extent(axis, column.low, column.high, plot.rows)
    if extent is not None:
        plot.column(column.x, *extent, style)


def _extent(axis: YAxis, low: float, high: float, rows: int) -> tuple[int, int] | None:
    """Rows of dots from `high` to `low`; None where all of it is out of range."""
    if axis.log:
        low = max(low, axis.low)
    if high < axis.low or low > axis.high or high < low:
        return None
    return axis.row(min(high, axis.high), rows), axis.row(max(low, axis.low), rows)


def _draw_band(plot: Canvas, run: Sequence[Column], style: str, axis: YAxis) -> None:
    """Shaded from low to high, straight between the points."""
    for first, last in zip(run, run[1:] or run):
        for x in range(max(0, first.x), min(plot.columns - 1, last.x) + 1):
            share = (x - first.x) / (last.x - first.x) if last.x > first.x else 0.0
            low = first.low + share * (last.low - first.low)
            high = first.high + share * (last.high - first.high)
            extent = _extent(axis, low, high, plot.rows)
            if extent is not None:
                plot.shade(x, *extent, style)


def _clipped(x0: float, y0: float, x1: float, y1: float, columns: int, rows: int) -> tuple[int, int, int, int] | None:
    """The part of a segment within the plot, in whole dots; None where none of it is. Liang and Barsky 1984."""
    begin, end = 0.0, 1.0
    for delta, room in (
        (x0 - x1, x0),
        (x1 - x0, columns - 1 - x0),
        (y0 - y1, y0 + 0.5),
        (y1 - y0, rows - 0.5 - y0),
    ):
        if delta == 0 and room < 0:
            return None
        if delta < 0:
            begin = max(begin, room / delta)
        elif delta > 0:
            end = min(end, room / delta)
    if begin > end:
        return None
    places = [(x0 + t * (x1 - x0), y0 + t * (y1 - y0)) for t in (begin, end)]
    (a, b), (c, d) = [(round(x), max(0, min(rows - 1, round(y)))) for x, y in places]
    return a, b, c, d


# --- marks ---------------------------------------------------------------------------------------------------------


def _draw_unknown(plot: Canvas, chart: Chart, laid: Plan) -> None:
    """A cross at the bottom where a value was no number."""
    sign = "x" if plot.glyphs == "ascii" else "×"
    for line in chart.lines:
        for column in unknown_columns(line.series, laid.x, plot.width):
            plot.put(column, plot.height - 1, sign, "bad")


def _draw_levels(plot: Canvas, chart: Chart, laid: Plan) -> None:
    """Dots across the plot."""
    for level in chart.levels:
        y = _level_dot(plot, level, laid)
        for x in range(0, plot.columns, 2 * plot.per_x) if y is not None else ():
            plot.dot(x, y or 0, level.style)


def _name_levels(plot: Canvas, chart: Chart, laid: Plan) -> None:
    """Names above their dots, or beneath the topmost row's."""
    for level in chart.levels:
        y = _level_dot(plot, level, laid)
        if y is not None:
            row = y // plot.per_y
            plot.put_beside(row - 1 if row else 1, cut(level.label, plot.width // 3), level.style)


def _level_dot(plot: Canvas, level: Level, laid: Plan) -> int | None:
    """Its row of dots; None where it lies outside what is shown."""
    share = laid.y.share(level.y)
    if share is None or not -1e-9 <= share <= 1 + 1e-9:
        return None
    return round((1 - share) * (plot.rows - 1))


def _draw_marks(plot: Canvas, chart: Chart, laid: Plan) -> None:
    stroke = "|" if plot.glyphs == "ascii" else "╎"
    named = [(mark, column) for mark in chart.marks if mark.label and (column := _column(mark, laid)) is not None]
    for mark, column in named:
        for row in range(plot.height):
            plot.put(column, row, stroke, mark.style)
    for mark, column in reversed(named):
        text = cut(mark.label, max(0, plot.width))
        beside = column + 1 if column + 1 + cells(text) <= plot.width else column - cells(text)
        plot.put_clear(max(0, beside), text, mark.style)


def _column(mark: Mark, laid: Plan) -> int | None:
    return laid.x.column(mark.x, laid.width)


def _draw_cross(plot: Canvas, chart: Chart, laid: Plan) -> None:
    column = None if chart.cross is None else laid.x.column(chart.cross, laid.width)
    if column is None:
        return
    plot.stroke(column, "|" if plot.glyphs == "ascii" else "│", "key")


def readout(chart: Chart, laid: Plan) -> Row:
    """What stands at the crosshair: its x, and each line's value."""
    x = chart.cross
    if x is None:
        return ()
    row: list[Span] = [Span(f"{X_UNITS[chart.kind]} {laid.x.exactly(x)}", "key")]
    for line in chart.lines:
        value = at(line.series, laid.x, x)
        text = "-" if value is None else chart.y_text(value)
        row += [
            Span("  "),
            Span(f"{line.name} " if line.name else "", line.style.removesuffix(FAINT)),
            Span(text, "bold"),
        ]
    return tuple(row)


def _placed_labels(chart: Chart, laid: Plan) -> dict[int, Line]:
    """Row → line: each label at its line's last value, moved apart where they would collide."""
    rows = laid.height
    known = [(last, line) for line in chart.lines if line.label and (last := _last_known(line)) is not None]
    wanted = sorted(known, key=lambda pair: -pair[0])[:rows]
    placed: dict[int, Line] = {}
    free = 0
    for index, (value, line) in enumerate(wanted):
        latest = rows - (len(wanted) - index)
        row = min(max(free, laid.y.row(value, rows)), latest)
        placed[row] = line
        free = row + 1
    return placed


def _last_known(line: Line) -> float | None:
    known = (b.mean for b in reversed(line.series.buckets) if b.mean is not None and math.isfinite(b.mean))
    return next(known, None)


# --- rows ----------------------------------------------------------------------------------------------------------


def _chart_row(index: int, picture: Row, laid: Plan, labels: dict[int, Line], glyphs: Glyphs) -> Row:
    tick, bar = ("+", "|") if glyphs == "ascii" else ("┤", "│")
    text = laid.numbers.get(index)
    left = Span(f"{text or '':>{laid.gutter - 1}}{tick if text is not None else bar}", "axis")
    line = labels.get(index) if laid.ends else None
    right = Span(f" {line.label}" if line else "", line.style if line else "")
    return (left, *picture, *fit((right,), laid.ends)) if laid.ends else (left, *picture)


def _x_axis(chart: Chart, laid: Plan, width: int, glyphs: Glyphs) -> Row:
    """The axis with its numbers in it: `└0────5M────10M── steps`."""
    corner, dash, tick = ("+", "-", "'") if glyphs == "ascii" else ("└", "─", "┴")
    cells_ = [dash] * laid.width
    for mark in chart.marks:
        column = _column(mark, laid)
        if column is not None and laid.width:
            cells_[column] = mark.sign or tick
    unit = f" {chart.x_unit or X_UNITS[chart.kind]}"
    outside = len(unit) <= width - laid.gutter - laid.width
    inside = not outside and chart.kind != "steps" and laid.width >= 3 * len(unit)
    room = laid.width - (len(unit) if inside else 0)
    for value in laid.x.ticks(max(2, laid.width // 12)):
        _write(cells_, laid.x.column(value, laid.width), laid.x.text(value), room)
    if inside:
        cells_[room:] = list(unit)
    tail = unit if outside else ""
    return (Span(f"{'':>{laid.gutter - 1}}{corner}{''.join(cells_)}{tail}", "axis"),)


def _write(cells_: list[str], column: int | None, text: str, room: int) -> None:
    """The number at its place, or left of the edge; not at all where it would stand far from its place."""
    if column is None or len(text) > room or column > room:
        return
    column = min(column, room - len(text))
    cells_[column : column + len(text)] = list(text)

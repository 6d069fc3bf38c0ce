"""Charts are text of an exact size that keeps what matters: spikes, gaps, ends, labels."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.charts.axes import X_KINDS, XAxis, XKind, YAxis, y_axis
from tui_trainer.charts.bars import bar, resampled, spark, stacked
from tui_trainer.charts.canvas import Canvas
from tui_trainer.charts.chart import Chart, Level, Line, Mark, draw, plan
from tui_trainer.charts.columns import at, decimate, unknown_columns
from tui_trainer.charts.scale import (
    log_range,
    log_ticks,
    nice_range,
    nice_step,
    roomy_end,
    stepped_end,
    ticks,
    time_ticks,
)
from tui_trainer.charts.smooth import smooth
from tui_trainer.charts.span import Glyphs, Row, Span, cells, cut, fit, row_cells
from tui_trainer.core.series import Bucket, Series

GLYPHS: tuple[Glyphs, ...] = ("braille", "block", "ascii")


def series(values: list[float | None], step: int = 1000) -> Series:
    built = Series()
    for index, value in enumerate(values):
        built = built.append(index * step, float(index), index, value)
    return built


def text(rows: list[Row]) -> list[str]:
    return ["".join(span.text for span in row) for row in rows]


# --- spans -------------------------------------------------------------------------------------------------------


def test_wide_characters_take_two_columns_and_combining_ones_none() -> None:
    assert cells("日本") == 4
    assert cells("e\u0301") == 1
    assert cut("日本", 3) == "日"


@given(st.lists(st.tuples(st.text(max_size=8), st.sampled_from(["", "dim"])), max_size=6), st.integers(0, 40))
def test_fit_gives_exactly_the_width(parts: list[tuple[str, str]], width: int) -> None:
    row = tuple(Span(text, style) for text, style in parts)
    assert row_cells(fit(row, width)) == width
    assert row_cells(fit(row, width, "…")) == width


def test_a_cut_row_ends_in_an_ellipsis() -> None:
    assert text([fit((Span("abcdef"),), 4, "…")]) == ["abc…"]


# --- scales ------------------------------------------------------------------------------------------------------


@given(st.floats(1e-9, 1e12), st.integers(1, 12))
def test_a_nice_step_divides_the_span_into_at_most_so_many_parts(span: float, parts: int) -> None:
    step = nice_step(span, parts)
    assert span / step <= parts * (1 + 1e-6)
    assert step / 10 ** math.floor(math.log10(step) + 1e-9) == pytest.approx(1) or step > 0


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_a_nice_range_holds_the_data(a: float, b: float) -> None:
    low, high = nice_range(min(a, b), max(a, b), 4)
    slack = 1e-6 * max(1.0, abs(a), abs(b))
    assert low <= min(a, b) + slack
    assert high >= max(a, b) - slack
    assert high > low


def test_a_flat_line_gets_room_on_both_sides() -> None:
    low, high = nice_range(5.0, 5.0, 4)
    assert low < 5.0 < high


def test_a_range_of_nothing_finite_is_still_a_range() -> None:
    assert nice_range(math.nan, math.inf, 3) == (0.0, 1.0)


def test_ticks_are_round_and_within_the_range() -> None:
    assert ticks(0, 100, 4) == [0, 25, 50, 75, 100]


@given(st.floats(1, 1e15))
def test_the_right_edge_is_never_left_of_the_data_nor_far_from_it(x: float) -> None:
    assert x <= roomy_end(x) * (1 + 1e-9)
    assert roomy_end(x) <= x * 1.2


def test_a_growing_run_moves_the_right_edge_only_now_and_then() -> None:
    edges = {roomy_end(float(step)) for step in range(1_000_000, 2_000_000, 10_000)}
    assert len(edges) <= 14


@given(st.floats(1e-12, 1e12), st.floats(1, 1e9))
def test_a_log_range_holds_the_data_and_has_round_ends(low: float, factor: float) -> None:
    bottom, top = log_range(low, low * factor)
    assert bottom <= low * (1 + 1e-9)
    assert top >= low * factor * (1 - 1e-9)
    assert 0 < bottom < top
    for end in (bottom, top):
        mantissa = end / 10 ** math.floor(math.log10(end) + 1e-9)
        assert min(abs(mantissa - n) for n in (1, 2, 5, 10)) < 1e-6


@given(st.floats(1e-9, 1e9), st.floats(1.01, 1e9), st.integers(1, 8))
def test_ticks_of_a_log_axis_are_few_and_within_it(low: float, factor: float, parts: int) -> None:
    bottom, top = log_range(low, low * factor)
    found = log_ticks(bottom, top, parts)
    assert 1 <= len(found) <= max(2, parts + 1)
    assert all(bottom * (1 - 1e-6) <= value <= top * (1 + 1e-6) for value in found)


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [(10, [0, 2, 4, 6, 8, 10]), (300, [0, 60, 120, 180, 240, 300]), (7200, [0, 1800, 3600, 5400, 7200])],
)
def test_ticks_of_time_are_whole_seconds_minutes_or_hours(seconds: float, wanted: list[float]) -> None:
    assert time_ticks(0, seconds, 5) == wanted


@given(st.floats(0, 1e12), st.floats(1e-3, 1e9))
def test_a_following_window_holds_the_newest_point_with_little_room_after_it(x: float, span: float) -> None:
    end = stepped_end(x, span)
    assert end >= x * (1 - 1e-9) - 1e-9 * span
    assert end - x <= span / 12 + 1e-9 * x


values_ = st.floats(-1e6, 1e6)


@given(st.lists(values_, min_size=1, max_size=8), values_, st.integers(2, 50), st.booleans())
def test_every_value_has_a_row_and_greater_ones_never_stand_lower(
    data: list[float], value: float, rows: int, log: bool
) -> None:
    axis = y_axis(data, data, log=log)
    assert all(0 <= axis.row(each, rows) < rows for each in (*data, value))
    placed = [each for each in data if axis.share(each) is not None]
    for a in placed:
        assert all(axis.row(a, rows) >= axis.row(b, rows) for b in placed if b > a)
        assert -1e-6 <= (axis.share(a) or 0.0) <= 1 + 1e-6


def test_what_is_no_number_or_not_above_zero_has_no_place() -> None:
    assert YAxis(1, 10).share(math.nan) is None
    assert YAxis(1, 10, log=True).share(0.0) is None
    assert YAxis(1, 100, log=True).share(10.0) == pytest.approx(0.5)


# --- decimation --------------------------------------------------------------------------------------------------


def test_a_single_spike_survives_decimation() -> None:
    values: list[float | None] = [1.0] * 400
    values[137] = 9.0
    runs = decimate(series(values), XAxis(0, 400_000), 60)
    assert max(column.high for run in runs for column in run) == 9.0


def test_a_gap_splits_the_line() -> None:
    values: list[float | None] = [1.0] * 20 + [None] * 5 + [2.0] * 20
    assert len(decimate(series(values), XAxis(0, 45_000), 100)) == 2


maybe = st.one_of(st.none(), st.floats(-1e6, 1e6))


@given(st.lists(maybe, min_size=1, max_size=700), st.integers(1, 80), st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_decimation_keeps_the_extremes_and_the_last_value_of_what_is_shown(
    values: list[float | None], columns: int, window: tuple[float, float]
) -> None:
    data = series(values)
    low, high = sorted(window)
    axis = XAxis(low * 1000 * len(values), high * 1000 * len(values) + 1)
    drawn = [c for run in decimate(data, axis, columns) for c in run if 0 <= c.x < columns]
    shown = [b for b in data.buckets if b.mean is not None and axis.column(float(b.step), columns) is not None]
    if shown:
        assert max(c.high for c in drawn) >= max(b.high for b in shown if b.high is not None)
        assert min(c.low for c in drawn) <= min(b.low for b in shown if b.low is not None)
        assert drawn[-1].x >= round(axis.share(float(shown[-1].step)) * (columns - 1))
    if low == 0 and high == 1 and shown and values[-1] is not None:
        assert drawn[-1].mean == values[-1]


@given(st.lists(maybe, max_size=200), st.integers(1, 60))
def test_a_value_that_is_no_number_leaves_its_column(values: list[float | None], width: int) -> None:
    axis = XAxis(0, 1000 * max(1, len(values) - 1))
    columns = unknown_columns(series(values), axis, width)
    assert bool(columns) == any(b.mean is None for b in series(values).buckets)
    assert all(0 <= column < width for column in columns)


def test_a_line_reaches_the_edges_of_a_window_between_two_points() -> None:
    rows = text(draw(Chart((Line(series([0.0, 1.0]), "s0"),), y_range=(0, 1), x_start=400, x_end=600), 30, 8))
    drawn = [row[2:] for row in rows[:-1]]
    assert all(any(ord(row[column]) > 0x2800 for row in drawn if len(row) > column) for column in range(2, 26))


@given(
    st.lists(maybe, min_size=1, max_size=60), st.sampled_from(GLYPHS), st.booleans(),
    st.sampled_from([None, (-1.0, 1.0), (2e6, 3e6)]), st.sampled_from(X_KINDS), st.sampled_from([0.0, 0.9]),
)  # fmt: skip
def test_no_value_beyond_the_range_is_drawn(
    values: list[float | None], glyphs: Glyphs, log: bool, y_range: tuple[float, float] | None, kind: XKind,
    smoothing: float,
) -> None:  # fmt: skip
    """A dot stands only in rows that a value in range could have."""
    chart = Chart((Line(series(values), "s0"),), y_range=y_range, log=log, kind=kind, smoothing=smoothing)
    rows = draw(chart, 40, 10, glyphs)
    assert all(row_cells(row) == 40 for row in rows)
    if y_range == (2e6, 3e6) and not log:
        assert not any(span.style.startswith("s0") for row in rows for span in row)


def test_a_line_that_leaves_the_range_is_cut_at_its_edge() -> None:
    chart = Chart((Line(series([0.0, 10.0]), "s0"),), y_range=(0, 1), x_end=1000)
    rows = text(draw(chart, 43, 9))
    assert all(char in " ⠀" for row in rows[:-1] for char in row[10:])


@given(st.lists(maybe, min_size=1, max_size=80), st.sampled_from([0.5, 0.9, 0.99]))
def test_smoothing_stays_within_the_data_and_keeps_gaps(values: list[float | None], weight: float) -> None:
    data = series(values)
    after = smooth(data, weight).buckets
    known = [b.mean for b in data.buckets if b.mean is not None]
    assert [b.mean is None for b in after] == [b.mean is None for b in data.buckets]
    for b in after:
        assert b.mean is None or min(known) - 1e-6 <= b.mean <= max(known) + 1e-6


def test_a_smoothed_chart_shows_the_raw_values_fainter() -> None:
    noisy = series([float(i % 2) for i in range(60)])
    styles = {span.style for row in draw(Chart((Line(noisy, "s0"),), smoothing=0.9), 60, 12) for span in row}
    assert {"s0", "s0-"} <= styles


def test_no_column_is_used_twice_in_a_run() -> None:
    runs = decimate(series([float(i % 7) for i in range(500)]), XAxis(0, 500_000), 40)
    xs = [column.x for column in runs[0]]
    assert xs == sorted(set(xs))


# --- the canvas --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("glyphs", GLYPHS)
def test_dots_outside_the_canvas_change_nothing(glyphs: Glyphs) -> None:
    canvas = Canvas(3, 2, glyphs)
    before = canvas.lines()
    for x, y in ((-1, 0), (0, -1), (canvas.columns, 0), (0, canvas.rows)):
        canvas.dot(x, y, "s0")
    assert canvas.lines() == before


def test_a_diagonal_in_braille_is_a_diagonal() -> None:
    canvas = Canvas(2, 1)
    canvas.line(0, 3, 3, 0, "s0")
    assert text(canvas.lines()) == ["⡠⠊"]


def test_a_label_never_hides_a_dot() -> None:
    canvas = Canvas(6, 2)
    canvas.line(0, 0, 11, 0, "s0")
    canvas.put_clear(0, "abc", "mark")
    assert text(canvas.lines()) == ["⠉" * 6, "abc   "]


def test_two_labels_never_cover_each_other() -> None:
    canvas = Canvas(12, 3)
    canvas.put_clear(0, "minimax-2", "mark")
    canvas.put_clear(2, "minimax-3", "mark")
    assert text(canvas.lines()) == ["minimax-2   ", "  minimax-3 ", " " * 12]


# --- charts ------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=60),
    st.integers(0, 100),
    st.integers(0, 30),
    st.sampled_from(GLYPHS),
)
def test_a_chart_has_exactly_its_size(values: list[float | None], width: int, height: int, glyphs: Glyphs) -> None:
    chart = Chart((Line(series(values), "s0", "label 12.3"),), (Mark(5000.0, "up"), Mark(6000.0)))
    rows = draw(chart, width, height, glyphs)
    assert len(rows) == height
    assert all(row_cells(row) == width for row in rows)


def test_ascii_charts_are_ascii() -> None:
    chart = Chart((Line(series([0.0, 1.0, 0.5]), "s0", "a"),), (Mark(1000.0, "up"), Mark(2000.0)))
    assert all(line.isascii() for line in text(draw(chart, 60, 12, "ascii")))


def test_labels_stand_apart_in_the_order_of_their_lines() -> None:
    lines = tuple(Line(series([0.1, value]), f"s{i}", f"rung {i}") for i, value in enumerate((0.90, 0.91, 0.5)))
    shown = [line for line in text(draw(Chart(lines, y_range=(0, 1)), 60, 12)) if "rung" in line]
    assert [line.split("rung ")[1][0] for line in shown] == ["1", "0", "2"]


def test_axis_numbers_are_round_and_at_both_ends() -> None:
    rows = text(draw(Chart((Line(series([0.0, 1.0]), "s0"),), y_range=(0, 100)), 60, 12))
    assert rows[0].startswith("100┤")
    assert rows[-2].lstrip().startswith("0┤")


def test_a_level_change_is_a_dashed_vertical_with_its_name() -> None:
    rows = text(draw(Chart((Line(series([0.0] * 10), "s0"),), (Mark(5000.0, "1-ply"),), (0, 1), x_end=9000), 60, 12))
    assert "╎1-ply" in rows[0]
    assert sum("╎" in row for row in rows) >= 8


def test_level_changes_at_the_right_edge_stand_apart() -> None:
    marks = tuple(Mark(9000.0 + 200 * i, name) for i, name in enumerate(("minimax-2", "minimax-3", "minimax-4")))
    rows = text(draw(Chart((Line(series([0.0] * 10), "s0"),), marks, (0, 1), x_end=9500), 60, 12))
    assert [name for name in ("minimax-2", "minimax-3", "minimax-4") if any(name in row for row in rows)] == [
        "minimax-2", "minimax-3", "minimax-4",
    ]  # fmt: skip


def test_the_crosshair_tells_the_values_under_it() -> None:
    lines = (Line(series([0.0, 0.25, 0.5, 0.75]), "s0", name="random"), Line(series([1.0] * 4), "s1", name="1-ply"))
    rows = text(draw(Chart(lines, x_end=3000, cross=2400), 60, 12))
    assert rows[0].split() == ["steps", "2.40k", "random", "0.5", "1-ply", "1"]
    assert sum("│" in row[6:] for row in rows[1:-1]) >= 8


def test_the_crosshair_says_where_there_is_no_number() -> None:
    assert at(series([1.0, None, 3.0]), XAxis(0, 2000), 1500) is None
    assert at(series([1.0, None, 3.0]), XAxis(0, 2000), 5000) == 3.0
    assert at(series([1.0]), XAxis(0, 2000), -1) is None


@pytest.mark.parametrize("glyphs", GLYPHS)
def test_a_point_that_stands_alone_is_a_spot_and_a_line_has_none(glyphs: Glyphs) -> None:
    sign = "o" if glyphs == "ascii" else "•"

    def spots(values: list[float | None], others: list[float | None]) -> int:
        lines = (Line(series(values), "s0"), Line(series(others), "s1"))
        return "".join(text(draw(Chart(lines), 40, 8, glyphs)[:-1])).count(sign)

    assert spots([0.5], []) == 1
    assert spots([None, 0.5], [0.5, 0.5]) == 1, "also on another line"
    assert spots([0.5, None, 0.5, 0.6], []) == 1
    assert spots([0.5, 0.6], []) == 0


@pytest.mark.parametrize("glyphs", GLYPHS)
def test_a_value_that_is_no_number_is_a_cross_at_the_bottom(glyphs: Glyphs) -> None:
    rows = text(draw(Chart((Line(series([1.0, None, 1.0]), "s0"),), y_range=(0, 2), x_end=2000), 40, 8, glyphs))
    assert ("x" if glyphs == "ascii" else "×") in rows[-2]


@pytest.mark.parametrize(("kind", "unit"), [("steps", "steps"), ("time", "wall time"), ("update", "updates")])
def test_the_x_axis_says_what_it_counts(kind: XKind, unit: str) -> None:
    lines = (Line(series([0.0, 1.0]), "s0", "a label that leaves room"),)
    assert text(draw(Chart(lines, kind=kind), 90, 8))[-1].rstrip().endswith(unit)


def test_x_follows_its_kind() -> None:
    bucket = series([0.0, 1.0, 2.0]).buckets[-1]
    assert XAxis(0, 1, "steps").of(bucket) == 2000
    assert XAxis(0, 1, "time", origin=1.5).of(bucket) == 0.5
    assert XAxis(0, 1, "update").of(bucket) == 2


@pytest.mark.parametrize("glyphs", GLYPHS)
def test_an_interval_is_shaded_around_its_line(glyphs: Glyphs) -> None:
    band = Series(tail=tuple(Bucket(1000 * i, 0.0, i, 0.5, 0.2, 0.8) for i in range(5)))
    lines = (Line(series([0.5] * 5), "s0", band=band),)
    drawn = draw(Chart(lines, y_range=(0, 1), x_end=4000), 40, 14, glyphs)
    shaded = [any(span.style == "s0-" for span in row) for row in drawn]
    assert sum(shaded) >= 7
    assert not shaded[0]
    assert not shaded[-2]


@given(st.integers(0, 120), st.integers(0, 40))
def test_the_plan_finds_the_x_under_every_column_of_the_plot(width: int, height: int) -> None:
    laid = plan(Chart((Line(series([0.0, 1.0]), "s0", "label"),), x_end=1000), width, height)
    if laid is not None:
        found = [x for column in range(width) if (x := laid.x_at(column)) is not None]
        assert len(found) == laid.width
        assert found == sorted(found)
        assert all(0 <= x <= 1000 for x in found)


def test_a_steady_run_does_not_redraw_what_stands() -> None:
    """Growing by one point changes a few cells: what keeps a slow line usable."""
    values: list[float | None] = [100.0 + (i % 5) for i in range(300)]
    before = text(draw(Chart((Line(series(values), "s0"),)), 80, 12))
    after = text(draw(Chart((Line(series([*values, 101.0]), "s0"),)), 80, 12))
    changed = sum(a != b for old, new in zip(before, after, strict=True) for a, b in zip(old, new, strict=True))
    assert changed <= 12


# --- bars --------------------------------------------------------------------------------------------------------


@given(st.floats(-1, 2), st.integers(0, 60), st.sampled_from(GLYPHS))
def test_a_bar_has_its_width_whatever_the_share(share: float, width: int, glyphs: Glyphs) -> None:
    assert row_cells(bar(share, width, glyphs)) == width


@given(st.lists(st.floats(0, 10), max_size=6), st.integers(0, 60), st.sampled_from(GLYPHS))
def test_a_stacked_bar_has_its_width(shares: list[float], width: int, glyphs: Glyphs) -> None:
    assert row_cells(stacked([(share, "s0") for share in shares], width, glyphs)) == width


def test_the_parts_of_a_stacked_bar_differ_without_colour() -> None:
    assert text([stacked([(1, "s0"), (1, "s1"), (2, "s2")], 8)]) == ["██▓▓▒▒▒▒"]


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=80), st.integers(0, 50))
def test_a_sparkline_has_its_width(values: list[float | None], width: int) -> None:
    assert row_cells(spark(values, width)) == width


def test_a_sparkline_shows_lowest_highest_and_gaps() -> None:
    assert text([spark([0.0, 1.0, None, 0.5], 4)]) == ["▁█ ▅"]


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=120), st.integers(1, 50))
def test_resampling_never_exceeds_the_width(values: list[float | None], width: int) -> None:
    assert len(resampled(series(values), width)) <= width


@pytest.mark.parametrize("glyphs", GLYPHS)
def test_a_level_is_named_dotted_across_and_within_what_is_shown(glyphs: Glyphs) -> None:
    chart = Chart(lines=(Line(series([1.0, 2.0, 3.0]), "s0"),), levels=(Level(9.0, "solved"),))
    rows = text(draw(chart, 50, 12, glyphs))
    named = next(row for row in rows if "solved" in row)
    assert rows.index(named) < 6
    without = Chart(lines=chart.lines)
    assert "solved" not in "".join(text(draw(without, 50, 12, glyphs)))


def test_a_level_outside_a_given_range_is_not_drawn() -> None:
    line = Line(series([0.2, 0.4]), "s0")
    plain = draw(Chart(lines=(line,), y_range=(0.0, 1.0)), 50, 12)
    assert draw(Chart(lines=(line,), y_range=(0.0, 1.0), levels=(Level(7.0, "far"),)), 50, 12) == plain

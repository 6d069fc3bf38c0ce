"""Charts are text of an exact size that keeps what matters: spikes, gaps, ends, labels."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.charts.bars import bar, resampled, spark, stacked
from tui_trainer.charts.canvas import Canvas
from tui_trainer.charts.chart import Chart, Line, Mark, decimate, draw
from tui_trainer.charts.scale import nice_range, nice_step, roomy_end, ticks
from tui_trainer.charts.span import Glyphs, Row, Span, cells, cut, fit, row_cells
from tui_trainer.core.series import Series

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


# --- decimation --------------------------------------------------------------------------------------------------


def test_a_single_spike_survives_decimation() -> None:
    values: list[float | None] = [1.0] * 400
    values[137] = 9.0
    runs = decimate(series(values), 0, 400_000, 60)
    assert max(column.high for run in runs for column in run) == 9.0


def test_a_gap_splits_the_line() -> None:
    values: list[float | None] = [1.0] * 20 + [None] * 5 + [2.0] * 20
    assert len(decimate(series(values), 0, 45_000, 100)) == 2


def test_no_column_is_used_twice_in_a_run() -> None:
    runs = decimate(series([float(i % 7) for i in range(500)]), 0, 500_000, 40)
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

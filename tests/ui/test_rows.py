"""Rows are put together without losing a column or a word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.charts.span import Span, cells, row_cells
from tui_trainer.ui.rows import box, ends, most_important, over, plain, rest, wrapped


@given(st.text(max_size=80), st.integers(4, 40), st.integers(0, 2))
def test_wrapping_loses_no_character_and_fits(text: str, width: int, indent: int) -> None:
    rows = wrapped(text, width, indent=indent)
    assert all(row_cells(row) <= width for row in rows)
    assert "".join("".join(row[0].text.split()) for row in rows) == "".join(text.split())


def test_later_lines_are_indented() -> None:
    assert [row[0].text for row in wrapped("one two three", 7, indent=2)] == ["one two", "  three"]


@given(st.integers(0, 40), st.integers(0, 12))
def test_a_box_has_its_size(width: int, height: int) -> None:
    rows = box(plain("a title that is long"), [plain("日本語 text"), plain("more")], width, height)
    assert len(rows) == height
    assert all(row_cells(row) == width for row in rows)


@given(st.text(alphabet="ab日", max_size=12), st.integers(0, 16))
def test_the_rest_of_a_row_begins_at_its_column(text: str, start: int) -> None:
    assert row_cells(rest((Span(text),), start)) == max(0, cells(text) - start)


def test_what_lies_over_replaces_only_its_own_cells() -> None:
    below = [plain("abcdef"), plain("ghijkl"), plain("mnopqr")]
    rows = over(below, [plain("XY")], 6)
    assert ["".join(span.text for span in row) for row in rows] == ["abcdef", "ghXYkl", "mnopqr"]


def test_the_right_end_keeps_its_place() -> None:
    row = ends(plain("a long left side"), plain("12"), 8)
    assert "".join(span.text for span in row) == "a long12"


def test_the_least_important_rows_give_way_and_the_order_stays() -> None:
    rows = [(2, plain("b")), (0, plain("a")), (1, plain("c"))]
    assert [row[0].text for row in most_important(rows, 2)] == ["a", "c"]

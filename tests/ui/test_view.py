"""Only cells that changed are written, and writing them gives the new picture."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from textual.strip import Strip

from tui_trainer.charts.span import Row, Span, fit
from tui_trainer.ui.view import ExactCompositor, ExactUpdate, RunScreen, _cells, changed_spans

texts = st.text(alphabet="ab ·日█⠉", max_size=12)
rows = st.lists(st.tuples(texts, st.sampled_from(["", "dim", "s0"])), max_size=5)


def row(parts: list[tuple[str, str]]) -> Row:
    return fit(tuple(Span(*part) for part in parts), 30)


@given(rows, rows)
def test_the_changed_spans_turn_the_old_row_into_the_new(
    before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    old, new = _cells(row(before)), _cells(row(after))
    for left, right in changed_spans(row(before), row(after)):
        old[left:right] = new[left:right]
    assert old == new


@given(rows, rows)
def test_no_span_cuts_a_wide_character(before: list[tuple[str, str]], after: list[tuple[str, str]]) -> None:
    old, new = _cells(row(before)), _cells(row(after))
    for left, right in changed_spans(row(before), row(after)):
        for cells in (old, new):
            assert cells[left][0] != ""
            assert right == len(cells) or cells[right][0] != ""


def test_an_unchanged_row_costs_nothing() -> None:
    same = row([("abc", "s0")])
    assert changed_spans(same, same) == []


def test_a_changed_digit_costs_a_digit() -> None:
    assert changed_spans((Span("update 123"),), (Span("update 124"),)) == [(9, 10)]


def test_a_changed_style_counts_as_a_change() -> None:
    assert changed_spans((Span("ab"),), (Span("ab", "dim"),)) == [(0, 2)]


def test_a_partial_update_writes_its_span_and_nothing_beside_it() -> None:
    """Guards what is taken from inside Textual: a stock update would begin at the widget's left edge."""
    strip = Strip([Segment("abcdef"), Segment("ghijkl")])
    update = ExactUpdate([{0: strip}], [(0, 4, 8)], [[12]])
    assert update.render_segments(Console(color_system=None, force_terminal=True)) == "\x1b[1;5Hefgh"


async def test_the_screen_uses_exact_updates() -> None:
    screen = RunScreen(lambda name, character: None, lambda: None)
    assert isinstance(screen._compositor, ExactCompositor)

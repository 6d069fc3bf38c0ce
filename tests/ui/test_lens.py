"""How charts are looked at: a window that never leaves the run, a crosshair that never leaves the window."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.ui.lens import Lens, crossed, extent, panned, turned, whole, zoomed

lasts = st.floats(0, 1e10)
moves = st.lists(
    st.one_of(
        st.tuples(st.just("zoom"), st.sampled_from([0.5, 2.0, 0.7])),
        st.tuples(st.just("pan"), st.sampled_from([-0.25, 0.25, -3.0, 3.0])),
        st.tuples(st.just("cross"), st.sampled_from([-0.01, 0.01, -0.4, 0.4])),
    ),
    max_size=30,
)


def moved(lens: Lens, last: float, wishes: list[tuple[str, float]]) -> Lens:
    for name, amount in wishes:
        lens = {"zoom": zoomed, "pan": panned, "cross": crossed}[name](lens, last, amount)
    return lens


@given(lasts, moves)
def test_the_window_always_shows_part_of_the_run(last: float, wishes: list[tuple[str, float]]) -> None:
    start, end = extent(moved(Lens(), last, wishes), last)
    assert 0 <= start < end
    assert start <= last


@given(lasts, moves)
def test_the_crosshair_stands_in_the_run(last: float, wishes: list[tuple[str, float]]) -> None:
    cross = moved(Lens(), last, wishes).cross
    assert cross is None or 0 <= cross <= last


@given(lasts, moves)
def test_zooming_out_always_ends_at_the_whole_run(last: float, wishes: list[tuple[str, float]]) -> None:
    lens = moved(Lens(), last, wishes)
    for _ in range(20):
        lens = zoomed(lens, last, 2.0)
    assert extent(lens, last) == extent(Lens(), last)


def test_a_window_at_the_end_follows_the_run() -> None:
    lens = zoomed(Lens(), 1000.0, 0.5)
    assert lens.end is None
    assert extent(lens, 4000.0)[1] >= 4000.0


def test_a_window_that_was_moved_stays_where_it_is_while_the_run_goes_on() -> None:
    lens = panned(zoomed(Lens(), 1000.0, 0.25), 1000.0, -0.5)
    assert extent(lens, 1000.0) == extent(lens, 9000.0)


def test_zooming_keeps_the_crosshair_where_it_stands() -> None:
    lens = crossed(crossed(Lens(), 1000.0, -0.01), 1000.0, -0.4)
    before, after = extent(lens, 1000.0), extent(zoomed(lens, 1000.0, 0.5), 1000.0)
    assert lens.cross is not None
    share = [(lens.cross - start) / (end - start) for start, end in (before, after)]
    assert abs(share[0] - share[1]) < 0.01


def test_another_x_begins_anew() -> None:
    lens = turned(crossed(zoomed(Lens(), 1000.0, 0.5), 1000.0, 0.1))
    assert (lens.kind, lens.span, lens.cross) == ("time", None, None)
    assert turned(turned(lens)).kind == "steps"


def test_the_whole_keeps_what_is_no_window() -> None:
    lens = Lens(kind="update", smoothing=0.9, span=3.0, end=5.0, cross=4.0)
    assert whole(lens) == Lens(kind="update", smoothing=0.9)

"""Every size has a layout: nothing overlaps, nothing leaves the screen, what matters stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.ui.layout import arrange, maximised

sizes = st.tuples(st.integers(0, 320), st.integers(0, 120))


@given(sizes, st.booleans(), st.booleans(), st.booleans())
def test_no_two_panels_overlap_and_none_leaves_the_screen(
    size: tuple[int, int], replay: bool, ended: bool, logged: bool
) -> None:
    width, height = size
    taken: set[tuple[int, int]] = set()
    for place in arrange(width, height, replay=replay, ended=ended, logged=logged):
        assert place.x >= 0
        assert place.y >= 0
        assert place.x + place.width <= width
        assert place.y + place.height <= height
        cells = {(x, y) for x in range(place.x, place.x + place.width) for y in range(place.y, place.y + place.height)}
        assert not taken & cells
        taken |= cells


@given(sizes)
def test_no_panel_stands_twice(size: tuple[int, int]) -> None:
    names = [place.panel for place in arrange(*size)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("width", "height", "wanted"),
    [
        (40, 12, {"header", "manager", "win_rate", "recommendation", "footer"}),
        (80, 24, {"header", "manager", "win_rate", "speed", "recommendation", "machine", "status", "footer"}),
        (120, 40, {"manager", "win_rate", "speed", "losses", "recommendation", "machine", "game", "checkpoints",
                   "decisions", "log", "status", "footer"}),
        (200, 50, {"manager", "win_rate", "speed", "losses", "recommendation", "machine", "game", "checkpoints",
                   "decisions", "log", "status", "footer"}),
    ],
)  # fmt: skip
def test_what_is_essential_at_a_size_is_there(width: int, height: int, wanted: set[str]) -> None:
    assert wanted <= {place.panel for place in arrange(width, height)}


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 50)])
def test_the_screen_is_full(width: int, height: int) -> None:
    covered = sum(place.width * place.height for place in arrange(width, height))
    assert covered == width * height


def test_a_replay_has_a_timeline_and_an_ended_run_a_summary() -> None:
    assert "timeline" in {place.panel for place in arrange(80, 24, replay=True)}
    names = {place.panel for place in arrange(80, 24, ended=True)}
    assert "summary" in names
    assert "recommendation" not in names


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 50)])
def test_of_a_run_that_another_tool_logged_only_what_it_has_is_shown(width: int, height: int) -> None:
    names = {place.panel for place in arrange(width, height, replay=True, logged=True)}
    assert {"manager", "win_rate", "speed", "losses", "log", "timeline"} <= names
    assert not {"game", "checkpoints", "decisions", "recommendation", "machine"} & names


@given(sizes)
def test_a_maximised_panel_stays_on_the_screen(size: tuple[int, int]) -> None:
    for place in maximised("log", *size):
        assert place.y >= 0
        assert place.y + place.height <= max(0, size[1])

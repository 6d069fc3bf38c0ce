"""Limits and ETA: never negative, whatever the clock did."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.history import STEPS, Tale
from tui_trainer.core.progress import eta, limit_progress
from tui_trainer.core.state import RunState, fold


def test_the_limit_nearest_to_its_end_comes_first() -> None:
    state = fold(Tale().start(max_updates=100, max_steps=50 * STEPS, max_hours=1000).train(25).events)
    rows = limit_progress(state)
    assert [row.name for row in rows] == ["max_steps", "max_updates", "max_hours"]
    assert [row.fraction for row in rows[:2]] == [0.5, 0.25]


def test_at_a_steady_pace_the_eta_holds_the_truth() -> None:
    state = fold(Tale().start(max_updates=100).train(25).events)
    nearest = eta(state)
    assert nearest is not None
    _, (low, high) = nearest
    truth = 75 * STEPS / 1000.0
    assert low <= truth <= high
    assert high / low < 1.1


def test_hours_left_are_exact() -> None:
    state = fold(Tale().start(max_hours=1).train(10).events)
    assert [row.eta_s for row in limit_progress(state)] == [(3599.0, 3599.0)]


def test_before_the_first_update_the_eta_is_unknown() -> None:
    assert eta(fold(Tale().start(max_updates=5).events)) is None


def test_without_limits_there_is_no_progress() -> None:
    assert limit_progress(fold(Tale().start().train(3).events)) == ()


def test_a_limit_passed_is_full_and_now() -> None:
    state = fold(Tale().start(max_updates=5).train(9).events)
    (row,) = limit_progress(state)
    assert (row.fraction, row.eta_s) == (1.0, (0.0, 0.0))


FINITE = st.floats(-1e9, 1e9, allow_nan=False)


@settings(max_examples=200, deadline=None)
@given(
    jumps=st.lists(st.sampled_from([-86_400.0, 0.0, 1.0, 86_400.0]), max_size=8),
    speeds=st.lists(st.floats(-1e5, 1e7), min_size=1, max_size=8),
    elapsed=FINITE,
)
def test_no_eta_is_negative_whatever_the_clock_did(jumps: list[float], speeds: list[float], elapsed: float) -> None:
    tale = Tale().start(max_updates=100, max_steps=9_999, max_episodes=77, max_hours=2)
    for sps in speeds:
        tale.train(1, sps=sps)
    state: RunState = fold(tale.events)
    for jump in jumps:
        tale.time += jump
        state = state.apply(tale.train(1).events[-1])
    state = msgspec.structs.replace(state, elapsed_s=elapsed)
    for row in limit_progress(state):
        assert 0.0 <= row.fraction <= 1.0
        assert row.eta_s is None or 0.0 <= row.eta_s[0] <= row.eta_s[1]

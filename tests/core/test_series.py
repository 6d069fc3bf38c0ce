"""A series is bounded, even, keeps its ends and its spikes, and can be taken back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_trainer.core.series import CAPACITY, Series

VALUES = st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=3000)


def series(values: list[float | None], stride: int = 1) -> Series:
    made = Series()
    for i, value in enumerate(values, 1):
        made = made.append(10 * i * stride, 100.0 + i, i * stride, value)
    return made


LONG = series([math.sin(i / 300) for i in range(20_000)])


def test_a_long_history_keeps_one_even_resolution() -> None:
    inner = LONG.head[1:-1]
    assert {bucket.count for bucket in inner} == {LONG.stride}
    assert LONG.head[len(LONG.head) // 2].update == pytest.approx(10_000, rel=0.02)


def test_a_long_history_stays_within_its_capacity_and_uses_half_of_it() -> None:
    assert CAPACITY / 2 - 1 <= len(LONG.head) <= CAPACITY
    assert len(LONG.tail) <= 32


def test_the_shape_of_a_long_history_survives() -> None:
    worst = max(abs(b.mean - math.sin((b.update - LONG.stride / 2) / 300)) for b in LONG.head[1:-1] if b.mean)
    assert worst < 0.02


def test_a_spike_stays_visible_wherever_it_was() -> None:
    for place in (1, 500, 7_777, 11_999):
        values: list[float | None] = [0.0] * 12_000
        values[place] = 99.0
        assert max(b.high for b in series(values).buckets if b.high is not None) == 99.0


@settings(max_examples=30, deadline=None)
@given(VALUES)
def test_ends_count_order_and_bounds_hold(values: list[float | None]) -> None:
    made = series(values)
    buckets = made.buckets
    assert sum(b.count for b in buckets) == len(values)
    assert len(buckets) <= CAPACITY + 32
    assert [b.update for b in buckets] == sorted({b.update for b in buckets})
    assert all(b.first_update <= b.update for b in buckets)
    if values:
        assert (buckets[0].update, buckets[0].mean, buckets[0].count) == (1, values[0], 1)
        assert (buckets[-1].update, buckets[-1].mean, buckets[-1].count) == (len(values), values[-1], 1)
        assert made.last == buckets[-1]


@settings(max_examples=30, deadline=None)
@given(VALUES)
def test_low_mean_high_agree_and_reach_the_extremes(values: list[float | None]) -> None:
    buckets = series(values).buckets
    assert all(b.low <= b.mean <= b.high for b in buckets if b.mean is not None and b.low is not None and b.high)
    known = [v for v in values if v is not None]
    assert max((b.high for b in buckets if b.high is not None), default=None) == max(known, default=None)
    assert min((b.low for b in buckets if b.low is not None), default=None) == min(known, default=None)


@settings(max_examples=30, deadline=None)
@given(VALUES, st.integers(0, 3000))
def test_taken_back_it_ends_at_the_update(values: list[float | None], update: int) -> None:
    back = series(values).until(update, 10 * update)
    assert all(b.update <= update and b.step <= 10 * update for b in back.buckets)
    assert {b.first_update for b in back.buckets} == {
        b.first_update for b in series(values).buckets if b.first_update <= update
    }


def test_taken_back_within_the_exact_part_nothing_else_is_lost() -> None:
    full, short = series([float(i) for i in range(300)]), series([float(i) for i in range(280)])
    assert full.until(280, 2800).buckets == short.buckets


def test_after_going_back_new_points_follow_in_order() -> None:
    made = LONG.until(9_000, 90_000)
    for i in range(9_001, 15_000):
        made = made.append(10 * i, float(i), i, 1.0)
    updates = [b.update for b in made.buckets]
    assert updates == sorted(updates)
    assert len(made.head) <= CAPACITY
    assert made.buckets[0].update == 1


def test_a_series_of_unknown_values_is_unknown() -> None:
    assert all(b.mean is None for b in series([None] * 2000).buckets)


def test_an_unknown_value_has_no_say_in_the_mean() -> None:
    made = series([2.0 if i % 2 else None for i in range(5000)])
    assert {b.mean for b in made.head[1:]} == {2.0}

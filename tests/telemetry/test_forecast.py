"""When a disk will be full: a steady pace is believed, a single large file is not."""

from __future__ import annotations

import pytest

from tui_trainer.telemetry.forecast import EVERY_S, FARTHEST_S, SPAN_S, WINDOW_S, DiskPace

GIB = 2**30


def told(free_at: list[tuple[float, float]]) -> list[float | None]:
    pace = DiskPace()
    return [pace.observe(now, int(free * GIB)) for now, free in free_at]


def test_a_steady_pace_gives_the_time_that_is_left() -> None:
    samples = [(t, 100 - 0.01 * t) for t in range(0, 601, 2)]
    seconds = told(samples)
    assert all(s is None for s in seconds[: int(SPAN_S / 2)])
    assert seconds[-1] == pytest.approx(94 / 0.01, rel=0.01)


def test_one_large_file_is_no_pace() -> None:
    samples = [(t, 100 if t < 200 else 60) for t in range(0, 400, 2)]
    assert told(samples)[-1] is None


def test_checkpoints_written_and_pruned_are_no_pace() -> None:
    samples = [(t, 100 - 2 * ((t // 30) % 2)) for t in range(0, 900, 2)]
    assert told(samples)[-1] is None


def test_a_pace_that_has_stopped_is_forgotten_within_the_window() -> None:
    samples = [(t, 100 - 0.01 * min(t, 600)) for t in range(0, int(600 + WINDOW_S), 2)]
    seconds = told(samples)
    assert seconds[300] is not None
    assert seconds[-1] is None


def test_a_disk_that_lasts_for_months_says_nothing() -> None:
    slow = 50 / (2 * FARTHEST_S)
    assert told([(t, 100 - slow * t) for t in range(0, 600, 2)])[-1] is None


def test_however_often_it_is_sampled_little_is_kept() -> None:
    pace = DiskPace()
    for tick in range(20_000):
        pace.observe(tick * 0.2, 10 * GIB)
    assert len(pace._seen) <= WINDOW_S / EVERY_S + 1

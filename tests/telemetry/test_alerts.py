"""Alerts have hysteresis: raised once, cleared once, nothing in between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.core.events import AlertCleared, AlertRaised
from tui_trainer.core.values import Gpu, Resources
from tui_trainer.telemetry.alerts import AlertWatch, SpeedWatch


def machine(
    memory: float = 0.5, disk: float = 100.0, heat: float | None = None, full_s: float | None = None
) -> Resources:
    gpu = Gpu(index=0, name="H", utilisation=0, memory_used_gib=0, memory_total_gib=1, temperature_c=heat)
    return Resources(
        cpu_percent=0,
        process_cpu_percent=0,
        memory_used_gib=10 * memory,
        memory_total_gib=10,
        process_rss_gib=0,
        disk_free_gib=disk,
        disk_full_s=full_s,
        cores=1,
        gpus=() if heat is None else (gpu,),
    )


def told(samples: list[Resources]) -> list[str]:
    watch = AlertWatch()
    said = []
    for sample in samples:
        for event in watch.observe(sample):
            said.append(f"{event.key} {event.severity}" if isinstance(event, AlertRaised) else f"{event.key} over")
    return said


def test_memory_is_raised_past_90_percent_and_cleared_below_85() -> None:
    shares = (0.90, 0.91, 0.92, 0.86, 0.91, 0.85, 0.84, 0.5)
    assert told([machine(memory=share) for share in shares]) == ["memory warning", "memory over"]


def test_an_alert_that_turns_critical_is_said_again_but_not_when_it_eases() -> None:
    shares = (0.91, 0.98, 0.92, 0.98, 0.8)
    assert told([machine(memory=share) for share in shares]) == ["memory warning", "memory critical", "memory over"]


def test_a_disk_is_low_until_there_is_room_to_spare() -> None:
    free = (5.0, 1.9, 2.5, 0.4, 2.9, 3.1)
    assert told([machine(disk=gib) for gib in free]) == ["disk warning", "disk critical", "disk over"]


def test_a_disk_that_fills_is_told_half_an_hour_ahead_and_again_in_its_last_minutes() -> None:
    left = (7200.0, 1700.0, 2000.0, 299.0, 290.0, 3500.0, 3700.0)
    assert told([machine(full_s=s) for s in left]) == ["disk_pace warning", "disk_pace critical", "disk_pace over"]
    assert told([machine(full_s=600.0), machine(full_s=None)]) == ["disk_pace warning", "disk_pace over"]


def test_a_hot_gpu_is_named_by_its_index() -> None:
    assert told([machine(heat=celsius) for celsius in (60, 88, 85, 81)]) == ["gpu0_hot warning", "gpu0_hot over"]


def test_an_alert_about_a_gpu_that_is_gone_is_over() -> None:
    assert told([machine(heat=90), machine()]) == ["gpu0_hot warning", "gpu0_hot over"]


def test_the_text_has_the_figures() -> None:
    (event,) = AlertWatch().observe(machine(memory=0.93))
    assert isinstance(event, AlertRaised)
    assert event.text == "memory 93% full: 9.3 of 10.0 GiB"


def test_a_machine_at_ease_says_nothing() -> None:
    assert told([machine(heat=40.0)] * 5) == []


@given(st.lists(st.builds(machine, st.floats(0, 1), st.floats(0, 10), st.one_of(st.none(), st.floats(0, 120)))))
def test_raising_and_clearing_alternate(samples: list[Resources]) -> None:
    watch, open_keys = AlertWatch(), dict[str, str]()
    for sample in samples:
        for event in watch.observe(sample):
            if isinstance(event, AlertCleared):
                assert open_keys.pop(event.key)
            else:
                assert open_keys.get(event.key) in ((None,) if event.severity == "warning" else (None, "warning"))
                open_keys[event.key] = event.severity


# --- falling speed ---------------------------------------------------------------------------------------------------


def told_of(course: list[float], apart_s: float = 1.0) -> list[AlertRaised | AlertCleared]:
    """What is told while one measurement after the other comes in, so many seconds apart."""
    now = 0.0
    watch, found = SpeedWatch(lambda: now), []
    for sps in course:
        now += apart_s
        found += watch.observe(sps)
    return found


def speeds(course: list[float]) -> list[str]:
    return [type(event).__name__ for event in told_of(course)]


def test_fast_updates_that_jitter_are_no_fall() -> None:
    course = ([1000.0] * 40 + [400.0] * 15) * 20
    assert speeds(course) != []
    assert told_of(course, apart_s=0.01) == []


def test_a_lasting_fall_of_the_speed_is_told_once_with_advice_and_over_once_it_is_back() -> None:
    told = told_of([1000.0] * 60 + [500.0] * 40 + [1000.0] * 20)
    assert [type(event).__name__ for event in told] == ["AlertRaised", "AlertCleared"]
    assert isinstance(told[0], AlertRaised)
    assert told[0].text.startswith("SPS fell to 500 from 1,000: ")
    assert "tui-trainer profile" in told[0].text


@pytest.mark.parametrize(
    "course",
    [
        [1000.0] * 20 + [100.0] * 9,
        [1000.0, 1000.0, 1000.0, 100.0] * 40,
        [1000.0] * 100 + [800.0] * 100,
        [1000.0 - i for i in range(500)],
        [1000.0] * 60 + [0.0] * 60,
    ],
    ids=[
        "too early to know what is usual",
        "every fourth is an evaluation",
        "a fifth less",
        "a slow decline",
        "a pause",
    ],
)
def test_what_is_no_lasting_fall_is_not_told(course: list[float]) -> None:
    assert speeds(course) == []

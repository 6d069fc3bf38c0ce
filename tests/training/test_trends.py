"""Reading a course of evaluations."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.core.values import Difficulty
from tui_trainer.training.history import Point, Share
from tui_trainer.training.statistics import median, noise, theil_sen
from tui_trainer.training.trends import assess, chance_above, follow

from .world import SPACE, SPEC

SCORED = msgspec.structs.replace(SPEC, metric="score")
LOWER = msgspec.structs.replace(SCORED, higher_is_better=False)
SERIES = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=25)


def points(values: list[float], by: dict[str, list[float]] | None = None, level: int = 0) -> list[Point]:
    shares = by or {}
    return [
        Point(
            update=i,
            value=v,
            low=v - 0.02,
            high=v + 0.02,
            by={name: Share(column[i], column[i] - 0.08, column[i] + 0.05) for name, column in shares.items()},
            difficulty=Difficulty(level=level),
        )
        for i, v in enumerate(values)
    ]


def noisy(curve: list[float], sigma: float = 0.01, seed: int = 1) -> list[float]:
    r = random.Random(seed)
    return [v + r.gauss(0, sigma) for v in curve]


RISE = [0.02 * i for i in range(30)]
FLAT = [0.5] * 30
FALL = [0.9] * 15 + [0.5] * 15


@pytest.mark.parametrize(("curve", "name"), [(RISE, "improving"), (FLAT, "plateau"), (FALL, "degrading")])
def test_a_clear_course_is_named_with_confidence(curve: list[float], name: str) -> None:
    trend = assess(points(noisy(curve)), SCORED, None)
    assert trend.name == name
    assert trend.confidence > 0.9


@pytest.mark.parametrize(("curve", "name"), [(RISE, "degrading"), (FALL, "improving")])
def test_where_lower_is_better_the_course_is_turned(curve: list[float], name: str) -> None:
    trend = assess(points(noisy(curve)[:18]), LOWER, None)
    assert trend.name == name
    assert (trend.slope > 0) == (curve is RISE)
    assert trend.slope_ci[0] <= trend.slope <= trend.slope_ci[1]


def test_too_few_evaluations_tell_nothing() -> None:
    assert assess(points([0.1, 0.5, 0.9]), SCORED, None).name == "unknown"


def test_a_change_of_difficulty_begins_the_count_of_progress_and_falls_anew() -> None:
    values = noisy(FALL)
    assert assess(points(values), SCORED, None, restart=15).name != "degrading"
    assert assess(points(values), SCORED, None, restart=15).since_progress <= 14


def test_winning_at_the_present_level_is_excelling_and_losing_is_struggling() -> None:
    easy = {"random": [0.95] * 6, "1-ply": [0.1] * 6, "minimax-2": [0.0] * 6}
    assert assess(points([0.35] * 6, easy), SPEC, SPACE).name == "excelling"
    assert assess(points([0.35] * 6, easy, level=2), SPEC, SPACE).name == "struggling"


def test_the_present_level_is_judged_only_since_it_was_set() -> None:
    columns = {"random": [0.95] * 6, "1-ply": [0.1] * 6, "minimax-2": [0.0] * 6}
    history = points([0.35] * 4, columns) + points([0.35] * 6, columns, level=1)[4:]
    assert assess(history, SPEC, SPACE).name not in ("excelling", "struggling")


def test_single_bad_evaluations_are_no_fall() -> None:
    values = noisy(FLAT)
    values[10] = values[20] = values[29] = 0.1
    assert assess(points(values), SCORED, None).name == "plateau"


def test_equal_evaluations_are_no_proof_of_anything_but_standing_still() -> None:
    course = follow([0.5] * 30, sampling=0.02)
    assert (course.since_progress, course.fallen) == (29, 0)
    assert course.sigma == 0.005


@given(SERIES)
def test_the_slope_lies_in_its_interval_and_turns_with_the_series(values: list[float]) -> None:
    slope, turned = theil_sen(values), theil_sen([-v for v in values])
    assert slope.low <= slope.value <= slope.high
    assert turned.value == pytest.approx(-slope.value)
    assert turned.rising == pytest.approx(1 - slope.rising)


@given(st.floats(-5, 5), st.integers(3, 20))
def test_the_slope_of_a_line_is_exact(slope: float, count: int) -> None:
    assert theil_sen([slope * i for i in range(count)]).value == pytest.approx(slope, abs=1e-9)


def test_noise_is_found_around_any_line() -> None:
    r = random.Random(2)
    found = [noise([0.3 * i + r.gauss(0, 2.0) for i in range(40)]) for _ in range(200)]
    assert median(found) == pytest.approx(2.0, rel=0.1)


def test_the_chance_to_lie_above_a_threshold_is_even_at_the_threshold() -> None:
    assert chance_above([Share(0.8, 0.75, 0.85)] * 3, 0.8) == pytest.approx(0.5)
    assert chance_above([], 0.8) == 0


# --- the figures in the documentation ----------------------------------------------------------------------------


def generator() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "trends.py"
    spec = importlib.util.spec_from_file_location("trends_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def keeps_its_goals(count: int, seed: int) -> None:
    benchmark = generator()
    readings = benchmark.histories(count, seed)
    assert benchmark.false_stop_rate_of_rising(readings) < 0.01
    assert benchmark.found_within(readings, "plateau", ("plateau",), 20) >= 0.95
    assert benchmark.found_within(readings, "falling", ("degrading",), 20) >= 0.95


def test_generated_histories_are_read_well_enough_to_end_runs_by() -> None:
    keeps_its_goals(250, seed=5)


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_thousand_generated_histories_are_read_well_enough_to_end_runs_by(seed: int) -> None:
    keeps_its_goals(1000, seed)

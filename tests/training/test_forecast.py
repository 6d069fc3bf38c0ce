"""Where the reference evaluation goes: a fitted curve drawn on, ranges that widen, limits and targets."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import msgspec
import pytest

from tests.core.history import Tale
from tui_trainer.core.config import TerminationSettings
from tui_trainer.core.progress import forecast_told, target_told
from tui_trainer.core.state import RunState, fold
from tui_trainer.core.values import Difficulty
from tui_trainer.training import forecast
from tui_trainer.training.history import Point, Share
from tui_trainer.training.termination import Progress

from .world import SPEC, build

EVERY = 10


def points(curve: Callable[[float], float], count: int, noise: float = 0.0, seed: int = 1) -> list[Point]:
    r = random.Random(seed)
    found = []
    for i in range(1, count + 1):
        value = curve(EVERY * i) + r.gauss(0, noise)
        by = {"random": Share(value, value - 0.02, value + 0.02)}
        found.append(
            Point(update=EVERY * i, value=value, low=value - 0.02, high=value + 0.02, by=by, difficulty=Difficulty())
        )
    return found


def slow(update: float) -> float:
    """Rises by 0.05 with each e-fold of updates."""
    return 0.2 + 0.05 * math.log(update)


def line(curve: Callable[[float], float] = slow, count: int = 30, noise: float = 0.0) -> forecast.Line:
    found = forecast.fit(points(curve, count, noise))
    assert found is not None
    return found


def test_a_curve_that_slows_down_by_the_logarithm_is_found_exactly() -> None:
    found = line()
    assert found.slope == pytest.approx(0.05)
    assert found.level == pytest.approx(slow(300))


def test_what_rises_is_foretold_to_rise_less_than_it_did() -> None:
    told = forecast.at(line(), 600)
    assert slow(300) < told.value < slow(600) + 1e-9


def test_what_stands_still_is_foretold_to_stay() -> None:
    assert forecast.at(line(lambda update: 0.5), 900).value == pytest.approx(0.5)


def test_a_range_widens_with_the_distance() -> None:
    found = line(noise=0.01)
    widths = [forecast.at(found, 300 * far).high - forecast.at(found, 300 * far).low for far in (1.0, 1.5, 3.0)]
    assert widths == sorted(widths)
    assert widths[-1] > 1.5 * widths[0]


def test_a_mean_of_several_evaluations_is_surer_than_one() -> None:
    found = line(noise=0.02)
    one, six = forecast.at(found, 330), forecast.at(found, 330, averaged=6)
    assert six.high - six.low < one.high - one.low


def test_a_win_rate_stays_between_0_and_1() -> None:
    steep = line(lambda update: 0.9 + 0.01 * math.log(update), noise=0.05)
    told = forecast.at(steep, 5000, within=forecast.bounds(SPEC))
    assert 0 <= told.low <= told.value <= told.high <= 1


def test_nothing_is_foretold_from_too_few_evaluations() -> None:
    assert forecast.fit(points(slow, forecast.FEWEST - 1)) is None


def test_the_first_limit_at_the_pace_so_far_counts() -> None:
    settings = TerminationSettings(max_updates=1000, max_steps=40_000, max_hours=10)
    done = Progress(update=100, global_step=10_000, episodes=7, elapsed_s=3600)
    assert forecast.limit_update(settings, done, wall_clock=True) == ("max_steps", 400)
    hours = TerminationSettings(max_hours=2)
    assert forecast.limit_update(hours, done, wall_clock=True) == ("max_hours", 200)
    assert forecast.limit_update(hours, done, wall_clock=False) is None


def test_without_a_limit_it_looks_as_far_ahead_as_the_run_is_old() -> None:
    done = Progress(update=300, global_step=1, episodes=1, elapsed_s=1)
    told = forecast.foretell(points(slow, 30), SPEC, TerminationSettings(), done, wall_clock=True)
    assert told is not None
    assert (told.limit, told.update, told.target) == ("", 600, None)


def ends(target: str, noise: float = 0.002) -> forecast.Crossings | None:
    return forecast.target_updates(points(slow, 30, noise), SPEC, TerminationSettings(target=target))


def test_a_target_ahead_has_an_earliest_and_a_latest_update() -> None:
    found = ends(f"eval/win_rate >= {slow(330):.4f}")
    assert found is not None
    first, likely, last = found
    assert first is not None
    assert likely is not None
    assert 300 <= first <= likely < 900
    assert last is None or last > likely


def test_a_target_that_is_met_by_far_is_met_at_once() -> None:
    assert ends("eval/win_rate >= 0.1") == (300, 300, 300)


def test_a_target_out_of_reach_is_not_in_sight() -> None:
    assert ends("eval/win_rate >= 0.99") == (None, None, None)


def test_a_target_over_a_part_is_read_from_that_part() -> None:
    assert ends(f"eval/win_rate/random >= {slow(330):.4f}") is not None
    assert ends("eval/win_rate/nobody >= 0.1") is None


def test_a_target_over_anything_else_is_not_foretold() -> None:
    assert ends("train/loss < 0.1") is None


@pytest.mark.parametrize("higher", [True, False])
def test_an_expectation_points_where_better_is(higher: bool) -> None:
    spec = msgspec.structs.replace(SPEC, higher_is_better=higher, metric="cost")
    seen = points(lambda update: 0.5, 20, 0.01)
    hold, rise = (forecast.expectation(seen, spec, aim, 6) for aim in ("hold", "rise"))  # type: ignore[arg-type]
    assert (hold.high is None, rise.high is None) == (higher, higher)
    worst, best = hold.without if higher else hold.without[::-1]
    assert hold.holds(0.5)
    assert (hold.low, hold.high)[not higher] == worst
    assert (rise.low, rise.high)[not higher] == best


def test_four_of_five_later_scores_lie_in_the_range() -> None:
    """On curves of several shapes with noise; benchmarks/forecast.py has the figures by distance."""
    r = random.Random(5)
    inside = []
    for seed in range(300):
        rate = r.uniform(0.01, 0.08)
        bend = r.uniform(100, 900)
        shapes = (
            lambda u, a=rate: 0.2 + a * math.log(u),
            lambda u, a=rate, b=bend: 0.2 + 5 * a * (1 - math.exp(-u / b)),
            lambda u, a=rate, b=bend: 0.2 + 5 * a * min(1.0, u / b),
        )
        seen = points(r.choice(shapes), 60, 0.015, seed)
        found = forecast.fit(seen[:30])
        assert found is not None
        for later in (seen[35], seen[45], seen[59]):
            told = forecast.at(found, later.update)
            inside.append(told.low <= later.value <= told.high)
    assert 0.72 < sum(inside) / len(inside) < 0.92


def test_the_manager_tells_the_forecast_with_each_reading_of_the_trend() -> None:
    world = build(manager__evaluation__every_updates=2, manager__termination={"max_updates": 100, "patience": 90})
    world.update_by(20)
    readings = [e for e in world.events if type(e).__name__ == "TrendAssessed"]
    assert readings[2].forecast is None  # type: ignore[attr-defined]
    told = readings[-1].forecast  # type: ignore[attr-defined]
    assert (told.limit, told.update) == ("max_updates", 100)
    assert told.low <= 0.5 <= told.high


def foretold(target: forecast.Crossings | None) -> RunState:
    from tui_trainer.core.events import TrendAssessed
    from tui_trainer.core.values import Forecast

    tale = Tale().start(max_updates=400).train(100).evaluate()
    tale.add(
        TrendAssessed(
            trend="improving", confidence=0.9, slope=0.0, slope_ci=(0.0, 0.0), evaluations=5, stability=0.0,
            consistency=0.0, evidence="", termination="off",
            forecast=Forecast(limit="max_updates", update=400, value=0.6, low=0.55, high=0.64, target=target),
        )
    )  # fmt: skip
    return fold(tale.events)


def test_the_forecast_is_told_with_its_range_and_the_target_in_time() -> None:
    assert forecast_told(foretold(None)) == "55.0 to 64.0 % at update 400"
    assert target_told(foretold(None)) == ""
    assert target_told(foretold((200, 300, 400))) == "likely in 20 s (10-30 s)"
    assert target_told(foretold((200, 300, None))) == "likely in 20 s (from 10 s on)"
    assert target_told(foretold((200, None, None))) == "in 10 s at the earliest"
    assert target_told(foretold((None, None, None))) == "not in sight"
    assert forecast_told(RunState()) == ""

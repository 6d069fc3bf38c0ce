"""Parts become one result."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.core.values import PartResult
from tui_trainer.training.evaluation import merge, suite_seed
from tui_trainer.training.statistics import wilson

from .world import SPEC, part

REWARDS = msgspec.structs.replace(SPEC, metric="mean_reward", players=1)
PARTS = st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1).map(part), min_size=1)


def rewards(mean: float, std: float, episodes: int = 100) -> PartResult:
    return PartResult(episodes=episodes, mean=mean, std=std, min=mean - std, max=mean + std)


def test_every_part_weighs_the_same_however_many_episodes_it_had() -> None:
    assert merge(SPEC, {"a": part(1.0, 1000), "b": part(0.0, 10)}).value == 0.5


def test_one_part_keeps_its_own_interval() -> None:
    assert merge(SPEC, {"a": part(0.8)}).ci == pytest.approx(wilson(80, 100))


def test_two_equal_parts_narrow_the_interval_by_the_root_of_two() -> None:
    low, high = wilson(80, 100)
    result = merge(SPEC, {"a": part(0.8), "b": part(0.8)})
    assert result.ci == pytest.approx((0.8 - (0.8 - low) / math.sqrt(2), 0.8 + (high - 0.8) / math.sqrt(2)))


@given(PARTS)
def test_the_value_lies_in_its_interval_and_the_interval_between_zero_and_one(parts: dict[str, PartResult]) -> None:
    result = merge(SPEC, parts)
    assert -1e-9 <= result.ci[0] <= result.value + 1e-9
    assert result.value - 1e-9 <= result.ci[1] <= 1 + 1e-9


def test_a_mean_reward_has_the_normal_interval() -> None:
    assert merge(REWARDS, {"all": rewards(10, 2)}).ci == pytest.approx((10 - 0.392, 10 + 0.392), abs=1e-3)


def test_spread_and_extremes_are_those_of_all_episodes_together() -> None:
    result = merge(REWARDS, {"a": rewards(0, 1), "b": rewards(2, 1)})
    assert (result.mean, result.std, result.min, result.max) == pytest.approx((1, math.sqrt(2), -1, 3))
    assert result.episodes == 200


def test_a_metric_of_its_own_is_read_from_the_part() -> None:
    spec = msgspec.structs.replace(SPEC, metric="hit_ratio")
    result = merge(spec, {"a": PartResult(episodes=10, mean=5.0, extra={"hit_ratio": 0.4})})
    assert result.value == 0.4


def test_an_evaluation_without_parts_is_none() -> None:
    with pytest.raises(ValueError, match="at least one part"):
        merge(SPEC, {})


def test_each_suite_of_each_run_has_its_own_games() -> None:
    seeds = {suite_seed(run, suite) for run in range(500) for suite in ("reference", "present", "final")}  # type: ignore[arg-type]
    assert len(seeds) == 1500
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_wilson_has_the_published_values() -> None:
    """Newcombe 1998, table I: 81 of 263 and 0 of 20."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)

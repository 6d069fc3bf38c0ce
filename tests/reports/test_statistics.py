"""Statistics of runs, with numbers worked by hand."""

from __future__ import annotations

from statistics import fmean

import pytest

from tui_trainer.charts.smooth import smoothed
from tui_trainer.reports.statistics import best, bootstrap, iqm, quantile, reached, value_at

CURVE = [(100.0, 0.2), (200.0, 0.7), (300.0, 0.5), (400.0, 0.7)]


def test_smoothing_starts_at_the_first_value_and_weighs_the_newest_most() -> None:
    assert smoothed([4.0, 1.0], 0.5) == [4.0, 2.0]  # (0.5 * 4 + 1) / (0.5 + 1)


def test_the_interquartile_mean_leaves_both_outer_quarters_out() -> None:
    assert iqm([100.0, 2.0, 4.0, -50.0]) == 3.0


def test_the_interquartile_mean_counts_a_straddling_value_by_its_share() -> None:
    # five values: the middle holds 1.25 to 3.75, so 0.75 of the second, all of the third, 0.75 of the fourth
    assert iqm([0.0, 1.0, 2.0, 5.0, 9.0]) == pytest.approx((0.75 * 1 + 2 + 0.75 * 5) / 2.5)


def test_the_interquartile_mean_of_two_is_their_mean() -> None:
    assert iqm([1.0, 2.0]) == 1.5


def test_a_single_run_is_its_own_interval() -> None:
    assert bootstrap([0.7]) == (0.7, 0.7)


def test_the_bootstrap_of_two_runs_reaches_from_one_to_the_other() -> None:
    # a quarter of the resamples holds only the first, a quarter only the second: more than 2.5 % each
    assert bootstrap([0.2, 0.6]) == pytest.approx((0.2, 0.6))


def test_the_bootstrap_gives_the_same_interval_every_time_and_holds_the_mean() -> None:
    values = [0.61, 0.7, 0.55, 0.8, 0.66]
    low, high = bootstrap(values)
    assert (low, high) == bootstrap(values)
    assert min(values) < low < fmean(values) < high < max(values)


def test_a_quantile_lies_linearly_between_its_neighbours() -> None:
    assert quantile([0.0, 10.0, 20.0], 0.25) == 5.0
    assert quantile([0.0, 10.0, 20.0], 1.0) == 20.0


def test_the_best_is_the_earliest_of_equals_and_the_lowest_where_less_is_better() -> None:
    assert best(CURVE) == (200.0, 0.7)
    assert best(CURVE, higher=False) == (100.0, 0.2)
    assert best([]) is None


def test_the_value_at_a_step_is_the_newest_before_it() -> None:
    assert value_at(CURVE, 350.0) == 0.5
    assert value_at(CURVE, 99.0) is None


def test_a_threshold_is_reached_where_it_was_first_met() -> None:
    assert reached(CURVE, 0.5) == 200.0
    assert reached(CURVE, 0.9) is None
    assert reached(CURVE, 0.3, higher=False) == 100.0

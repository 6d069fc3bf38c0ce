"""Sessions side by side: the numbers are right, and only what differs is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cli.conftest import Run, root, tui
from tests.core.history import Tale
from tui_trainer.client.replay import fold_all
from tui_trainer.core.events import RunStarted
from tui_trainer.core.state import fold
from tui_trainer.errors import UsageError
from tui_trainer.reports.comparison import compare, differences, mean_curve, spread
from tui_trainer.reports.facts import Facts
from tui_trainer.reports.table import chart, text

__all__ = ["root", "tui"]

SAMPLE = Path(__file__).parents[2] / "sessions/sample"


def facts(name: str, scores: list[float], seed: int = 1, **ppo: Any) -> Facts:
    """A session that was evaluated every ten updates (1,000 steps)."""
    tale = Tale().start()
    for score in scores:
        tale.train(10).evaluate(score)
    events = [msgspec.structs.replace(e, seed=seed) if isinstance(e, RunStarted) else e for e in tale.events]
    return Facts(name, fold(events), {"run": {"seed": seed, "name": name}, "ppo": ppo}, "ended")


LONGER = facts("longer", [0.2, 0.9, 0.6], gamma=0.9)
SHORTER = facts("shorter", [0.4, 0.5], gamma=0.95)


def test_best_and_last_are_told_apart() -> None:
    line = compare([LONGER]).sessions[0]
    assert (line.best, line.best_step, line.last, line.last_step) == (0.9, 2000.0, 0.6, 3000.0)


def test_equal_steps_end_where_the_shortest_session_ends() -> None:
    compared = compare([LONGER, SHORTER])
    assert compared.equal_steps == 2000.0
    assert [line.at_equal_steps for line in compared.sessions] == [0.9, 0.5]


def test_thresholds_tell_steps_and_seconds_and_who_never_got_there() -> None:
    first, second = compare([LONGER, SHORTER], thresholds=[0.8]).sessions
    found = first.reached["0.8"]
    assert found is not None
    assert (found.steps, found.seconds) == (2000.0, 22.0)  # twenty updates and two evaluations, a second each
    assert second.reached == {"0.8": None}


def test_win_rates_that_nobody_reached_are_no_column() -> None:
    assert list(compare([SHORTER]).sessions[0].reached) == ["0.5"]


def test_only_settings_that_differ_are_shown() -> None:
    assert differences([LONGER, SHORTER]) == {"ppo.gamma": ("0.9", "0.95")}


def test_sessions_that_differ_in_their_seed_are_a_group_and_others_are_not() -> None:
    seeds = [facts(f"s{seed}", [0.1 * seed, 0.2 * seed], seed) for seed in (1, 2, 3)]
    (group,) = compare([*seeds, LONGER]).groups
    assert group.names == ("s1", "s2", "s3")
    assert group.last is not None
    assert group.last.mean == pytest.approx(0.4)
    assert group.last.ci[0] < 0.4 < group.last.ci[1]


def test_the_same_seed_twice_is_no_group() -> None:
    assert compare([facts("a", [0.1]), facts("b", [0.2])]).groups == ()


def test_a_spread_counts_those_that_have_a_value() -> None:
    found = spread([None, 0.25, 0.75])
    assert found is not None
    assert (found.mean, found.iqm) == (0.5, 0.5)
    assert spread([None]) is None


def test_of_a_loss_less_is_better() -> None:
    compared = compare([LONGER], "train/loss")
    assert not compared.higher_is_better
    assert compared.sessions[0].best == 1.0


def test_a_metric_that_nobody_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="train/loss"):
        compare([LONGER, SHORTER], "train/los")


def test_a_session_without_the_metric_shows_dashes() -> None:
    shown = text(compare([LONGER, Facts("empty", fold([]))]))
    assert next(line for line in shown.splitlines() if line.startswith("empty")).split()[1:5] == ["-", "-", "-", "-"]


def test_the_table_shows_what_differs_and_the_groups() -> None:
    shown = text(compare([facts("a", [0.5, 0.6], 1), facts("b", [0.4, 0.8], 2), LONGER]))
    assert "2 seeds: a, b" in shown
    assert any(line.split() == ["run.seed", "1", "2", "1"] for line in shown.splitlines())


@pytest.mark.parametrize("ascii_only", [True, False])
def test_the_chart_names_every_curve_and_fits(ascii_only: bool) -> None:
    drawn = chart(compare([LONGER, SHORTER]), 80, ascii_only=ascii_only)
    assert drawn.isascii() == ascii_only
    assert "longer" in drawn.splitlines()[0]
    assert "shorter" in drawn.splitlines()[0]
    assert max(len(line) for line in drawn.splitlines()) <= 80


def test_the_command_prints_one_object_with_json(tui: Run) -> None:
    done = tui("compare", str(SAMPLE), str(SAMPLE), "--json")
    (row,) = done.rows
    assert row["metric"] == "eval/win_rate"
    played = fold_all(SAMPLE / "events.jsonl").evaluations
    assert row["sessions"][0]["best"] == max(e.result.value for e in played)
    assert row["settings"] == {}


def test_the_command_refuses_a_metric_in_one_line(tui: Run) -> None:
    done = tui("compare", str(SAMPLE), "--metric", "eval/winrate")
    assert done.code == 2
    assert "eval/win_rate" in done.complaint


# --- means over seeds as curves ----------------------------------------------------------------------------------


def test_a_mean_curve_begins_when_all_runs_have_and_ends_with_the_shortest() -> None:
    curve = mean_curve([[(0.0, 0.0), (40.0, 0.8)], [(20.0, 0.2), (60.0, 0.6)]], columns=2)
    assert [(x, round(mean, 9)) for x, mean, _, _ in curve] == [(20.0, 0.1), (30.0, 0.1), (40.0, 0.5)]
    assert all(low <= mean <= high for _, mean, low, high in curve)


def test_a_mean_of_one_run_or_of_runs_that_never_met_is_no_curve() -> None:
    assert mean_curve([[(0.0, 1.0)], []]) == []
    assert mean_curve([[(0.0, 1.0), (1.0, 1.0)], [(5.0, 1.0)]]) == []


def test_one_evaluation_is_a_sign_on_the_chart() -> None:
    assert chart(compare([facts("once", [0.5])]), 60, ascii_only=True).count("*") == 2  # one in the legend

"""Sessions side by side on a screen: lines, a baseline, means over seeds, settings that differ."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from tests.reports.test_compare import facts
from tests.ui.waiting import see
from tui_trainer.charts.span import row_cells
from tui_trainer.cli.comparing import contrast
from tui_trainer.core.config import UiSettings
from tui_trainer.errors import UsageError
from tui_trainer.ui.compare import CompareApp
from tui_trainer.ui.contrast import Contrast, Desk, chart, draw_desk, is_rate, style_of
from tui_trainer.ui.look import Look
from tui_trainer.ui.view import RunView

RUNS = [
    facts("a-seed-1", [0.2, 0.4, 0.6], seed=1, gamma=0.9),
    facts("a-seed-2", [0.3, 0.5, 0.8], seed=2, gamma=0.9),
    facts("b-longer", [0.1, 0.5, 0.9, 0.7], seed=1, gamma=0.99),
]


def found(metric: str = "") -> Contrast:
    return contrast(RUNS, metric)


def shown(desk: Desk, width: int = 120, height: int = 40) -> str:
    rows = draw_desk(desk, width, height)
    return "\n".join("".join(span.text for span in row).rstrip() for row in rows)


def test_seeds_of_one_setting_are_one_mean_with_an_interval() -> None:
    (group,) = found().groups
    assert group.names == ("a-seed-1", "a-seed-2")
    last = group.mean["steps"].last
    assert last is not None
    assert (last.low, last.mean, last.high) == pytest.approx((0.6, 0.7, 0.8))
    assert group.text.startswith("mean of 2 seeds: last 70.0 % [60.0 %, 80.0 %], IQM 70.0 %")


def test_time_counts_from_each_sessions_own_start() -> None:
    series = found().entries[0].series
    assert series.buckets[0].time < 1000


def test_the_table_holds_scores_and_what_differs() -> None:
    text = shown(Desk(contrast=found()))
    for wanted in ("eval/win_rate", "a-seed-1", "b-longer", "70.0 %", "ppo.gamma", "0.99", "run.seed", "mean of 2"):
        assert wanted in text, wanted


def test_sessions_whose_settings_do_not_differ_are_shown() -> None:
    same = contrast([facts("a", [0.2, 0.4], seed=1), facts("b", [0.3, 0.5], seed=1)], "")
    assert same.settings == ()
    assert "50.0 %" in shown(Desk(contrast=same))


def test_a_baseline_is_what_the_others_are_measured_against() -> None:
    text = shown(Desk(contrast=found(), baseline="b-longer"))
    line = next(line for line in text.splitlines() if "a-seed-2" in line and "80.0 %" in line)
    assert "-10.0 %" in line  # 80 % against 90 % at the last step that all reached
    assert "base" in next(line for line in text.splitlines() if "● b-longer" in line)


def test_lines_differ_in_pattern_as_well_as_in_colour() -> None:
    styles = [style_of(index) for index in range(24)]
    assert len(set(styles)) == 24
    assert len({dash for _, dash in styles[:6]}) == 6


def test_a_run_with_one_evaluation_is_a_spot_even_on_another_ones_line() -> None:
    one = contrast([facts("many", [0.5, 0.5, 0.5]), facts("once", [0.5], gamma=0.5)], "")
    assert "•" in shown(Desk(contrast=one), 80, 24)
    assert "•" not in shown(Desk(contrast=one, hidden=frozenset({"once"})), 80, 24)
    seeds = contrast([facts("a", [0.4], seed=1), facts("b", [0.4], seed=2)], "")
    assert "•" in shown(Desk(contrast=seeds), 80, 24)


def test_a_learning_rate_is_no_share() -> None:
    assert [is_rate(name) for name in ("eval/win_rate", "train/learning_rate", "train/loss")] == [True, False, False]


@pytest.mark.parametrize("height", range(14, 40))
def test_settings_that_differ_are_never_a_heading_alone(height: int) -> None:
    """Where not all have room, it is told how many others there are."""
    many = {f"name{at}": 1 for at in range(12)}
    runs = [facts("a", [0.2, 0.3], seed=1), facts("b", [0.2, 0.3], seed=2, **many)]
    lines = [line.strip(" │") for line in shown(Desk(contrast=contrast(runs, "")), 80, height).splitlines()]
    heading = next((at for at, line in enumerate(lines) if line == "settings that differ"), None)
    named = sum(line.startswith(("ppo.name", "run.seed")) for line in lines)
    more = sum(int(line.split()[1]) for line in lines if line.startswith("… "))
    assert heading is None or named + more == 13
    assert heading is not None or named + more == 0


def test_single_runs_stand_back_behind_their_mean() -> None:
    lines = chart(Desk(contrast=found())).lines
    assert [line.style[-1:] == "-" for line in lines if line.name.startswith("a-seed")] == [True, True]
    alone = chart(Desk(contrast=found(), means=False)).lines
    assert all(not line.style.endswith("-") and line.band is None for line in alone)


@given(
    st.integers(0, 220), st.integers(0, 60), st.booleans(), st.sampled_from(["", "a-seed-1"]),
    st.sampled_from(["braille", "block", "ascii"]), st.booleans(),
)  # fmt: skip
def test_the_picture_has_the_screens_size(
    width: int, height: int, large: bool, baseline: str, glyphs: str, empty: bool
) -> None:
    look = Look(glyphs)  # type: ignore[arg-type]
    desk = Desk(contrast=None if empty else CONTRAST, large=large, baseline=baseline, look=look)
    rows = draw_desk(desk, width, height)
    assert len(rows) == height
    assert all(row_cells(row) == width for row in rows)


CONTRAST = found()


class Seat:
    def __init__(self, app: CompareApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def screen(self) -> str:
        return self.app.screen_stack[0].query_one(RunView).text()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.app.workers.wait_for_complete()
        await self.pilot.pause()


@asynccontextmanager
async def seated() -> AsyncIterator[Seat]:
    app = CompareApp(found, UiSettings(), look=Look(), baseline="a-seed-1")
    async with app.run_test(size=(120, 40)) as pilot:
        await app.workers.wait_for_complete()
        await pilot.pause()
        yield Seat(app, pilot)


async def test_tab_shows_the_next_metric_and_b_pins_the_chosen_session() -> None:
    async with seated() as seat:
        assert "baseline a-seed-1" in seat.screen
        await seat.press("down", "b")
        assert "baseline a-seed-2" in seat.screen
        before = seat.app.desk.contrast
        await seat.press("tab")
        after = seat.app.desk.contrast
        assert before is not None
        assert after is not None
        assert before.metric != after.metric


async def test_space_hides_a_line_and_g_the_means() -> None:
    async with seated() as seat:
        await seat.press("end", "down", "down", "space")
        assert "○ b-longer" in seat.screen
        assert "mean of 2" in seat.screen
        await seat.press("g")
        assert len(chart(seat.app.desk).lines) == 2


async def test_arrows_read_every_sessions_value() -> None:
    async with seated() as seat:
        await seat.press("left", "left")
        assert "steps" in seat.screen.splitlines()[2]
        assert "b-longer" in seat.screen.splitlines()[2]
        await seat.press("escape", "enter")
        assert "Scores" not in seat.screen
        await seat.press("escape", "escape")
    assert not seat.app.is_running


async def test_what_has_grown_is_compared_again_and_the_rest_stays() -> None:
    runs = [facts("a", [0.2, 0.4], seed=1), facts("b", [0.3, 0.6], seed=2)]
    has_grown = [False]
    read: list[str] = []

    def judge(metric: str) -> Contrast:
        read.append(metric)
        has_grown[0] = False
        return contrast(runs, metric)

    app = CompareApp(judge, UiSettings(), look=Look(), has_grown=lambda: has_grown[0], look_s=0.01)
    async with app.run_test(size=(120, 40)) as pilot:
        await see(pilot, lambda: app.screen_stack[0].query_one(RunView).text(), "● b")
        await pilot.press("down", "b")
        runs[1] = facts("b", [0.3, 0.6, 0.9], seed=2)
        assert len(read) == 1
        has_grown[0] = True
        while len(read) < 2 or "90.0 %" not in app.screen_stack[0].query_one(RunView).text():
            await pilot.pause(0.05)
        assert "baseline b" in app.screen_stack[0].query_one(RunView).text()
        assert read == ["", "eval/win_rate"]


async def test_what_cannot_be_compared_is_said() -> None:
    def nothing(metric: str) -> Contrast:
        raise UsageError("none of these sessions has values of x")

    app = CompareApp(nothing, UiSettings(), look=Look())
    async with app.run_test(size=(80, 24)) as pilot:
        await see(pilot, lambda: app.screen_stack[0].query_one(RunView).text(), "none of these sessions")
        await pilot.press("b", "up", "tab", "plus")
        await see(pilot, lambda: app.screen_stack[0].query_one(RunView).text(), "none of these sessions")

"""What came of a run fits the terminal and its encoding."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core import strategies
from tests.core.history import Tale
from tui_trainer.core.events import AnyEvent, stamp
from tui_trainer.core.state import RunState, fold
from tui_trainer.core.values import PartResult, Reason
from tui_trainer.headless.lines import interval_text
from tui_trainer.headless.summary import summary


def ended(updates: int = 200) -> RunState:
    tale = Tale().start(max_updates=updates)
    for number in range(1, updates // 10 + 1):
        tale.train(10, sps=90_000.0 + number).evaluate(number / (updates // 10)).save(number)
    return fold(tale.save(99, "best").end(Reason(name="max_updates", evidence=f"{updates} of {updates}")).events)


@pytest.mark.parametrize("width", [1, 20, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("charts", [True, False])
def test_every_line_fits_the_width(width: int, charts: bool) -> None:
    assert max(len(line) for line in summary(ended(), width, charts=charts).splitlines()) <= width


def test_it_says_why_it_ended_what_was_reached_and_what_is_saved() -> None:
    text = summary(ended(), 100, charts=False)
    assert "ended           max_updates: 200 of 200" in text
    assert "update 200      win_rate 1.0000 (0.1000 to 0.9000), 20 episodes" in text
    assert "  1-ply   100.0 % (10.0 % to 90.0 %)" in text
    assert "best            checkpoints/99-u200, score 0.5" in text
    assert "time            learn 75 %, env 25 %" in text
    assert "200 updates, 20.0k steps, 1,000 episodes" in text


def test_charts_show_win_rate_and_sps_over_steps() -> None:
    text = summary(ended(), 80, charts=True)
    assert "win_rate:  ● random 1  ○ 1-ply 1" in text
    assert "SPS:  ● SPS 90.0k" in text
    assert "20.0k" in text.splitlines()[-3]
    assert text.count("┌") == 2


def test_without_being_asked_there_are_no_charts() -> None:
    assert "┌" not in summary(ended(), 80, charts=False)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_it_can_be_written_in_every_encoding(encoding: str) -> None:
    text = summary(ended(), 80, charts=True, encoding=encoding)
    text.encode(encoding)
    assert "?" not in text


def test_in_ascii_the_curves_keep_different_marks() -> None:
    assert "win_rate:  * random 1  o 1-ply 1" in summary(ended(), 80, charts=True, encoding="ascii")


def test_what_can_be_done_next_depends_on_the_end() -> None:
    stopped = fold(Tale().start().train(1).save(1).end(Reason(name="user")).events)
    assert "tui-trainer resume demo" in summary(stopped, 100, charts=False)
    assert "tui-trainer resume demo" not in summary(ended(), 100, charts=False)


def test_a_run_that_did_nothing_has_a_summary() -> None:
    assert "0 updates" in summary(RunState(), 80, charts=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(strategies.of(AnyEvent), max_size=25), st.integers(1, 150), st.sampled_from(["ascii", "utf-8"]))
def test_no_history_breaks_it(story: list[AnyEvent], width: int, encoding: str) -> None:
    state = RunState()
    for seq, event in enumerate(story, 1):
        state = state.apply(stamp(event, seq=seq, time=float(seq), update=seq, global_step=seq))
    text = summary(state, width, charts=True, encoding=encoding)
    assert text.endswith("\n")
    assert "\x1b" not in text


def test_an_interval_is_in_the_unit_of_its_score() -> None:
    share = PartResult(episodes=10, mean=0.2, std=0.1, min=0.0, max=1.0, win_rate=0.5, ci=(0.25, 0.75))
    assert interval_text(share) == "(25.0 % to 75.0 %)"
    mean = msgspec.structs.replace(share, win_rate=None, ci=(480.0, 497.5))
    assert interval_text(mean) == "(480 to 497.5)"

"""Each event a person needs is one aligned, clean line."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core import strategies
from tests.core.history import Tale
from tests.core.test_events import HOSTILE
from tui_trainer.core import events
from tui_trainer.core.events import AnyEvent, Event, stamp
from tui_trainer.core.state import RunState, fold
from tui_trainer.core.text import is_clean
from tui_trainer.core.values import Difficulty, Reason
from tui_trainer.headless.lines import event_line

SILENT = {"TrendAssessed", "CheckpointsPruned", "ResourcesSampled", "RanksSampled", "FrameDrawn", "PhaseStarted"}


def last_line(tale: Tale) -> str:
    line = event_line(tale.events[-1], fold(tale.events))
    assert line is not None
    return line


def told(event: AnyEvent) -> str | None:
    tale = Tale().start(max_updates=100).train(12)
    tale.add(event)
    return event_line(tale.events[-1], fold(tale.events))


@pytest.mark.parametrize("kind", get_args(AnyEvent), ids=lambda kind: kind.__name__)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_every_event_is_one_clean_line_or_none(kind: type[Event], data: st.DataObject) -> None:
    event = stamp(data.draw(strategies.of(kind, HOSTILE)), seq=1, time=1e9, update=1, global_step=1)
    state = RunState().apply(event)
    line = event_line(event, state)
    if kind.__name__ in SILENT:
        assert line is None
    elif line is not None:
        assert is_clean(line)
        assert len(line.splitlines()) == 1


def test_columns_are_aligned() -> None:
    tale = Tale().start(max_updates=2000).train(1200, sps=123_456.0).evaluate().save(1).end()
    state, steps, words = RunState(), set(), set()
    for event in tale.events:
        state = state.apply(event)
        line = event_line(event, state) or ""
        words.add((line[19], line[20] == " ", line[31]))
        steps |= {line.index(" SPS")} if " update " in line else set()
    assert words == {(" ", False, " ")}
    assert len(steps) == 1


def test_an_evaluation_names_its_score_and_every_part() -> None:
    line = last_line(Tale().start().train(3).evaluate(0.978))
    assert line.endswith("eval        win_rate 0.9780 (0.1000 to 0.9000) · random 97.8 % · 1-ply 97.8 %")


def test_an_update_says_speed_and_when_the_run_ends() -> None:
    line = last_line(Tale().start(max_updates=1000).train(50))
    assert "5.00k steps · 1.00k SPS · loss" in line
    assert line.endswith("ends in 1.6 min by max_updates")


def test_advice_says_how_to_answer_it() -> None:
    line = last_line(Tale().start().advise(7))
    assert "7: make it harder · random → 1-ply · confidence 0.80 · tui-trainer accept|reject|try --id 7" in line


def test_a_save_that_failed_is_loud() -> None:
    line = told(events.CheckpointFailed(kind="best", why="No space left on device"))
    assert line is not None
    assert "NOT SAVED   best checkpoint: No space left on device" in line


def test_the_end_says_why_and_what_is_saved() -> None:
    line = last_line(Tale().start().train(1).end(Reason(name="diverged", evidence="NaN in the loss", exit_code=5)))
    assert "diverged: NaN in the loss · after 0:00 · saved checkpoints/1 · exit code 5" in line


def test_an_order_that_its_fact_tells_of_is_not_said_twice() -> None:
    assert told(events.CommandApplied(id="1", order="accept 1", by="user", effect="")) is None
    assert told(events.DifficultyChanged(old=Difficulty(), new=Difficulty(level=1), by="user", why="")) is not None
    assert told(events.CommandApplied(id="1", order="checkpoint", by="user", effect="")) is not None


def test_debug_lines_are_for_the_log_file() -> None:
    assert told(events.LogWritten(level="debug", text="x")) is None
    assert "log         error: x" in (told(events.LogWritten(level="error", text="x")) or "")


def test_a_text_of_several_lines_is_put_on_one() -> None:
    assert (told(events.LogWritten(level="info", text="a\nb\r\nc")) or "").endswith("a b c")


def test_a_metric_that_is_unknown_is_a_dash() -> None:
    tale = Tale().start().train(1, metrics={"train/loss": None, "rollout/ep_rew_mean": 12.5})
    assert "return   12.50 · loss       -" in last_line(tale)


def test_the_final_evaluation_names_its_checkpoint() -> None:
    evaluation = Tale().start().train(1).evaluate(0.5).events[-1]
    assert isinstance(evaluation, events.EvaluationFinished)
    final = msgspec.structs.replace(evaluation, suite="final", checkpoint="checkpoints/3")
    line = told(final)
    assert line is not None
    assert "final, unseen seeds: win_rate" in line
    assert line.endswith("checkpoints/3")

"""Every event survives the journal, comes out clean, and is folded."""

from __future__ import annotations

import json
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core import strategies
from tui_trainer.core import events
from tui_trainer.core.events import TRANSIENT, AnyEvent, Event, LogWritten, UpdateFinished, decode, encode, stamp
from tui_trainer.core.state import RunState
from tui_trainer.core.text import is_clean
from tui_trainer.core.values import RankLoad

KINDS: tuple[type[Event], ...] = get_args(AnyEvent)
CHARACTERS = st.characters(min_codepoint=0, max_codepoint=0x10FFFF, exclude_categories=())
HOSTILE = st.lists(
    st.one_of(
        CHARACTERS,
        st.sampled_from(
            ["\x1b]52;c;aGk=\x07", "\x1b[2J", "\x9b31m", "\u202e", "\x08", "\x7f", "\r", "\ud800", "\u2066", "\ufeff"]
        ),
    ),
    max_size=6,
).map("".join)


def texts_in(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case list() | tuple():
            return [text for item in value for text in texts_in(item)]
        case dict():
            return [text for pair in value.items() for text in texts_in(list(pair))]
        case _:
            return []


def test_the_union_names_every_event_class() -> None:
    assert set(KINDS) == set(Event.__subclasses__())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_an_event_comes_back_from_its_line_as_it_was(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(strategies.of(kind))
    line = encode(event)
    assert decode(line) == event
    assert b"\n" not in line
    assert json.loads(line)["type"] == kind.__name__


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_hostile_text_in_any_field_comes_out_clean(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(strategies.of(kind, HOSTILE))
    assert all(is_clean(text) for text in texts_in(msgspec.to_builtins(decode(encode(event)))))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_every_event_is_folded_and_moves_history_on(kind: type[Event], data: st.DataObject) -> None:
    event = stamp(data.draw(strategies.of(kind)), seq=7, time=50.0, update=3, global_step=30)
    state = RunState().apply(event)
    went_back = {"RunResumed": "from_update", "TryReturned": "to_update"}.get(type(event).__name__, "update")
    expected = getattr(event, went_back)
    assert (state.seq, state.time, state.update) == (7, 50.0, expected)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_every_event_but_the_purely_positional_leaves_a_trace(kind: type[Event], data: st.DataObject) -> None:
    event = stamp(data.draw(strategies.of(kind)), seq=0 if kind in TRANSIENT else 1, time=1.0, update=1, global_step=1)
    alerts = (events.AlertRaised(key="k", severity="warning", text="t"),)
    before = RunState(alerts=alerts, ranks=(RankLoad(rank=9, host="none", device="cpu"),))
    if isinstance(event, events.AlertCleared):
        event = msgspec.structs.replace(event, key="k")
    if isinstance(event, events.CheckpointsPruned):
        saved = data.draw(strategies.of(events.CheckpointSaved))
        before = msgspec.structs.replace(before, checkpoints=(saved,))
        event = msgspec.structs.replace(event, paths=(saved.path,))
    if isinstance(event, events.FrameDrawn):
        event = msgspec.structs.replace(event, text="board")
    if isinstance(event, events.CommandApplied):
        event = msgspec.structs.replace(event, order="checkpoint")
    after = before.apply(event)
    same_place = msgspec.structs.replace(
        before, seq=after.seq, time=after.time, update=after.update, global_step=after.global_step
    )
    assert after != same_place


@settings(max_examples=50, deadline=None)
@given(state=st.lists(strategies.of(AnyEvent), max_size=12))
def test_a_state_survives_the_wire(state: list[AnyEvent]) -> None:
    folded = RunState()
    for seq, event in enumerate(state, 1):
        folded = folded.apply(stamp(event, seq=seq, time=float(seq), update=seq, global_step=seq))
    assert msgspec.json.decode(msgspec.json.encode(folded), type=RunState) == folded


def test_a_transient_event_does_not_move_history_on() -> None:
    state = RunState(seq=5, update=2).apply(events.FrameDrawn(text="x", update=9))
    assert (state.seq, state.update, state.frame) == (5, 2, "x")
    assert state.durable().frame == ""


@pytest.mark.parametrize(
    "escape", ["\\u001b]52;c;x\\u0007", "\\b\\f\\r", "\\u202e", "\\u009b", "\x7f", "\x9b", "\\ufeff\u200b"]
)
def test_no_spelling_of_a_control_character_passes_decode(escape: str) -> None:
    event = decode(f'{{"type":"LogWritten","level":"info","text":"a{escape}b"}}'.encode())
    assert isinstance(event, LogWritten)
    assert is_clean(event.text)
    assert event.text.startswith("a·")
    assert event.text.endswith("·b")
    assert "\x1b" not in event.text


def test_newlines_and_tabs_of_a_board_stay() -> None:
    assert decode(encode(events.FrameDrawn(text="· X\n\tO"))) == events.FrameDrawn(text="· X\n\tO")


def test_a_file_name_that_is_no_unicode_does_not_stop_the_journal() -> None:
    event = decode(encode(LogWritten(level="error", text="cannot open \udcff.csv")))
    assert isinstance(event, LogWritten)
    assert event.text == "cannot open ·.csv"


def test_a_metric_that_is_not_finite_becomes_unknown() -> None:
    event = UpdateFinished(
        updates=1, metrics={"loss": float("nan"), "q": float("inf")}, sps=1, seconds={}, episodes=0, elapsed_s=1
    )
    back = decode(encode(event))
    assert isinstance(back, UpdateFinished)
    assert back.metrics == {"loss": None, "q": None}


@given(line=st.binary(max_size=60))
def test_whatever_is_no_event_is_refused_in_one_way(line: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"type":"Nonsense"}',
        b'{"type":"LogWritten","level":"loud","text":"x"}',
        b'{"type":"LogWritten","level":"info","text":"\xff"}',
        b'{"type":"LogWritten","level":"info","text":"x","\\u0061":' + b"[" * 100_000,
        b'{"type":"LogWritten","level":"info","text":"cut',
    ],
)
def test_a_damaged_line_is_refused_in_one_way(line: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode(line)


def test_an_unknown_field_of_a_newer_version_is_passed_over() -> None:
    assert decode(b'{"type":"AlertCleared","key":"disk","since":3}') == events.AlertCleared(key="disk")

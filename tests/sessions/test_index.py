"""The index beside a journal: with it, without it, or with a spoilt one, a history is the same."""

from __future__ import annotations

import random
import re
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.history import Tale
from tests.core.strategies import of
from tui_trainer.client.timeline import Timeline
from tui_trainer.core.events import AnyEvent, FrameDrawn, LogWritten, encode
from tui_trainer.core.state import RunState, fold
from tui_trainer.core.text import clean
from tui_trainer.errors import DamagedSession
from tui_trainer.sessions.index import EVERY, NAME, History, Keeper, state_at_end
from tui_trainer.sessions.journal import Journal, create_journal, read_journal
from tui_trainer.sessions.keyframes import Packer, Unpacker, Unusable


def tale(seed: int, length: int) -> list[AnyEvent]:
    """A run with curves, evaluations, checkpoints and resumes that undo some of it, in any order."""
    draw, told = random.Random(seed), Tale().start(max_updates=10_000)
    while len(told.events) < length:
        match draw.randrange(8):
            case 0:
                told.evaluate(draw.random())
            case 1:
                told.save(draw.randrange(1, 9))
            case 2 if draw.random() < 0.2:
                told.resume(draw.randrange(max(1, told.update)))
            case 3:
                told.add(LogWritten(level="info", text="größe → \\u0041 \n"[: draw.randrange(16)]))
            case _:
                told.train(draw.randrange(1, 60), metrics={"train/loss": draw.gauss(0, 1), "train/nan": None})
    return told.events


EVENTS = tale(1, 5 * EVERY + 300)
END = fold(EVENTS)


def write(directory: Path, events: list[AnyEvent]) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / "events.jsonl"
    if not path.exists():
        create_journal(path)
    writer = Journal(path)
    writer.append(events)
    writer.close()
    return path


def opened(path: Path) -> History:
    history = History(path)
    for _ in history.scan():
        pass
    return history


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal whose index was laid by folding it once."""
    path = write(tmp_path_factory.mktemp("indexed"), EVENTS)
    assert state_at_end(path) == END
    return path


def copied(path: Path, to: Path) -> Path:
    """The same journal and index in a place of their own."""
    for name in (path.name, NAME):
        (to / name).write_bytes((path.parent / name).read_bytes())
    return to / path.name


# --- the same as folding ---


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, len(EVENTS)), min_size=1, max_size=4))
def test_with_the_index_the_state_anywhere_is_the_fold(indexed: Path, places: list[int]) -> None:
    timeline = Timeline(opened(indexed))
    for place in places:
        assert timeline.state_at(place) == fold(EVENTS[:place])


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_at_every_keyframe_and_beside_it_the_state_is_the_fold(seed: int, tmp_path: Path) -> None:
    events = tale(seed, 3 * EVERY)
    path = write(tmp_path, events)
    state_at_end(path)
    timeline, state = Timeline(opened(path)), RunState()
    for place, event in enumerate(events):
        if place % EVERY in (0, 1, EVERY - 1):
            assert timeline.state_at(place) == state
        state = state.apply(event)
    assert timeline.state_at(len(events)) == state


def test_everything_a_timeline_knows_is_the_same_with_the_index(indexed: Path) -> None:
    plain, fast = Timeline(EVENTS), Timeline(opened(indexed))
    assert len(fast) == len(plain)
    for index in range(0, len(EVENTS), 37):
        assert (fast.time(index), fast.played_s(index)) == (plain.time(index), plain.played_s(index))
        assert fast.index_of_update(index) == plain.index_of_update(index)
        for kind in ("evaluation", "checkpoint", "resume"):
            assert fast.next_of(kind, index, 1) == plain.next_of(kind, index, 1)


def test_events_are_read_as_they_were_written(indexed: Path) -> None:
    history = opened(indexed)
    assert history[:] == EVENTS
    assert history[EVERY - 3 : EVERY + 3] == EVENTS[EVERY - 3 : EVERY + 3]
    assert history[-1] == EVENTS[-1]
    assert history[5:1] == []


def test_the_newest_keyframe_spares_folding_what_is_before_it(indexed: Path) -> None:
    history = History(indexed)
    assert history.laid == 5 * EVERY
    assert len(list(history.scan())) == len(EVENTS) - 5 * EVERY


def test_a_run_that_goes_on_extends_its_index(tmp_path: Path) -> None:
    path = write(tmp_path, EVENTS[: 2 * EVERY + 10])
    state_at_end(path)
    write(tmp_path, EVENTS[2 * EVERY + 10 :])
    assert History(path).laid == 2 * EVERY
    assert state_at_end(path) == END
    assert History(path).laid == 5 * EVERY
    timeline = Timeline(opened(path))
    for place in (EVERY + 5, 2 * EVERY, 4 * EVERY + 77):
        assert timeline.state_at(place) == fold(EVENTS[:place])


def test_a_replay_lays_the_index_by_itself(tmp_path: Path) -> None:
    path = write(tmp_path, EVENTS)
    timeline = Timeline(opened(path))
    for _ in timeline.indexing():
        pass
    timeline.close()
    assert History(path).laid >= 4 * EVERY
    assert state_at_end(path) == END


def test_a_short_session_gets_no_index(tmp_path: Path) -> None:
    state_at_end(write(tmp_path, EVENTS[: EVERY - 1]))
    assert not (tmp_path / NAME).exists()


def test_an_absent_journal_is_an_empty_history(tmp_path: Path) -> None:
    assert state_at_end(tmp_path / "events.jsonl") == RunState()


# --- laid while the run goes on ---


def recorded(path: Path, events: list[AnyEvent]) -> Keeper:
    """As an engine does it: the journal first, then the index."""
    create_journal(path) if not path.exists() else None
    keeper, writer = Keeper(path), Journal(path)
    for event in events:
        writer.append([event])
        keeper.note(event, encode(event))
    writer.close()
    keeper.close()
    return keeper


def test_a_run_lays_its_own_index(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert recorded(path, EVENTS).state == END
    assert History(path).laid == 5 * EVERY
    timeline = Timeline(opened(path))
    for place in (3, EVERY, 4 * EVERY - 1, len(EVENTS)):
        assert timeline.state_at(place) == fold(EVENTS[:place])
    plain = Timeline(EVENTS)
    for kind in ("decision", "evaluation", "checkpoint", "resume"):
        assert timeline.next_of(kind, 1000, 1) == plain.next_of(kind, 1000, 1)
    assert [timeline.index_of_update(update) for update in range(0, 3000, 97)] == [
        plain.index_of_update(update) for update in range(0, 3000, 97)
    ]


@pytest.mark.parametrize("cut", [1, EVERY - 1, EVERY, 2 * EVERY + 100])
def test_a_run_taken_up_goes_on_with_its_index(tmp_path: Path, cut: int) -> None:
    recorded(tmp_path / "events.jsonl", EVENTS[:cut])
    recorded(tmp_path / "events.jsonl", EVENTS[cut:])
    whole = write(tmp_path / "whole", EVENTS)
    state_at_end(whole)
    assert (tmp_path / NAME).stat().st_size >= whole.with_name(NAME).stat().st_size
    assert History(tmp_path / "events.jsonl").laid == 5 * EVERY
    assert Timeline(opened(tmp_path / "events.jsonl")).state_at(4 * EVERY + 9) == fold(EVENTS[: 4 * EVERY + 9])


def test_a_torn_line_before_a_run_is_taken_up_does_not_shift_it(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    recorded(path, EVENTS[:EVERY])
    path.write_bytes(path.read_bytes() + encode(EVENTS[EVERY])[:20])
    recorded(path, EVENTS[EVERY:])
    assert History(path).laid == 5 * EVERY
    assert opened(path)[:] == EVENTS
    assert opened(path).skipped == 1


def test_a_journal_that_holds_something_else_gets_no_keyframe(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    create_journal(path)
    keeper, writer = Keeper(path), Journal(path)
    for place, event in enumerate(EVENTS):
        if place != EVERY + 7:  # the disk refused this one
            writer.append([event])
        keeper.note(event, encode(event))
    assert History(path).laid == EVERY
    writer.close()
    path.unlink()
    keeper.note(EVENTS[-1], b"")


def test_a_keyframe_is_not_laid_on_a_line_that_reads_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    create_journal(path)
    keeper, writer = Keeper(path), Journal(path)
    for place, event in enumerate(EVENTS):
        line = encode(event)
        if place == 2 * EVERY - 1:
            with path.open("ab") as other:
                other.write(b"x" * len(line) + b"\n")
        else:
            writer.append([event])
        keeper.note(event, line)
    writer.close()
    assert History(path).laid == EVERY


def test_what_is_not_in_the_journal_is_not_in_the_index(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    create_journal(path)
    keeper, writer = Keeper(path), Journal(path)
    for event in EVENTS:
        writer.append([event])
        keeper.note(event, encode(event))
        keeper.note(FrameDrawn(text="x"), b"a line of another length")
    assert keeper.state == END
    assert History(path).laid == 5 * EVERY


# --- damaged lines in the journal ---


def test_damaged_and_doubled_lines_give_what_reading_through_gives(tmp_path: Path) -> None:
    draw, lines = random.Random(5), []
    for event in EVENTS:
        lines.append(encode(event))
        if draw.random() < 0.01:
            lines.append(draw.choice([b"{broken", encode(event), encode(EVENTS[3]), b""]))
    lines.insert(EVERY, b"{right before a keyframe")
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    read = read_journal(path)
    first, second = state_at_end(path), opened(path)
    assert first == fold(read.events)
    assert second.laid > 0
    assert second[:] == read.events
    assert second.skipped == read.skipped


def test_a_line_doubled_right_behind_a_keyframe_is_no_new_event(tmp_path: Path) -> None:
    lines = [encode(event) for event in EVENTS[: 2 * EVERY + 5]]
    lines.insert(2 * EVERY, lines[2 * EVERY - 1])
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    state_at_end(path)
    history = opened(path)
    assert history.laid == 2 * EVERY
    assert history[:] == EVENTS[: 2 * EVERY + 5]


# --- a spoilt index ---


def test_an_index_of_another_journal_is_not_believed(indexed: Path, tmp_path: Path) -> None:
    other = write(tmp_path, tale(9, len(EVENTS)))
    (tmp_path / NAME).write_bytes((indexed.parent / NAME).read_bytes())
    assert History(other).laid == 0
    assert state_at_end(other) == fold(read_journal(other).events)


def test_a_journal_cut_short_keeps_the_sections_that_still_fit(indexed: Path, tmp_path: Path) -> None:
    path = copied(indexed, tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: 3 * EVERY + 2]))
    assert History(path).laid == 3 * EVERY
    assert state_at_end(path) == fold(EVENTS[: 3 * EVERY + 2])


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes_and_cuts_change_no_state(indexed: Path, tmp_path: Path, seed: int) -> None:
    path, draw = copied(indexed, tmp_path), random.Random(seed)
    data = bytearray((tmp_path / NAME).read_bytes())
    for _ in range(draw.randrange(1, 4)):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    (tmp_path / NAME).write_bytes(data[: draw.choice([len(data), draw.randrange(len(data))])])
    timeline = Timeline(opened(path))
    place = draw.randrange(len(EVENTS))
    assert timeline.state_at(place) == fold(EVENTS[:place])
    assert state_at_end(path) == END


def test_an_index_of_another_fold_is_written_anew(indexed: Path, tmp_path: Path) -> None:
    path = copied(indexed, tmp_path)
    data = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(data[:8] + bytes(32) + data[40:])
    assert History(path).laid == 0
    assert state_at_end(path) == END
    assert (tmp_path / NAME).read_bytes() == data


def test_a_link_in_its_place_is_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path, EVENTS)
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / NAME).symlink_to(precious)
    assert state_at_end(path) == END
    assert precious.read_text() == "mine"


def test_of_two_at_once_one_writes(tmp_path: Path) -> None:
    path = write(tmp_path, EVENTS)
    first, second = Timeline(opened(path)), Timeline(opened(path))
    for one, other in zip(first.indexing(), second.indexing()):
        assert one == other
    first.close()
    second.close()
    assert state_at_end(path) == END
    timeline = Timeline(opened(path))
    assert timeline.state_at(3 * EVERY + 1) == fold(EVENTS[: 3 * EVERY + 1])


def test_a_journal_changed_under_our_hands_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, EVENTS[:40])
    history = opened(path)
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(DamagedSession, match=re.escape(str(path))):
        history[:]


# --- keyframes ---


@settings(max_examples=60, deadline=None)
@given(of(RunState, st.text(max_size=12).map(lambda text: clean(text).replace("\\", "/"))))
def test_any_state_comes_out_as_it_went_in(state: RunState) -> None:
    pieces, frame = Packer().pack(state)
    assert Unpacker(pieces.__getitem__).unpack(frame) == state


def test_a_text_that_reads_like_an_escape_is_folded_instead() -> None:
    pieces, frame = Packer().pack(RunState(paused_why="\\u0041"))
    with pytest.raises(Unusable, match="not clean"):
        Unpacker(pieces.__getitem__).unpack(frame)


def test_pieces_that_did_not_change_are_stored_once() -> None:
    packer = Packer()
    first, _ = packer.pack(fold(EVENTS[: 4 * EVERY]))
    again, _ = packer.pack(fold(EVENTS[: 4 * EVERY]))
    assert len(first) > 3
    assert again == []


def test_a_keyframe_with_a_terminal_escape_is_not_used() -> None:
    state = fold(EVENTS[:50])
    hostile = msgspec.structs.replace(state, paused_why="\x1b]0;owned\x07")
    pieces, frame = Packer().pack(hostile)
    with pytest.raises(Unusable, match="not clean"):
        Unpacker(pieces.__getitem__).unpack(frame)


@pytest.mark.parametrize("data", [b"", b"junk", zlib.compress(b"{}"), zlib.compress(b"[" * 100_000)])
def test_what_is_no_keyframe_is_not_used(data: bytes) -> None:
    with pytest.raises(Unusable):
        Unpacker([].__getitem__).unpack(data)

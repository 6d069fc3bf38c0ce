"""A replay plays what happened, gets everywhere fast, and folds to the state that was live."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.history import STEPS, Tale
from tui_trainer.client.replay import (
    Moment,
    ReplaySource,
    checked_speed,
    fold_all,
    open_replay,
    parse_at,
)
from tui_trainer.client.source import Happened, Link, News, Player, Position, Snapshot
from tui_trainer.client.timeline import CHUNK, KEYFRAME_EVERY, Timeline
from tui_trainer.core.commands import Pause
from tui_trainer.core.events import AlertRaised, AnyEvent, CommandApplied, DifficultyChanged, LogWritten, RunEnded
from tui_trainer.core.state import RunState, fold
from tui_trainer.core.values import Difficulty
from tui_trainer.errors import OrderRefused, UsageError
from tui_trainer.sessions.index import EVERY, History, state_at_end
from tui_trainer.sessions.journal import Journal, create_journal, iter_journal


def story(updates: int = 40) -> list[AnyEvent]:
    tale = Tale().start(max_updates=100)
    for number in range(1, updates // 10 + 1):
        tale.train(10).evaluate(number / 10).save(number)
    return tale.end().events


LONG = story(3 * KEYFRAME_EVERY)


class Viewer:
    """Folds what it hears, as a screen does."""

    def __init__(self, source: ReplaySource) -> None:
        self.source = source
        self.state = RunState()
        self.position = source.position
        self.link: Link | None = None
        self.snapshots = 0
        self.happened: list[AnyEvent] = []
        self._news: AsyncIterator[News] = source.news()

    async def until(self, enough: Callable[[Viewer], bool]) -> Viewer:
        async with asyncio.timeout(120):
            async for news in self._news:
                self._take(news)
                if enough(self):
                    break
        return self

    async def settled(self) -> Viewer:
        """Until a position is told and nothing plays."""
        self.position = msgspec.structs.replace(self.position, index=-1)
        return await self.until(lambda viewer: viewer.position.index >= 0 and not viewer.position.playing)

    def _take(self, news: News) -> None:
        match news:
            case Snapshot(state=state):
                self.state, self.snapshots = state, self.snapshots + 1
            case Happened(events=events):
                self.state = fold(list(events), self.state)
                self.happened += events
            case Position():
                self.position = news
            case Link():
                self.link = news
            case _:
                raise AssertionError(f"a replay says {news}")


def standing(events: list[AnyEvent], index: int = 0) -> ReplaySource:
    source = ReplaySource("demo", events, playing=False)
    source.seek(index)
    return source


# --- playing ---


async def test_played_to_the_end_it_folds_to_the_live_state() -> None:
    viewer = await Viewer(ReplaySource("demo", LONG, speed=0)).settled()
    assert viewer.happened == LONG
    assert viewer.state == fold(LONG)
    assert (viewer.position.index, viewer.position.total) == (len(LONG), len(LONG))


async def test_the_first_word_is_a_snapshot_then_a_position() -> None:
    news = ReplaySource("demo", story(), playing=False).news()
    first, second = await anext(news), await anext(news)
    assert isinstance(first, Snapshot)
    assert isinstance(second, Position)
    assert first.state == RunState()


async def test_time_passes_at_the_asked_speed() -> None:
    """Events are a second apart; at 20x, a second of ours holds about twenty."""
    viewer = Viewer(ReplaySource("demo", LONG, speed=20))
    start = time.monotonic()
    await viewer.until(lambda v: len(v.happened) >= 10)
    passed = time.monotonic() - start
    assert 0.35 <= passed < 60


async def test_a_long_gap_is_cut() -> None:
    tale = Tale().start()
    tale.add(LogWritten(level="info", text="next day"), after_s=86_400)
    timeline = Timeline(tale.events)
    assert timeline.played_s(2) == 2.0


async def test_a_clock_that_jumped_back_holds_nothing_up() -> None:
    tale = Tale().start()
    tale.add(LogWritten(level="info", text="back"), after_s=-86_400)
    tale.add(LogWritten(level="info", text="on"))
    timeline = Timeline(tale.events)
    assert timeline.played_s(3) <= 4.0
    assert timeline.time(3) == timeline.time(1)


async def test_a_process_that_slept_does_not_skip_what_it_missed() -> None:
    now = [0.0]
    source = ReplaySource("demo", LONG, speed=100, clock=lambda: now[0])
    viewer = Viewer(source)
    await viewer.until(lambda v: v.snapshots == 1)
    now[0] = 3600.0
    await viewer.until(lambda v: bool(v.happened))
    assert len(viewer.happened) <= 26


async def test_paused_it_says_nothing_and_burns_nothing() -> None:
    viewer = await Viewer(standing(story(), 5)).settled()
    burnt = time.process_time()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await viewer.until(lambda v: bool(v.happened))
    assert time.process_time() - burnt < 0.1


async def test_pause_and_play_are_told_and_obeyed() -> None:
    source = standing(story(), 5)
    viewer = await Viewer(source).settled()
    source.set_speed(1000)
    source.play()
    await viewer.until(lambda v: len(v.happened) > 3)
    assert viewer.position.playing
    source.pause()
    await viewer.settled()
    assert not viewer.position.playing
    assert viewer.state == fold(story()[: viewer.position.index])


async def test_play_at_the_end_starts_again() -> None:
    source = standing(story(), 10_000)
    viewer = await Viewer(source).settled()
    source.set_speed(0)
    source.play()
    await viewer.settled()
    assert viewer.happened == story()


async def test_an_empty_journal_is_an_empty_replay() -> None:
    source = ReplaySource("demo", [])
    viewer = await Viewer(source).settled()
    source.play()
    source.step(1)
    source.seek_update(5)
    assert not source.jump("checkpoint", 1)
    await viewer.settled()
    assert viewer.position == Position(0, 0, 0.0, False, 1.0)


# --- going places ---


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-5, len(LONG) + 5), min_size=1, max_size=6))
def test_the_state_anywhere_is_the_fold_up_to_there(places: list[int]) -> None:
    timeline = SHARED
    for place in places:
        index = max(0, min(len(LONG), place))
        assert timeline.state_at(place) == FOLDS[index // CHUNK].at(index)


class Fold:
    """States of a stretch of LONG, folded once."""

    def __init__(self, first: int, state: RunState) -> None:
        self.first = first
        self.state = state

    def at(self, index: int) -> RunState:
        return fold(LONG[self.first : index], self.state)


def _folds() -> list[Fold]:
    state, folds = RunState(), []
    for first in range(0, len(LONG) + 1, CHUNK):
        folds.append(Fold(first, state))
        state = fold(LONG[first : first + CHUNK], state)
    return folds


SHARED = Timeline(LONG)
FOLDS = _folds()


async def test_a_seek_gives_the_state_there() -> None:
    source = standing(LONG, 5000)
    viewer = await Viewer(source).settled()
    assert viewer.state == fold(LONG[:5000])
    source.seek(4321)
    await viewer.settled()
    assert viewer.state == fold(LONG[:4321])
    assert viewer.position.index == 4321
    assert viewer.position.time == LONG[4320].time


async def test_only_the_last_of_many_seeks_is_shown() -> None:
    source = standing(LONG)
    viewer = await Viewer(source).settled()
    for index in (6000, 10, 5000, 77):
        source.seek(index)
    await viewer.settled()
    assert viewer.snapshots == 2
    assert viewer.state == fold(LONG[:77])


async def test_a_seek_while_another_is_computed_wins() -> None:
    source = standing(LONG)
    viewer = await Viewer(source).settled()
    source.seek(len(LONG))
    asyncio.get_running_loop().call_later(0.01, source.seek, 3)
    await viewer.until(lambda v: v.position.index == 3 and v.snapshots > 1)
    assert viewer.state == fold(LONG[:3])


async def test_a_seek_does_not_hold_the_screen_up() -> None:
    """While a far seek is folded, the loop breathes: nothing waits for it longer than a moment."""
    gaps: list[float] = []

    async def screen() -> None:
        last = time.process_time()
        while True:
            await asyncio.sleep(0)
            gaps.append(time.process_time() - last)
            last = time.process_time()

    gc.collect()
    gc.freeze()  # what other tests left is not collected meanwhile
    task = asyncio.create_task(screen())
    await Viewer(standing(LONG, len(LONG))).settled()
    task.cancel()
    gc.unfreeze()
    assert len(gaps) > 20
    assert max(gaps) < 0.2


async def test_steps_go_forth_and_back_and_stand_still() -> None:
    source = ReplaySource("demo", LONG, speed=1)
    source.seek(3000)
    viewer = await Viewer(source).until(lambda v: v.snapshots == 1)
    for step, index in ((1, 3001), (-1, 3000), (-200, 2800), (10**9, len(LONG)), (-(10**9), 0)):
        source.step(step)
        await viewer.settled()
        assert viewer.position.index == index
        assert viewer.state == fold(LONG[:index])


async def test_an_update_is_found_by_its_number() -> None:
    source = standing(LONG)
    source.seek_update(25)
    viewer = await Viewer(source).settled()
    assert (viewer.state.update, viewer.state.global_step) == (25, 25 * STEPS)
    source.seek_update(10**9)
    await viewer.settled()
    assert viewer.position.index == len(LONG)


def test_an_update_is_found_on_the_branch_that_survived() -> None:
    tale = Tale().start().train(20).save(1).train(10).resume(20).train(30).resume(45).train(5)
    timeline = Timeline(tale.events)
    for update in (5, 20, 25, 45, 48, 50):
        state = timeline.state_at(timeline.index_of_update(update))
        assert state.update == update
    assert timeline.index_of_update(25) == [e.update for e in tale.events].index(25, 31) + 1
    assert timeline.index_of_update(0) == 1


@pytest.mark.parametrize(("kind", "word"), [("evaluation", "EvaluationFinished"), ("checkpoint", "CheckpointSaved")])
async def test_jumps_visit_every_event_of_a_kind_both_ways(kind: str, word: str) -> None:
    events = story()
    places = [i + 1 for i, event in enumerate(events) if type(event).__name__ == word]
    source = standing(events)
    seen = []
    while source.jump(kind, 1):
        seen.append(source.position.index)
    back = [source.position.index]
    while source.jump(kind, -1):
        back.append(source.position.index)
    assert seen == places
    assert back == places[::-1]


async def test_an_order_and_the_fact_it_made_are_one_decision() -> None:
    tale = Tale().start().train(1)
    tale.add(CommandApplied(id="1", order="accept 1", by="user", effect=""))
    tale.add(DifficultyChanged(old=Difficulty(), new=Difficulty(level=1), by="user", why=""))
    tale.add(AlertRaised(key="disk", severity="warning", text="full"))
    source = standing(tale.events)
    assert source.jump("decision", 1)
    assert source.position.index == 4
    assert not source.jump("decision", 1)
    assert source.jump("alert", 1)
    assert not source.jump("resume", -1)


async def test_every_decision_is_known_from_the_start_and_each_can_be_gone_to() -> None:
    tale = Tale().start().train(3)
    tale.add(CommandApplied(id="1", order="pause", by="user", effect="paused"))
    tale.train(500)
    tale.add(DifficultyChanged(old=Difficulty(), new=Difficulty(level=1), by="user", why=""))
    source = standing(tale.train(9).end().events)
    known = source.decisions()
    assert known == fold(tale.events).decisions
    assert len(known) == 3
    viewer = Viewer(source)
    for decision in known:
        source.seek_seq(decision.seq)
        await viewer.settled()
        assert viewer.state.decisions[-1] == decision


async def test_a_jump_to_nothing_known_says_what_there_is() -> None:
    with pytest.raises(UsageError, match="evaluation"):
        standing(story()).jump("breakfast", 1)


# --- manners ---


async def test_a_replay_takes_no_orders() -> None:
    with pytest.raises(OrderRefused, match="a replay takes no orders"):
        await standing(story()).send(Pause(id="1"))


@pytest.mark.parametrize("playing", [True, False])
async def test_closing_ends_the_news(playing: bool) -> None:
    source = ReplaySource("demo", LONG, playing=playing)
    viewer = Viewer(source)
    asyncio.get_running_loop().call_later(0.05, lambda: asyncio.ensure_future(source.close()))
    await viewer.until(lambda _: False)
    assert source.kind == "replay"
    assert source.readonly


async def test_it_is_a_player() -> None:
    player: Player = ReplaySource("de\x1bmo", story())
    assert player.name == "de·mo"


@pytest.mark.parametrize("speed", [-1.0, 0.5, 1001.0, float("nan"), float("inf")])
def test_an_impossible_speed_is_refused(speed: float) -> None:
    with pytest.raises(UsageError, match="1 to 1000"):
        checked_speed(speed)


# --- --at and files ---


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("update:1200", Moment("update", 1200)),
        ("12:30", Moment("elapsed", 750)),
        ("1:02:03", Moment("elapsed", 3723)),
        ("90s", Moment("elapsed", 90)),
        ("1.5h", Moment("elapsed", 5400)),
        ("10min", Moment("elapsed", 600)),
        ("2m", Moment("elapsed", 120)),
        ("end", Moment("end")),
        ("2026-03-01T14:05+00:00", Moment("clock", 1772373900.0)),
    ],
)
def test_at_is_read(text: str, moment: Moment) -> None:
    assert parse_at(text) == moment


@pytest.mark.parametrize("text", ["", "noon", "update:", "update:-1", "12:3:4:5", "99999-01-01", "\x1b[2J"])
def test_an_impossible_at_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="update:1200") as caught:
        parse_at(text)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("at", "index"), [("end", 49), ("update:0", 1), ("0:05", 6), ("1h", 49), ("1970-01-02", 0), ("update:10", 13)]
)
async def test_a_replay_starts_where_it_was_asked_to(at: str, index: int) -> None:
    events = story()[:49]
    position = ReplaySource("demo", events, at=parse_at(at)).position
    assert (position.index, position.playing) == (index, False)


async def test_a_position_is_looked_at_until_it_is_played_from(tmp_path: Path) -> None:
    path = journal(tmp_path / "events.jsonl", story())
    source = open_replay("demo", History(path), at="update:20", speed=0)
    viewer = await Viewer(source).settled()
    assert (viewer.state.update, viewer.happened) == (20, [])
    source.play()
    await viewer.settled()
    assert viewer.state == fold(story())


def journal(path: Path, events: list[AnyEvent]) -> Path:
    create_journal(path)
    writer = Journal(path)
    writer.append(events)
    writer.close()
    return path


async def test_a_journal_replays_and_folds_as_it_was_written(tmp_path: Path) -> None:
    path = journal(tmp_path / "events.jsonl", story())
    history = History(path)
    viewer = await Viewer(open_replay("demo", history, speed=0)).settled()
    assert history.skipped == 0
    assert viewer.state == fold_all(path) == fold(story())
    assert isinstance(viewer.happened[-1], RunEnded)


async def test_damaged_lines_are_counted_and_the_rest_replays(tmp_path: Path) -> None:
    path = journal(tmp_path / "events.jsonl", story())
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:5], b'{"broken\n', *lines[6:]]))
    history = History(path)
    source = open_replay("demo", history, at="end", playing=False)
    assert history.skipped == 1
    assert source.position.total == len(story()) - 1


# --- a history that is damaged while it is shown ---


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(bytes(2000))


@pytest.mark.parametrize("damage", [cut_off, overwritten, os.unlink])
@pytest.mark.parametrize("deed", ["play", "end", "seq", "decisions"])
async def test_damage_met_on_the_way_is_told_and_the_replay_goes_on(
    damage: Callable[[Path], None], deed: str, unindexed: Path, tmp_path: Path
) -> None:
    history = fresh(unindexed, tmp_path)
    source = open_replay("demo", history, speed=0, playing=False)
    viewer = await Viewer(source).until(lambda v: v.position.read == 1)
    damage(tmp_path / "events.jsonl")
    {"play": source.play, "end": lambda: source.seek(len(LONG)), "seq": lambda: source.seek_seq(len(LONG) - 5),
     "decisions": source.decisions}[deed]()  # fmt: skip
    if deed == "decisions" and source.damage is None:
        return  # no decision lies where the damage is
    await viewer.until(lambda v: v.link is not None and v.link.status == "lost")
    assert viewer.link is not None
    assert "tui-trainer sessions verify demo" in viewer.link.text
    assert viewer.state == fold(LONG[: source.position.index])
    if damage is not os.unlink:
        source.seek(5)
        await viewer.until(lambda v: v.position.index == 5 and v.link is not None and v.link.status == "live")
        assert viewer.state == fold(LONG[:5])


async def test_a_replay_that_begins_behind_damage_stands_at_the_beginning_and_says_so(
    unindexed: Path, tmp_path: Path
) -> None:
    place = 5 * EVERY + 100
    path = Path(shutil.copy(unindexed, tmp_path / "events.jsonl"))
    state_at_end(path)  # lays the index, which knows where each event ought to be
    ends = [entry.end for entry in iter_journal(path)]
    data = bytearray(path.read_bytes())
    data[ends[place - 20] : ends[place - 20] + 500] = bytes(500)
    path.write_bytes(data)
    source = open_replay("demo", History(path), at=f"update:{LONG[place].update}")
    viewer = await Viewer(source).until(lambda v: v.link is not None and v.link.status == "lost")
    await viewer.until(lambda v: v.position.index == 0)
    assert source.damage is not None
    source.seek(5)
    await viewer.until(lambda v: v.position.index == 5 and v.link is not None and v.link.status == "live")
    assert viewer.state == fold(LONG[:5])


@pytest.mark.parametrize("wrong", [2**70, -1])
async def test_a_line_with_an_impossible_update_is_a_damaged_line(wrong: int, tmp_path: Path) -> None:
    events = [msgspec.structs.replace(event, update=wrong) if event.seq == 9 else event for event in story()]
    history = History(journal(tmp_path / "events.jsonl", events))
    viewer = await Viewer(open_replay("demo", history, speed=0)).settled()
    assert (history.skipped, viewer.state.seq) == (1, len(events))


# --- a long history without an index ---


@pytest.fixture(scope="module")
def unindexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return journal(tmp_path_factory.mktemp("unindexed") / "events.jsonl", LONG)


def fresh(unindexed: Path, to: Path) -> History:
    """The journal alone: an index of another test's would be found."""
    return History(Path(shutil.copy(unindexed, to / "events.jsonl")))


async def test_a_long_history_is_shown_before_it_has_been_read(unindexed: Path, tmp_path: Path) -> None:
    source = open_replay("demo", fresh(unindexed, tmp_path), speed=1)
    assert 0 < source.position.total < len(LONG)
    assert source.position.read < 0.5
    viewer = await Viewer(source).until(lambda v: v.position.read == 1)
    assert viewer.position.total == len(LONG)
    assert viewer.position.playing
    await source.close()


async def test_the_end_is_shown_as_far_as_it_has_been_read_until_it_comes(unindexed: Path, tmp_path: Path) -> None:
    history = fresh(unindexed, tmp_path)
    source = ReplaySource("demo", history, unread=history.scan(), at=parse_at("end"), clock=itertools.count().__next__)
    viewer = await Viewer(source).until(lambda v: v.position.read == 1 and v.position.index == len(LONG))
    assert viewer.state == fold(LONG)
    assert viewer.snapshots > 2


async def test_played_as_fast_as_it_goes_it_waits_for_what_is_unread(unindexed: Path, tmp_path: Path) -> None:
    viewer = await Viewer(open_replay("demo", fresh(unindexed, tmp_path), speed=0)).settled()
    assert viewer.happened == LONG


async def test_another_place_asked_for_on_the_way_to_the_end_is_where_it_stays(unindexed: Path, tmp_path: Path) -> None:
    source = open_replay("demo", fresh(unindexed, tmp_path), at="end")
    viewer = await Viewer(source).until(lambda v: v.snapshots == 1)
    source.seek(7)
    await viewer.until(lambda v: v.position.read == 1 and v.position.index == 7)
    assert viewer.state == fold(LONG[:7])


@pytest.mark.parametrize("at", ["update:100", f"update:{10**6}", "1:00", "100h"])
async def test_a_moment_in_a_long_history_is_the_same_read_or_unread(at: str, unindexed: Path, tmp_path: Path) -> None:
    source = open_replay("demo", fresh(unindexed, tmp_path), at=at, playing=False)
    viewer = await Viewer(source).until(lambda v: v.position.read == 1 and v.position.index == known(at))
    assert viewer.state == fold(LONG[: known(at)])


def known(at: str) -> int:
    return ReplaySource("demo", LONG, at=parse_at(at)).position.index


async def test_an_update_of_a_branch_that_a_later_resume_replaced_is_found_on_the_other(tmp_path: Path) -> None:
    tale = Tale().start().train(1000).save(1).train(2000).resume(1000).train(2000)
    path = journal(tmp_path / "events.jsonl", tale.events)
    history, seconds = History(path), itertools.count(0.0)  # a slow machine: a breath at a time
    source = ReplaySource(
        "demo", history, unread=history.scan(), at=parse_at("update:1500"), playing=False, clock=seconds.__next__
    )
    wanted = Timeline(tale.events).index_of_update(1500)
    viewer = await Viewer(source).until(lambda v: v.position.read == 1 and v.position.index == wanted)
    assert viewer.state == fold(tale.events[:wanted])


@pytest.mark.long
async def test_a_history_of_200_000_events_is_seekable_at_once() -> None:
    events = story(160_000)
    timeline = Timeline(events)
    assert len(events) > 190_000
    timeline.state_at(len(events))
    for index in (len(events) // 2, 123_456, 123_455, 5):
        start = time.process_time()
        state = timeline.state_at(index)
        assert time.process_time() - start < 0.3
        assert state.seq == index

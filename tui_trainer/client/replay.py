"""A saved session as a RunSource: plays its events again, with pause, speed, step, seek and jump."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from tui_trainer.client.source import Happened, Link, News, Position, Snapshot
from tui_trainer.client.timeline import Timeline
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.state import Decision, RunState
from tui_trainer.core.text import clean_line
from tui_trainer.errors import DamagedSession, OrderRefused, UsageError
from tui_trainer.sessions.index import History, state_at_end
from tui_trainer.sessions.landmarks import KINDS

MAX_SPEED = 1000.0
TICK_S = 0.05
"""Between two batches while playing: twice as fine as the fastest repaint."""
BATCH = 256
"""Most events handed over at once, so that a view never folds for long."""
_READ_AT_ONCE = 2_000
"""Events read before the first frame; a longer history is read on behind it."""
_BREATH_EVENTS = 256
"""Events read between two breaths: a few milliseconds."""
_FRAME_S = 0.3
"""What has been read on the way to a wanted moment is shown so often."""
_BREATH_S = 0.02
"""Rest between two pieces of background indexing."""
_LONGEST_TICK_S = 0.25
"""A suspended process does not skip what it slept through."""


# --- where to begin ---


class Moment(msgspec.Struct, frozen=True):
    """A place in history: the end of an update, seconds since the start, a Unix time, or the end (`value` unused)."""

    kind: Literal["update", "elapsed", "clock", "end"]
    value: float = 0.0


def parse_at(text: str) -> Moment:
    """Read `--at`: `update:1200`, `12:30` or `1:02:03` or `90s` since the start, `2026-03-01T14:05`, `end`.

    Raises UsageError with these examples.
    """
    text = text.strip()
    if text == "end":
        return Moment("end")
    if found := re.fullmatch(r"update:(\d{1,15})", text):
        return Moment("update", int(found[1]))
    if found := re.fullmatch(r"(?:(\d{1,6}):)?(\d{1,6}):(\d{1,2})", text):
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return Moment("elapsed", 3600.0 * hours + 60 * minutes + seconds)
    if found := re.fullmatch(r"(\d{1,9}(?:\.\d+)?)(s|min|m|h)", text):
        return Moment("elapsed", float(found[1]) * {"s": 1, "h": 3600}.get(found[2], 60))
    return Moment("clock", _clock(text))


def _clock(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"--at {clean_line(text, 60)!r}: no place in a session",
            "write update:1200, 12:30 or 90s after the start, 2026-03-01T14:05, or end",
        ) from None


def fold_all(journal: Path) -> RunState:
    """The state at the end of a journal."""
    return state_at_end(journal)


# --- the player ---


class ReplaySource:
    """Plays `events` (in order, as a journal holds them) at `speed`; with `at` it stands there until `play`.

    Those that `unread` yields first join `events` while it is shown. A moment that has not been read yet is shown as
    far as it has been, until it comes. What cannot be read of a damaged history is told as a lost line, and it stands
    where it stood.
    """

    kind: Literal["replay"] = "replay"
    readonly = True

    def __init__(
        self,
        name: str,
        events: Sequence[AnyEvent],
        *,
        unread: Iterator[AnyEvent] | None = None,
        speed: float = 1.0,
        at: Moment | None = None,
        playing: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = clean_line(name, 200)
        self._timeline = Timeline(events, unread)
        self._timeline.read(_READ_AT_ONCE)
        self._wanted = None if self._is_whole else at
        self._index = self._index_of(at) if at else 0
        self._clock = clock
        self._speed = checked_speed(speed)
        self._playing = playing and at is None and not self._is_at_end(self._index)
        self._played_s = self._timeline.played_s(self._index)
        self._ticked = clock()
        self._target: int | None = self._index
        self._stale = True
        self._closed = False
        self._wake = asyncio.Event()
        self._indexing = self._timeline.indexing()
        self.damage: DamagedSession | None = None
        """Why a part of the history could not be read when it was last asked for."""
        self._damage_told = False
        self._has_begun = False
        """Whether a state has been shown."""

    @property
    def name(self) -> str:
        """The session's name, clean."""
        return self._name

    @property
    def position(self) -> Position:
        """Where the replay stands, a seek on its way included."""
        index = self._here
        line = self._timeline
        return Position(index, len(line), line.time(index), self._playing, self._speed, line.read_share)

    async def send(self, command: AnyCommand) -> None:
        """Always OrderRefused: what happened cannot be ordered."""
        raise OrderRefused("a replay takes no orders", "fork the session or attach to a live run")

    async def close(self) -> None:
        """End `news`."""
        self._closed = True
        self._timeline.close()
        self._wake.set()

    # --- the transport ---

    def play(self) -> None:
        """Go on; at the end, from the beginning."""
        if self._is_at_end(self._here):
            self.seek(0)
        self._playing = len(self._timeline) > 0
        self._tell()

    def pause(self) -> None:
        """Stand still."""
        self._playing = False
        self._tell()

    def set_speed(self, speed: float) -> None:
        """1..1000 times real time; 0 = as fast as it goes."""
        self._speed = checked_speed(speed)
        self._tell()

    def step(self, events: int) -> None:
        """Pause, then go forward or (negative) backward by so many events."""
        self._playing = False
        self.seek(self._here + events)

    def seek(self, index: int) -> None:
        """Go to the state after the first `index` events; the nearest there is. Behind all that is read: to the end."""
        self._target = max(0, min(len(self._timeline), index))
        self._wanted = None if self._is_whole or index < len(self._timeline) else Moment("end")
        self._tell()

    def seek_update(self, update: int) -> None:
        """Go to the end of an update, on the branch that survived later resumes."""
        self.seek_to(Moment("update", update))

    def seek_seq(self, seq: int) -> None:
        """Go to just after the event with this number."""
        try:
            self.seek(self._timeline.index_of_seq(seq))
        except DamagedSession as damage:
            self._met(damage)

    def decisions(self) -> tuple[Decision, ...]:
        """Every decision of the session, oldest first; outcomes are told where they happen. None where they are
        damaged.
        """
        try:
            return self._timeline.decisions()
        except DamagedSession as damage:
            self._met(damage)
            return ()

    def seek_to(self, moment: Moment) -> None:
        """Go to a moment."""
        self.seek(self._index_of(moment))
        self._wanted = None if self._is_whole else moment

    def replace(self, events: Sequence[AnyEvent]) -> None:
        """Take another history, such as this one grown: stands where it stood, at the end where it stood there."""
        here, was_end = self._here, self._is_at_end(self._here)
        self._timeline.close()
        self._timeline = Timeline(events)
        self._indexing = self._timeline.indexing()
        self.seek(len(events) if was_end else here)

    def jump(self, kind: str, direction: int) -> bool:
        """To just after the next (1) or previous (-1) event of a kind; False if there is none.

        Kinds: decision, evaluation, checkpoint, alert; also level, recommendation, resume, end. Others: UsageError.
        """
        if kind not in KINDS:
            raise UsageError(f"{clean_line(kind, 40)!r} is nothing to jump to", f"one of {', '.join(KINDS)}")
        found = self._timeline.next_of(kind, self._here, direction)
        if found is not None:
            self.seek(found)
        return found is not None

    # --- what the view hears ---

    async def news(self) -> AsyncIterator[News]:
        """A snapshot first; then events while playing, a snapshot after each seek, a position after either."""
        while not self._closed:
            self._wake.clear()
            try:
                if (step := await self._step()) is not None:
                    self.damage = None if self._has_begun else self.damage
                    self._has_begun = True
                    yield step
                await self._read_on()
            except DamagedSession as damage:
                self._met(damage)
            if (self.damage is not None) != self._damage_told:
                self._damage_told = not self._damage_told
                yield Link("lost", self._damage_words()) if self._damage_told else Link("live", "")
            if self._stale and self._target is None:
                self._stale = False
                yield self.position
            if self._target is None and not self._stale and not self._closed:
                await self._rest()

    async def _step(self) -> Snapshot | Happened | None:
        """The state at a place that was asked for, or what is due while playing."""
        if self._target is not None:
            state = await self._sought()
            return None if state is None else Snapshot(state)
        batch = self._due() if self._playing else ()
        self._stale |= bool(batch)
        return Happened(batch) if batch else None

    def _met(self, damage: DamagedSession) -> None:
        """Stand still where the history could be read; at its beginning where nothing has been shown yet."""
        self.damage = damage
        self._target = self._wanted = None
        if not self._has_begun:
            self._index = self._target = 0
        self._played_s = self._timeline.played_s(self._index)
        self.pause()

    def _damage_words(self) -> str:
        return f"damaged history: tui-trainer sessions verify {self._name} tells more"

    async def _read_on(self) -> None:
        """Read a breath's worth; what somebody waits for, for as long as a frame stands."""
        line, until = self._timeline, self._clock() + _FRAME_S
        while not line.is_whole:
            line.read(_BREATH_EVENTS)
            self._stale = True
            await asyncio.sleep(0)
            if self._wanted is None or self._wake.is_set() or self._clock() >= until:
                break
        if self._wanted is not None:
            self._approach(self._wanted)

    def _approach(self, wanted: Moment) -> None:
        """Go there, or as far as has been read. Which branch of an update survived, only the whole history tells."""
        found, line = self._index_of(wanted), self._timeline
        self._target = found if found != self._index else self._target
        if self._is_whole or (found < len(line) and wanted.kind != "update"):
            self._wanted = None

    async def _sought(self) -> RunState | None:
        """The state at the target, however often it moves while it is computed; None when closed meanwhile."""
        state = None
        while (target := self._target) is not None and not self._closed:
            state = await self._folded_to(target)
        self._ticked = self._clock()
        self._stale = True
        return state

    async def _folded_to(self, target: int) -> RunState | None:
        """The state there, folded in breaths; None when the target moved or the replay was closed meanwhile."""
        reached = None
        for state in self._timeline.approach(target):
            reached = state
            await asyncio.sleep(0)
            if self._target != target or self._closed:
                return None
        self._target, self._index, self._played_s = None, target, self._timeline.played_s(target)
        return reached

    def _due(self) -> tuple[AnyEvent, ...]:
        """Events whose time has come, at most a batch; stops playing at the end."""
        first, total = self._index, len(self._timeline)
        stop = min(first + BATCH, total, max(first, self._playhead()))
        events = tuple(self._timeline.events[first:stop])
        self._index = stop
        if self._index == first + BATCH:
            self._played_s = self._timeline.played_s(self._index)
        if self._is_at_end(self._index):
            self._playing, self._stale = False, True
        return events

    def _playhead(self) -> int:
        """Index that playing has reached by the clock."""
        now = self._clock()
        passed = min(_LONGEST_TICK_S, max(0.0, now - self._ticked))
        self._ticked = now
        if self._speed == 0:
            return len(self._timeline)
        self._played_s += passed * self._speed
        return self._timeline.index_of_played(self._played_s)

    async def _rest(self) -> None:
        """Sleep until something is due or was asked for; lay keyframes meanwhile."""
        is_more = self._index < len(self._timeline)
        if (self._playing and self._speed == 0 and is_more) or not self._timeline.is_whole:
            await asyncio.sleep(0)
            return
        limit = TICK_S if self._playing else None
        with contextlib.suppress(DamagedSession):  # told when somebody goes there
            if next(self._indexing, None) is not None:
                limit = _BREATH_S
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), limit)

    # --- helpers ---

    @property
    def _here(self) -> int:
        return self._index if self._target is None else self._target

    @property
    def _is_whole(self) -> bool:
        """Whether nothing of the history is yet to be read."""
        return self._timeline.is_whole

    def _is_at_end(self, index: int) -> bool:
        return self._is_whole and index >= len(self._timeline)

    def _tell(self) -> None:
        self._stale = True
        self._ticked = self._clock()
        self._wake.set()

    def _index_of(self, moment: Moment) -> int:
        timeline = self._timeline
        match moment.kind:
            case "update":
                return timeline.index_of_update(int(moment.value))
            case "elapsed":
                return timeline.index_of_time(timeline.time(0) + moment.value)
            case "clock":
                return timeline.index_of_time(moment.value)
            case "end":
                return len(timeline)


def open_replay(name: str, history: History, *, speed: float = 1.0, at: str = "", playing: bool = True) -> ReplaySource:
    """A replay of a journal that is read while it is shown; with `at` it stands there. Raises UsageError on a bad
    `at`.
    """
    moment = parse_at(at) if at else None
    return ReplaySource(name, history, unread=history.scan(), speed=speed, at=moment, playing=playing)


def checked_speed(speed: float) -> float:
    """`speed` within 1..1000, or 0. Raises UsageError for anything else."""
    if speed != 0 and not 1 <= speed <= MAX_SPEED:
        raise UsageError(f"speed {speed:g} is out of range", "1 to 1000, or 0 for as fast as it goes")
    return float(speed)

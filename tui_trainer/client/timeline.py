"""A session's history with fast access to the state at any point: keyframes of RunState, indices by update and kind."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from tui_trainer.core.chronicle import decisions
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.state import Decision, RunState
from tui_trainer.sessions.index import History
from tui_trainer.sessions.landmarks import Landmarks

CHUNK = 128
"""Events folded between two breaths: a few milliseconds. The last states at such steps are kept for stepping back."""
KEYFRAME_EVERY = 16 * CHUNK
FINE_KEPT = 64


class _Segment(msgspec.Struct, frozen=True):
    """Events [first, end) of one run; it took history up from `from_update`."""

    first: int
    end: int
    from_update: int


class Timeline:
    """All events of a session, in order. An *index* counts applied events: 0 is before the first."""

    def __init__(self, events: Sequence[AnyEvent], unread: Iterator[AnyEvent] | None = None) -> None:
        """`unread` yields the rest of `events`, which grow as it is read; see `read`."""
        self.events = events
        self._unread = unread or iter(())
        self.is_whole = unread is None
        """True once nothing is unread."""
        self._history = events if isinstance(events, History) else None
        marks = events.landmarks if isinstance(events, History) else _landmarks(events)
        self._marks = marks
        self._updates, self._times, self._played, self._at_kind = (
            marks.updates,
            marks.times,
            marks.played,
            marks.at_kind,
        )
        self._coarse: dict[int, RunState] = {0: RunState()}
        self._fine: dict[int, RunState] = {}

    def close(self) -> None:
        """Lay no more keyframes on the disk."""
        if self._history is not None:
            self._history.close()

    def __len__(self) -> int:
        return len(self.events)

    def read(self, events: int) -> None:
        """Take so many further events up."""
        self.is_whole = sum(1 for _ in islice(self._unread, events)) < events

    @property
    def read_share(self) -> float:
        """The part of the history that is known, 0 to 1."""
        return 1.0 if self.is_whole or self._history is None else self._history.read_share

    # --- where things are --------------------------------------------------------------------------------------------

    def time(self, index: int) -> float:
        """Unix time at an index."""
        return self._times[self._clamped(max(1, index)) - 1] if len(self) else 0.0

    def played_s(self, index: int) -> float:
        """Seconds that playing from the start to `index` takes at speed 1."""
        return self._played[index - 1] if index > 0 else 0.0

    def index_of_played(self, played_s: float) -> int:
        """Index reached after so many seconds of playing at speed 1."""
        return bisect_right(self._played, played_s)

    def index_of_time(self, time: float) -> int:
        """Index at a Unix time. After a clock that jumped back, time stands still until it has caught up."""
        return bisect_right(self._times, time)

    def index_of_update(self, update: int) -> int:
        """Index at the end of `update`, on the branch of history that survived later resumes."""
        for segment in reversed(list(_segments(self._marks))):
            if update > segment.from_update or segment.first == 0:
                return bisect_right(self._updates, update, segment.first, segment.end)
        return 0

    def index_of_seq(self, seq: int) -> int:
        """Index just after the event with this number."""
        return bisect_right(self.events, seq, key=lambda event: event.seq)

    def decisions(self) -> tuple[Decision, ...]:
        """Every decision, oldest first; only the events that decide are read."""
        kinds = (self._at_kind.get(kind, ()) for kind in ("decision", "recommendation"))
        places = sorted({place for found in kinds for place in found})
        head = self.events[:1] if len(self) else ()
        return tuple(decisions([*head, *(self.events[place - 1] for place in places)]))

    def next_of(self, kind: str, index: int, direction: int) -> int | None:
        """Index just after the next (1) or previous (-1) event of `kind`, seen from `index`; None if there is none."""
        found = self._at_kind.get(kind, ())
        if direction > 0:
            place = bisect_right(found, index)
            return found[place] if place < len(found) else None
        place = bisect_left(found, index)
        return found[place - 1] if place > 0 else None

    # --- the state there ---------------------------------------------------------------------------------------------

    def state_at(self, index: int) -> RunState:
        """The state after the first `index` events."""
        *_, state = self.approach(index)
        return state

    def approach(self, index: int) -> Iterator[RunState]:
        """As `state_at`, in breaths of a few milliseconds; the last value is the state at `index`."""
        index = self._clamped(index)
        at, state = self._nearest(index)
        while at < index:
            stop = min(index, at + CHUNK - at % CHUNK)
            for event in self.events[at:stop]:
                state = state.apply(event)
            at = stop
            self._keep(at, state)
            yield state
        yield state

    def indexing(self) -> Iterator[RunState]:
        """Lay every keyframe that is missing, in breaths; afterwards no seek is slow."""
        laid = self._history.laid if self._history else 0
        for index in range(laid - laid % KEYFRAME_EVERY + KEYFRAME_EVERY, len(self) + 1, KEYFRAME_EVERY):
            if index not in self._coarse:
                yield from self.approach(index)

    def _nearest(self, index: int) -> tuple[int, RunState]:
        """(its index, the state) of the nearest kept state at or before `index`."""
        on_disk = self._history.nearest(index) if self._history else 0
        for at in range(index - index % CHUNK, on_disk - 1, -CHUNK):
            kept = self._coarse.get(at) or self._fine.get(at)
            if kept is not None:
                return at, kept
        if self._history is not None:
            at, state = self._history.keyframe(on_disk)
            return at, state
        return 0, self._coarse[0]

    def _keep(self, at: int, state: RunState) -> None:
        on_disk = self._history is not None and self._history.lay(at, state)
        if at % KEYFRAME_EVERY == 0 and not on_disk:
            self._coarse[at] = state
        elif at % CHUNK == 0:
            self._fine[at] = state
            if len(self._fine) > FINE_KEPT:
                del self._fine[next(iter(self._fine))]

    def _clamped(self, index: int) -> int:
        return max(0, min(len(self), index))


def _landmarks(events: Sequence[AnyEvent]) -> Landmarks:
    marks = Landmarks()
    for event in events:
        marks.add(event)
    return marks


def _segments(marks: Landmarks) -> Iterator[_Segment]:
    first = from_update = 0
    for place, update in marks.resumes:
        yield _Segment(first, place, from_update)
        first, from_update = place, update
    yield _Segment(first, len(marks), from_update)

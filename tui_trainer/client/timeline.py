"""A session's history with fast access to the state at any point: keyframes of RunState, indices by update and kind."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

import msgspec

from tui_trainer.core import events as ev
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.state import TOLD_BY_FACTS, RunState

CHUNK = 128
"""Events folded between two breaths: a few milliseconds. The last states at such steps are kept for stepping back."""
KEYFRAME_EVERY = 16 * CHUNK
FINE_KEPT = 64
LONGEST_GAP_S = 2.0
"""Longer silences, such as pauses and the time between two runs, are cut to this while playing."""

_KINDS: dict[type[ev.Event], tuple[str, ...]] = {
    ev.EvaluationFinished: ("evaluation",),
    ev.CheckpointSaved: ("checkpoint",),
    ev.AlertRaised: ("alert",),
    ev.RecommendationRaised: ("recommendation",),
    ev.RecommendationAnswered: ("decision",),
    ev.DifficultyChanged: ("decision", "level"),
    ev.SettingChanged: ("decision",),
    ev.CommandApplied: ("decision",),
    ev.RunResumed: ("resume",),
    ev.RunEnded: ("decision", "end"),
}
KINDS = tuple(sorted({kind for kinds in _KINDS.values() for kind in kinds}))
"""What `jump` can go to."""


class _Segment(msgspec.Struct, frozen=True):
    """Events [first, end) of one run; it took history up from `from_update`."""

    first: int
    end: int
    from_update: int


class Timeline:
    """All events of a session, in order. An *index* counts applied events: 0 is before the first."""

    def __init__(self, events: Sequence[AnyEvent]) -> None:
        self.events = events
        self._updates = array("q")
        self._times = array("d")
        self._played = array("d")
        self._at_kind: dict[str, list[int]] = {kind: [] for kind in KINDS}
        self._segments: list[_Segment] = []
        self._coarse: dict[int, RunState] = {0: RunState()}
        self._fine: dict[int, RunState] = {}
        self._scan()

    def __len__(self) -> int:
        return len(self.events)

    # --- where things are --------------------------------------------------------------------------------------------

    def time(self, index: int) -> float:
        """Unix time at an index."""
        return self._times[self._clamped(max(1, index)) - 1] if self.events else 0.0

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
        for segment in reversed(self._segments):
            if update > segment.from_update or segment.first == 0:
                return bisect_right(self._updates, update, segment.first, segment.end)
        return 0

    def next_of(self, kind: str, index: int, direction: int) -> int | None:
        """Index just after the next (1) or previous (-1) event of `kind`, seen from `index`; None if there is none."""
        found = self._at_kind.get(kind, [])
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
        at = self._nearest(index)
        state = self._coarse[at] if at in self._coarse else self._fine[at]
        while at < index:
            stop = min(index, at + CHUNK - at % CHUNK)
            for position in range(at, stop):
                state = state.apply(self.events[position])
            at = stop
            self._keep(at, state)
            yield state
        yield state

    def indexing(self) -> Iterator[RunState]:
        """Lay every keyframe that is missing, in breaths; afterwards no seek is slow."""
        for index in range(KEYFRAME_EVERY, len(self.events) + 1, KEYFRAME_EVERY):
            if index not in self._coarse:
                yield from self.approach(index)

    def _nearest(self, index: int) -> int:
        """Index of the nearest kept state at or before `index`."""
        for at in range(index - index % CHUNK, -1, -CHUNK):
            if at in self._coarse or at in self._fine:
                return at
        return 0

    def _keep(self, at: int, state: RunState) -> None:
        if at % KEYFRAME_EVERY == 0:
            self._coarse[at] = state
        elif at % CHUNK == 0:
            self._fine[at] = state
            if len(self._fine) > FINE_KEPT:
                del self._fine[next(iter(self._fine))]

    def _clamped(self, index: int) -> int:
        return max(0, min(len(self.events), index))

    # --- one pass over the history -----------------------------------------------------------------------------------

    def _scan(self) -> None:
        time = played = 0.0
        update = first = from_update = 0
        for index, event in enumerate(self.events):
            if isinstance(event, ev.RunResumed):
                self._segments.append(_Segment(first, index, from_update))
                first, from_update, update = index, event.from_update, 0
            played += min(LONGEST_GAP_S, max(0.0, event.time - time)) if index else 0.0
            time, update = max(time, event.time), max(update, event.update)
            self._updates.append(update)
            self._times.append(time)
            self._played.append(played)
            for kind in _kinds(event):
                self._at_kind[kind].append(index + 1)
        self._segments.append(_Segment(first, len(self.events), from_update))


def _kinds(event: AnyEvent) -> tuple[str, ...]:
    """An order whose facts follow as events of their own is no second decision, a side evaluation no landmark."""
    match event:
        case ev.CommandApplied(order=order) if order.startswith(TOLD_BY_FACTS):
            return ()
        case ev.EvaluationFinished(suite="present"):
            return ()
        case _:
            return _KINDS.get(type(event), ())

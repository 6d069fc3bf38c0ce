"""Where things are in a history: for each event its end in the journal, update and times; for each kind its places.

An *index* counts events: 0 is before the first, and the event at place p of a list has index p + 1. Pure.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import Any

from tui_trainer.core import events as ev
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.state import TOLD_BY_FACTS

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
"""What one can jump to."""


class Landmarks:
    """Grows event by event."""

    def __init__(self) -> None:
        self._forgotten = 0
        self.ends = array("q")
        """Offset in the journal behind each event's line."""
        self.updates = array("q")
        """The highest update so far; it starts anew with each resume."""
        self.times = array("d")
        """Unix time; after a clock that jumped back it stands still until that has caught up."""
        self.played = array("d")
        """Seconds that playing takes from the start, at speed 1."""
        self.at_kind: dict[str, array[int]] = {kind: array("q") for kind in KINDS}
        """By kind, the indices just after its events."""
        self.resumes: list[tuple[int, int]] = []
        """(place, from_update) of each resume."""

    def __len__(self) -> int:
        return self._forgotten + len(self.times)

    def add(self, event: AnyEvent, end: int = 0) -> None:
        """One more event, whose line ends at the offset `end`."""
        place = len(self)
        time = self.times[-1] if place else event.time
        played = self.played[-1] if place else 0.0
        update = self.updates[-1] if place else 0
        if isinstance(event, ev.RunResumed):
            self.resumes.append((place, event.from_update))
            update = 0
        self.ends.append(end)
        self.updates.append(max(update, event.update))
        self.times.append(max(time, event.time))
        self.played.append(played + min(LONGEST_GAP_S, max(0.0, event.time - time)))
        for kind in _kinds(event):
            self.at_kind[kind].append(place + 1)

    def columns(self) -> tuple[array[Any], ...]:
        """Those with one number an event, eight bytes each."""
        return self.ends, self.updates, self.times, self.played

    def span(self, first: int, stop: int) -> bytes:
        """The columns of the events [first, stop), one after the other."""
        a, b = first - self._forgotten, stop - self._forgotten
        return b"".join(column[a:b].tobytes() for column in self.columns())

    def forget(self, before: int) -> None:
        """Hold only what stands behind the first `before` events: enough to go on adding, too little to seek."""
        for column in self.columns():
            del column[: max(0, before - 1 - self._forgotten)]
        self._forgotten = max(self._forgotten, before - 1)
        for kind, found in self.at_kind.items():
            self.at_kind[kind] = found[bisect_right(found, before) :]
        self.resumes = [resume for resume in self.resumes if resume[0] >= before]


def _kinds(event: AnyEvent) -> tuple[str, ...]:
    """An order whose facts follow as events of their own is no second decision, a side evaluation no landmark."""
    match event:
        case ev.CommandApplied(order=order) if order.startswith(TOLD_BY_FACTS):
            return ()
        case ev.EvaluationFinished(suite="present"):
            return ()
        case _:
            return _KINDS.get(type(event), ())

"""Stamps events, journals them and hands them to every listener: hub, headless view, callbacks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import msgspec

from tui_trainer.core import events
from tui_trainer.core.events import TRANSIENT, AnyEvent, Event
from tui_trainer.errors import StorageError

Listener = Callable[[AnyEvent, bytes], None]
"""Takes a stamped event and its line. Called on the loop's thread; must return at once and never raise."""

SYNCED: tuple[type[Event], ...] = (
    events.RunStarted,
    events.RunResumed,
    events.RunEnded,
    events.RunPaused,
    events.CommandApplied,
    events.RecommendationAnswered,
    events.DifficultyChanged,
    events.SettingChanged,
)
"""Decisions: on the disk before anything else happens."""


def _checked(event: AnyEvent) -> AnyEvent:
    """The event as any reader will get it: text clean; one that no reader could take becomes a line in the log."""
    try:
        return events.decode(events.encode(event))
    except msgspec.MsgspecError as error:
        text = f"{type(event).__name__} could not be recorded: {error}"
        said = events.LogWritten(level="error", text=text)
        return events.stamp(said, seq=event.seq, time=event.time, update=event.update, global_step=event.global_step)


class EventLog(Protocol):
    """What the publisher needs of a journal."""

    def append(self, events: Sequence[Event]) -> None: ...
    def flush(self) -> None: ...
    def sync(self) -> None: ...


class Publisher:
    """The only writer of history. While the disk refuses, the journal keeps what it was given, in order."""

    def __init__(
        self,
        journal: EventLog,
        listeners: Sequence[Listener],
        wall_clock: Callable[[], float],
        last_seq: int,
        on_storage_error: Callable[[str], None],
    ) -> None:
        self._journal = journal
        self._listeners = list(listeners)
        self._wall_clock = wall_clock
        self._seq = last_seq
        self._on_storage_error = on_storage_error
        self._refused = False
        self._recent: deque[AnyEvent] = deque(maxlen=200)

    @property
    def recent(self) -> list[AnyEvent]:
        """The last 200 events, for a crash report."""
        return list(self._recent)

    def add_listener(self, listener: Listener) -> None:
        """Tell one more from now on."""
        self._listeners.append(listener)

    def publish(self, event: Event, *, update: int, global_step: int) -> None:
        """Stamp, journal and tell."""
        clean = self._stamped(event, update, global_step)
        if clean.seq:
            self._seq = clean.seq
            self._recent.append(clean)
            self._written(lambda: self._journal.append([clean]))
            if isinstance(event, SYNCED):
                self.flush(sync=True)
        self._tell(clean)

    def announce(self, event: Event, *, update: int, global_step: int) -> None:
        """Stamp and tell what has no place in the journal."""
        self._tell(self._stamped(event, update, global_step))

    def _stamped(self, event: Event, update: int, global_step: int) -> AnyEvent:
        seq = 0 if isinstance(event, TRANSIENT) else self._seq + 1
        stamped = events.stamp(event, seq=seq, time=self._wall_clock(), update=update, global_step=global_step)
        return _checked(cast(AnyEvent, stamped))

    def _tell(self, event: AnyEvent) -> None:
        line = events.encode(event)
        for listener in self._listeners:
            listener(event, line)

    def flush(self, *, sync: bool) -> bool:
        """Write what the journal still holds back; False while the disk refuses."""
        return self._written(self._journal.sync if sync else self._journal.flush)

    def _written(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except StorageError as error:
            if not self._refused:
                self._on_storage_error(error.message)
            self._refused = True
            return False
        self._refused = False
        return True

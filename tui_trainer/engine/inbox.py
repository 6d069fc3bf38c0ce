"""Everything that reaches the loop from other threads and from signal handlers, in order of arrival."""

from __future__ import annotations

import queue
from typing import Literal, TypeAlias

import msgspec

from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.reports import HostReport, SignalReport
from tui_trainer.core.values import Author, CheckpointKind, Metrics, RankLoad, Resources


class Order(msgspec.Struct, frozen=True):
    """A command and who gave it."""

    command: AnyCommand
    by: Author


class SaveDone(msgspec.Struct, frozen=True):
    """The saver's word: a checkpoint is on the disk."""

    number: int
    kind: CheckpointKind
    path: str
    update: int
    global_step: int
    size: int
    state_sha256: str
    score: float | None
    seconds: float
    exact: bool
    pruned: tuple[str, ...]


class SaveFailed(msgspec.Struct, frozen=True):
    """The saver's word: the disk refused. It tries again by itself."""

    kind: CheckpointKind
    why: str


class StorageBack(msgspec.Struct, frozen=True):
    """The disk takes writes again."""


class JournalRefused(msgspec.Struct, frozen=True):
    """The journal could not be written; its events wait in memory."""

    why: str


class Note(msgspec.Struct, frozen=True):
    """A line for the log from another thread or a callback."""

    level: Literal["debug", "info", "warning", "error"]
    text: str


class Told(msgspec.Struct, frozen=True):
    """Numbers that a callback published."""

    metrics: Metrics


class Woken(msgspec.Struct, frozen=True):
    """The process had been stopped and goes on.

    Without an item a wait that a signal interrupted past its deadline would last for ever: SimpleQueue.get waits for
    what is left of its time, and takes a negative rest for no limit at all.
    """


class Ranks(msgspec.Struct, frozen=True):
    """How the ranks of the run fare."""

    loads: tuple[RankLoad, ...]


Item: TypeAlias = (
    Order | SignalReport | HostReport | Resources | Ranks | SaveDone | SaveFailed | StorageBack | JournalRefused
    | Note | Told | Woken
)  # fmt: skip


class Inbox:
    """A queue that is safe to fill from a signal handler."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._ahead: list[Item] = []

    def put(self, item: Item) -> None:
        """Hand an item to the loop; never blocks."""
        self._items.put(item)

    @property
    def is_empty(self) -> bool:
        """True while nothing waits; costs next to nothing."""
        return not self._ahead and self._items.empty()

    def drain(self) -> list[Item]:
        """Everything that has arrived."""
        items, self._ahead = self._ahead, []
        while not self._items.empty():
            items.append(self._items.get())
        return items

    def wait(self, seconds: float) -> None:
        """Return as soon as something is there, at the latest after `seconds`."""
        if self._ahead:
            return
        try:
            self._ahead.append(self._items.get(timeout=max(0.0, seconds)))
        except queue.Empty:
            return

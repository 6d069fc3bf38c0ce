"""What a view may rely on: a stream of news and a way to send orders, the same for a live engine and a replay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal, Protocol, TypeAlias

import msgspec

from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.state import Decision, RunState


class Snapshot(msgspec.Struct, frozen=True):
    """The whole state: replaces what the view had (first contact, after a lost line, after a seek)."""

    state: RunState


class Happened(msgspec.Struct, frozen=True):
    """Events in order, to be folded one after the other."""

    events: tuple[AnyEvent, ...]


class Received(msgspec.Struct, frozen=True):
    """The engine's hub has the command; it is applied or refused at the next phase boundary."""

    id: str


class Link(msgspec.Struct, frozen=True):
    """How the line to the engine is: `text` is one sentence for the screen."""

    status: Literal["starting", "live", "lost", "gone"]
    text: str


class Position(msgspec.Struct, frozen=True):
    """Where a replay stands: `index` of `total` events; `playing` at `speed` (0 = as fast as it goes).

    While a long history is still being read, `read` is the part of it that `total` counts, 0 to 1.
    """

    index: int
    total: int
    time: float
    playing: bool
    speed: float
    read: float = 1.0


News: TypeAlias = Snapshot | Happened | Received | Link | Position


class RunSource(Protocol):
    """A live engine or a replay."""

    @property
    def name(self) -> str:
        """The session's name, clean."""
        ...

    @property
    def kind(self) -> Literal["live", "replay"]: ...

    @property
    def readonly(self) -> bool: ...

    def news(self) -> AsyncIterator[News]:
        """Everything, from the first snapshot on. Ends only when closed."""
        ...

    async def send(self, command: AnyCommand) -> None:
        """Hand an order to the engine. Raises OrderRefused where that cannot be (read-only, replay, engine gone)."""
        ...

    async def close(self) -> None: ...


class Player(RunSource, Protocol):
    """A replay: a RunSource with a transport."""

    def play(self) -> None: ...

    def pause(self) -> None: ...

    def set_speed(self, speed: float) -> None:
        """1..1000 times real time; 0 = as fast as it goes."""
        ...

    def step(self, events: int) -> None:
        """Forward or (negative) backward by so many events."""
        ...

    def seek(self, index: int) -> None:
        """Go to the state after the first `index` events."""
        ...

    def seek_update(self, update: int) -> None: ...

    def seek_seq(self, seq: int) -> None:
        """Go to just after the event with this number."""
        ...

    def decisions(self) -> tuple[Decision, ...]:
        """Every decision of the session, oldest first."""
        ...

    def jump(self, kind: str, direction: int) -> bool:
        """To the next (1) or previous (-1) event of a kind: decision, evaluation, checkpoint, alert. False if none."""
        ...

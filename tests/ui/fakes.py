"""Sources made for tests: a live engine that does what it is told, and a replay over a list of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

from tests.ui.history import NAME
from tui_trainer.client.source import Happened, Link, News, Position, Received, Snapshot
from tui_trainer.core.chronicle import decisions
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.state import Decision, RunState
from tui_trainer.errors import OrderRefused


class FakeSource:
    """A live source fed by the test through `publish`; `sent` keeps every order."""

    kind: Literal["live", "replay"] = "live"

    def __init__(self, state: RunState | None = None, *, name: str = NAME, readonly: bool = False) -> None:
        self.name = name
        self.readonly = readonly
        self.sent: list[AnyCommand] = []
        self.closed = False
        self.refuse = ""
        self._news: asyncio.Queue[News] = asyncio.Queue()
        if state is not None:
            self.publish(Snapshot(state))
            self.publish(Link("live", "connected"))

    def publish(self, news: News) -> None:
        self._news.put_nowait(news)

    def happen(self, *events: AnyEvent) -> None:
        self.publish(Happened(events))

    def acknowledge(self) -> None:
        """The hub has the newest order."""
        self.publish(Received(self.sent[-1].id))

    async def news(self) -> AsyncIterator[News]:
        while not self.closed:
            yield await self._news.get()

    async def send(self, command: AnyCommand) -> None:
        if self.readonly or self.refuse:
            raise OrderRefused(self.refuse or "read-only")
        self.sent.append(command)

    async def close(self) -> None:
        self.closed = True


class FakePlayer(FakeSource):
    """A replay of `events`: each transport call moves it and tells the view."""

    kind: Literal["live", "replay"] = "replay"

    def __init__(self, events: list[AnyEvent], *, at: int | None = None) -> None:
        super().__init__(readonly=True)
        self.events = [event for event in events if event.seq]
        self.index = len(self.events) if at is None else at
        self.playing = False
        self.speed = 1.0
        self.seek(self.index)

    def _tell(self) -> None:
        time = self.events[max(0, self.index - 1)].time
        self.publish(Position(self.index, len(self.events), time, self.playing, self.speed))

    def play(self) -> None:
        self.playing = True
        self._tell()

    def pause(self) -> None:
        self.playing = False
        self._tell()

    def set_speed(self, speed: float) -> None:
        self.speed = speed
        self._tell()

    def step(self, events: int) -> None:
        self.seek(self.index + events)

    def seek(self, index: int) -> None:
        self.index = max(0, min(len(self.events), index))
        state = RunState()
        for event in self.events[: self.index]:
            state = state.apply(event)
        self.publish(Snapshot(state))
        self._tell()

    def seek_update(self, update: int) -> None:
        self.seek(sum(event.update <= update for event in self.events))

    def seek_seq(self, seq: int) -> None:
        self.seek(sum(event.seq <= seq for event in self.events))

    def decisions(self) -> tuple[Decision, ...]:
        return tuple(decisions(self.events))

    def jump(self, kind: str, direction: int) -> bool:
        state = RunState()
        for event in self.events:
            state = state.apply(event)
        places = [m.seq for m in state.marks if m.kind == kind or (kind == "decision" and m.kind == "level")]
        beyond = [p for p in places if (p > self.index if direction > 0 else p < self.index)]
        if not beyond:
            return False
        self.seek(min(beyond) if direction > 0 else max(beyond))
        return True

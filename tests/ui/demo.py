"""The app on a made-up run, to be looked at: `python -m tests.ui.demo [SCENE]`.

Scenes: live, mid, paused, empty, ended, replay, gpu, hostile.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator

import msgspec

from tests.ui.fakes import FakePlayer, FakeSource
from tests.ui.history import SECONDS_PER_UPDATE, UPDATES, history, raise_card, started, state_at
from tui_trainer.client.source import Link, News, Received, Snapshot
from tui_trainer.core.commands import Answer, AnyCommand, Pause, Resume, Stop, describe
from tui_trainer.core.config import UiSettings
from tui_trainer.core.events import (
    AlertRaised,
    AnyEvent,
    CommandApplied,
    FrameDrawn,
    LogWritten,
    RecommendationAnswered,
    RunContinued,
    RunEnded,
    RunPaused,
    stamp,
)
from tui_trainer.core.state import RunState
from tui_trainer.core.values import Reason
from tui_trainer.errors import AskedToEnd
from tui_trainer.ui.app import run_app


class Engine(FakeSource):
    """Plays the made-up run in real time and obeys."""

    def __init__(self, *, begin: int = 0, speed: float = 1.0) -> None:
        super().__init__()
        self._begin = begin
        self._speed = speed
        self._going = asyncio.Event()
        self._going.set()
        self._last: AnyEvent = started()

    async def news(self) -> AsyncIterator[News]:
        feeder = asyncio.create_task(self._feed())
        async for news in super().news():
            yield news
        feeder.cancel()

    async def _feed(self) -> None:
        self.publish(Link("starting", "engine starting"))
        await asyncio.sleep(0.3 if self._begin == 0 else 0)
        events = list(history())
        past = events[: next(i for i, event in enumerate(events) if event.update > self._begin)]
        state = RunState()
        for event in past:
            state = state.apply(event)
        self.publish(Snapshot(state))
        self.publish(Link("live", "connected"))
        now = self._begin
        for event in events:
            if event.seq and event.update > now:
                await asyncio.sleep(SECONDS_PER_UPDATE / self._speed * (event.update - now))
                now = event.update
            await self._going.wait()
            if event.update > self._begin or (not event.seq and now > self._begin):
                self._last = event if event.seq else self._last
                self.happen(event)

    def _tell(self, event: AnyEvent) -> None:
        self.happen(stamp(event, seq=self._last.seq, time=self._last.time, update=self._last.update,
                          global_step=self._last.global_step))  # fmt: skip

    async def send(self, command: AnyCommand) -> None:
        await super().send(command)
        await asyncio.sleep(0.005)
        self.publish(Received(command.id))
        await asyncio.sleep(0.4)
        self._tell(CommandApplied(id=command.id, order=describe(command), by="user", effect="done"))
        match command:
            case Pause():
                self._going.clear()
                self._tell(RunPaused(by="user", why="key p"))
            case Resume():
                self._going.set()
                self._tell(RunContinued(by="user"))
            case Answer(recommendation=number, verdict=verdict):
                done = {"accept": "accepted", "reject": "rejected", "undo": "undone"}
                self._tell(RecommendationAnswered(id=number, verdict=done[verdict], by="user"))  # type: ignore[arg-type]
            case Stop():
                self._tell(
                    RunEnded(reason=Reason(name="user", evidence="stopped by a key"), checkpoint="checkpoints/x")
                )


HOSTILE = "\x1b]52;c;aGk=\x07\x1b]2;title\x07\x1b[2J\x9b31m\u202eabc [/][bold]x[link=evil] \x00\x7f 日本\u200b🏳️‍🌈 end"


def hostile_state() -> RunState:
    """A run whose every text from outside wants to take the terminal over."""
    state = state_at(780)
    events: list[AnyEvent] = [
        LogWritten(level="error", text=HOSTILE),
        msgspec.structs.replace(raise_card(9, 1), title=HOSTILE, evidence=(HOSTILE,), expected=HOSTILE),
        AlertRaised(key="x", severity="critical", text=HOSTILE),
        FrameDrawn(text=HOSTILE),
        RunPaused(by="user", why=HOSTILE),
    ]
    for event in events:
        seq = 0 if isinstance(event, FrameDrawn) else state.seq + 1
        state = state.apply(stamp(event, seq=seq, time=state.time, update=780, global_step=state.global_step))
    return state


def scenes(name: str) -> FakeSource:
    match name:
        case "live":
            return Engine()
        case "mid":
            return Engine(begin=780)
        case "empty":
            return FakeSource(RunState().apply(next(iter(history(1)))))
        case "paused":
            state = state_at(780)
            return FakeSource(state.apply(RunPaused(by="user", why="key p", seq=state.seq + 1, time=state.time,
                                                    update=780, global_step=state.global_step)))  # fmt: skip
        case "ended":
            return FakeSource(state_at(UPDATES))
        case "replay":
            return FakePlayer(list(history()), at=900)
        case "hostile":
            return FakeSource(hostile_state(), name=HOSTILE)
        case "gpu":
            return FakeSource(state_at(780, gpus=2))
        case _:
            raise SystemExit(__doc__)


def main() -> None:
    begun = time.monotonic()
    try:
        result = run_app(scenes(sys.argv[1] if len(sys.argv) > 1 else "live"), UiSettings())
    except AskedToEnd as asked:
        print(asked.last_words)
        sys.exit(asked.exit_code)
    print(result.text, f"({time.monotonic() - begun:.0f} s)")


if __name__ == "__main__":
    main()

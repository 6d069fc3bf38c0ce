"""A replay of a history that grows: what is added is shown where the view stands at the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from tests.core.history import Tale
from tui_trainer.client.growing import GrowingReplay
from tui_trainer.client.replay import Moment
from tui_trainer.client.source import Happened, Position, Snapshot
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.state import RunState, fold


def grown(*lengths: int) -> list[list[AnyEvent]]:
    return [Tale().start().train(length).events for length in lengths]


async def seen(source: GrowingReplay, enough: Callable[[RunState], bool]) -> RunState:
    """The newest state told once it and a position say enough."""
    state = RunState()
    async with asyncio.timeout(120):
        async for news in source.news():
            if isinstance(news, Snapshot):
                state = news.state
            if isinstance(news, Position) and enough(state):
                break
    await source.close()
    return state


async def test_standing_at_the_end_it_stays_at_the_end() -> None:
    first, *later = grown(5, 9, 9, 12)
    told = iter([later[0], None, later[2]])
    source = GrowingReplay("g", first, lambda: next(told, None), at=Moment("end"), every_s=0.0)
    assert await seen(source, lambda state: state.update == 12) == fold(later[2])


async def test_standing_elsewhere_it_stays_there() -> None:
    first, second = grown(5, 9)
    told = iter([second])
    source = GrowingReplay("g", first, lambda: next(told, None), every_s=0.0)
    source.pause()
    source.seek_update(3)
    state = await seen(source, lambda state: source.position.total == len(second))
    assert state.update == 3


async def test_a_beginning_is_shown_until_the_whole_is_read_and_then_the_wanted_moment() -> None:
    first, whole = grown(5, 12)
    may_read = threading.Event()

    def reread() -> list[AnyEvent] | None:
        assert may_read.wait(30)
        return whole

    source = GrowingReplay("g", first, reread, at=Moment("end"), share=0.4, stop=may_read.set)
    shown: list[tuple[int, float]] = []
    state = RunState()
    async with asyncio.timeout(30):
        async for news in source.news():
            if isinstance(news, Snapshot):
                state = news.state
            if isinstance(news, Position):
                shown.append((state.update, news.read))
                may_read.set()
                if state.update == 12:
                    break
    await source.close()
    assert shown[0] == (5, 0.4)
    assert shown[-1] == (12, 1.0)
    assert state == fold(whole)


async def test_playing_on_at_the_end_of_a_beginning_waits_for_the_rest() -> None:
    first, whole = grown(5, 12)
    may_read = threading.Event()
    source = GrowingReplay("g", first, lambda: whole if may_read.wait(30) else None, speed=0.0, share=0.4)
    state = RunState()
    async with asyncio.timeout(30):
        async for news in source.news():
            match news:
                case Snapshot():
                    state = news.state
                case Happened(events=events):
                    state = fold(events, state)
                case Position():
                    if state.update == 5 and source.position.index == len(first):
                        assert source.position.playing
                        may_read.set()
                    if state.update == 12 and not source.position.playing:
                        break
                case _:
                    pass
    await source.close()
    assert state == fold(whole)

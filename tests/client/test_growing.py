"""A replay of a history that grows: what is added is shown where the view stands at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.core.history import Tale
from tui_trainer.client.growing import GrowingReplay
from tui_trainer.client.replay import Moment
from tui_trainer.client.source import Position, Snapshot
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.state import RunState, fold


def grown(*lengths: int) -> list[list[AnyEvent]]:
    return [Tale().start().train(length).events for length in lengths]


async def seen(source: GrowingReplay, enough: Callable[[RunState], bool]) -> RunState:
    """The newest state told once it and a position say enough."""
    state = RunState()
    async with asyncio.timeout(30):
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

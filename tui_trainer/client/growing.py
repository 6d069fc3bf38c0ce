"""A replay of what somebody else still writes: it takes in what is added, and where it stands at the end, it stays."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeAlias

from tui_trainer.client.replay import Moment, ReplaySource
from tui_trainer.client.source import News
from tui_trainer.core.events import AnyEvent

EVERY_S = 2.0
SHARE = 0.1
"""Of the time may be spent reading: a long history is looked at less often."""
Reread: TypeAlias = Callable[[], Sequence[AnyEvent] | None]
"""The history as it is now; None where nothing was added. Called on a thread."""


class GrowingReplay(ReplaySource):
    """A replay that asks `reread` again and again."""

    def __init__(
        self,
        name: str,
        events: Sequence[AnyEvent],
        reread: Reread,
        *,
        speed: float = 1.0,
        at: Moment | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        super().__init__(name, events, speed=speed, at=at)
        self._reread, self._every_s = reread, every_s

    async def news(self) -> AsyncIterator[News]:
        """As a replay's."""
        growing = asyncio.create_task(self._grow())
        try:
            async for each in super().news():
                yield each
        finally:
            growing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await growing

    async def _grow(self) -> None:
        rest_s = self._every_s
        while True:
            await asyncio.sleep(rest_s)
            began = time.monotonic()
            events = await asyncio.to_thread(self._reread)
            rest_s = max(self._every_s, (time.monotonic() - began) / SHARE)
            if events is not None:
                self.replace(events)

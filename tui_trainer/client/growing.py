"""A replay of what somebody else still writes: it takes in what is added, and where it stands at the end, it stays.

Of a long history its beginning is enough to begin with: the whole is read behind the screen.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeAlias

import msgspec

from tui_trainer.client.replay import Moment, ReplaySource
from tui_trainer.client.source import News, Position
from tui_trainer.core.events import AnyEvent

EVERY_S = 2.0
SHARE = 0.1
"""Of the time may be spent reading: a long history is looked at less often."""
Reread: TypeAlias = Callable[[], Sequence[AnyEvent] | None]
"""The history as it is now; None where nothing was added. Called on a thread."""


class GrowingReplay(ReplaySource):
    """A replay that asks `reread` again and again. `share` below 1: `events` are that part of the history, and the rest
    comes with the first answer. `stop` is called at the end: nobody waits any more for an answer.
    """

    def __init__(
        self,
        name: str,
        events: Sequence[AnyEvent],
        reread: Reread,
        *,
        speed: float = 1.0,
        at: Moment | None = None,
        every_s: float = EVERY_S,
        share: float = 1.0,
        stop: Callable[[], None] = lambda: None,
    ) -> None:
        self._share, self._stop = share, stop
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

    async def close(self) -> None:
        """As a replay's."""
        self._stop()
        await super().close()

    @property
    def position(self) -> Position:
        """As a replay's."""
        return msgspec.structs.replace(super().position, read=self._share)

    @property
    def _is_whole(self) -> bool:
        return self._share >= 1.0

    async def _grow(self) -> None:
        rest_s = self._every_s if self._is_whole else 0.0
        while True:
            await asyncio.sleep(rest_s)
            began = time.monotonic()
            events = await asyncio.to_thread(self._reread)
            rest_s = max(self._every_s, (time.monotonic() - began) / SHARE)
            if events is not None:
                self._take(events)
            elif not self._is_whole:  # the rest cannot be read: this is all there is
                self._share = 1.0
                self._tell()

    def _take(self, events: Sequence[AnyEvent]) -> None:
        """Somebody who waits for a moment that was not read yet is taken there."""
        wanted = self._wanted
        self.replace(events)
        self._share = 1.0
        if wanted is not None:
            self.seek_to(wanted)

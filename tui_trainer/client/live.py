"""A live engine as a RunSource: connects, folds nothing itself, comes back after a lost line, says when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import msgspec

from tui_trainer.client.source import Happened, Link, News, Received, Snapshot
from tui_trainer.core import wire
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.events import AnyEvent, CommandRefused, RunEnded
from tui_trainer.errors import OrderRefused, TuiTrainerError
from tui_trainer.sessions.names import socket_path
from tui_trainer.sessions.store import Session

RETRY_S = 0.05
RETRY_MAX_S = 1.0
START_S = 60.0
"""An engine that has not answered and holds no lock after this long is given up."""


class LiveSource:
    """News of one live session."""

    def __init__(self, path: Path, *, readonly: bool = False, starting: bool = False) -> None:
        self._session = Session.open(path)
        self._socket = socket_path(self._session.path)
        self._readonly = readonly
        self._starting = starting
        self._writer: asyncio.StreamWriter | None = None
        self._closed = False
        self._left = asyncio.Event()
        self._ended = False
        self._met = False

    @property
    def name(self) -> str:
        return self._session.name

    @property
    def kind(self) -> Literal["live"]:
        return "live"

    @property
    def readonly(self) -> bool:
        return self._readonly

    async def news(self) -> AsyncIterator[News]:
        """Snapshot, then events in batches; Link tells how the line is. After the end, only `close` ends it."""
        if self._starting:
            yield Link("starting", "engine starting")
        while not self._closed and not self._ended:
            reader = await self._connect()
            if reader is None:
                yield self._lost_for_good()
                break
            yield Link("live", "connected")
            async for item in self._listen(reader):
                yield item
            self._writer = None
            if not self._ended and not self._closed:
                yield Link("lost", "connection lost, reconnecting")
        await self._left.wait()

    async def send(self, command: AnyCommand) -> None:
        """Hand an order to the engine's hub."""
        if self._readonly:
            raise OrderRefused("this view is read-only", "attach without --readonly")
        if self._ended:
            raise OrderRefused("the run has ended", f"`tui-trainer resume {self.name}` takes it up again")
        if self._writer is None:
            raise OrderRefused("the engine does not answer at the moment")
        self._writer.write(wire.encode(command))

    async def close(self) -> None:
        """Leave; the run goes on."""
        self._closed = True
        self._left.set()
        if self._writer is not None:
            self._writer.close()

    # --- the line ------------------------------------------------------------------------------------------------

    async def _connect(self) -> asyncio.StreamReader | None:
        """A greeted connection; None when no engine is there, or none will come."""
        delay, waited = RETRY_S, 0.0
        while not self._closed:
            try:
                reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=wire.MAX_MESSAGE)
            except OSError:
                if self._is_gone(waited):
                    return None
                await asyncio.sleep(delay)
                waited, delay = waited + delay, min(RETRY_MAX_S, delay * 1.2)
                continue
            self._met, self._writer = True, writer
            writer.write(wire.encode(wire.Hello(readonly=self._readonly)))
            return reader
        return None

    def _is_gone(self, waited: float) -> bool:
        """No engine holds the session, and it has had its time to start."""
        if self._session.owner() is not None:
            return False
        return self._met or not self._starting or waited > START_S or self._state() not in ("starting", "running")

    def _state(self) -> str:
        try:
            return self._session.read().status.state
        except TuiTrainerError:
            return "damaged"

    def _is_guest(self) -> bool:
        try:
            return self._session.read().is_guest
        except TuiTrainerError:
            return False

    async def _listen(self, reader: asyncio.StreamReader) -> AsyncIterator[News]:
        """Messages until the line breaks; whatever has already arrived is handed on in one batch."""
        rest = b""
        while True:
            try:
                chunk = await reader.read(1 << 20)
            except OSError:
                return
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            for item in self._sorted(lines):
                yield item

    def _sorted(self, lines: list[bytes]) -> list[News]:
        """Lines as news: neighbouring events share one Happened."""
        news: list[News] = []
        batch: list[AnyEvent] = []
        for line in lines:
            message = _decoded(line)
            if message is None:
                continue
            if isinstance(message, wire.StateSent | wire.CommandReceived | wire.CommandDeclined):
                news += [Happened(tuple(batch))] if batch else []
                batch = []
                news.append(self._told(message))
            else:
                self._ended = self._ended or isinstance(message, RunEnded)
                batch.append(message)
        return [*news, Happened(tuple(batch))] if batch else news

    def _told(self, message: wire.ServerMessage) -> News:
        match message:
            case wire.StateSent(state=state):
                self._ended = state.status == "ended" and self._state() not in ("running", "paused", "starting")
                return Snapshot(state)
            case wire.CommandReceived(id=number):
                return Received(number)
            case wire.CommandDeclined(id=number, why=why):
                return Happened((CommandRefused(id=number, order="", by="engine", why=why),))

    def _lost_for_good(self) -> Link:
        name = self.name
        if self._starting and not self._met:
            return Link("gone", f"the engine did not start; its words are in {self._session.log_path}")
        if self._is_guest():
            return Link("gone", "the script is gone; started again with guest(..., resume=True) it goes on")
        return Link(
            "gone", f"the engine is gone; `tui-trainer resume {name}` takes the run up from its last checkpoint"
        )


def _decoded(line: bytes) -> wire.ServerMessage | AnyEvent | None:
    """A message, or None for one that a newer engine made."""
    try:
        return wire.decode_server(line)
    except msgspec.MsgspecError:
        return None

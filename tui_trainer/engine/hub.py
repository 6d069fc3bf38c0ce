"""The hub thread: a Unix socket on which views listen and give orders. Training never waits for it.

It folds every event, so that a view that connects is told the whole state at once, and from then on each event
exactly once. A view that cannot keep up is told the whole state again later instead of holding anybody up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
import threading
from collections import deque
from pathlib import Path

import msgspec

from tui_trainer.core import wire
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.state import RunState
from tui_trainer.engine.inbox import Inbox, Order

BACKLOG_BYTES = 4 * 1024 * 1024
"""A client with more than this unsent has fallen behind."""
REBIND_S = 2.0
FAREWELL_S = 2.0


class _Client:
    """One connected view."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.readonly = False
        self.greeted = False
        self.behind = False

    @property
    def backlog(self) -> int:
        """Bytes not yet taken by the kernel."""
        return self.writer.transport.get_write_buffer_size()

    async def take_all(self) -> None:
        """Wait until nothing is unsent. Raises OSError where the view is gone."""
        self.writer.transport.set_write_buffer_limits(0)
        await self.writer.drain()

    def leave(self) -> None:
        """Close; what it has not taken by now is dropped."""
        if self.backlog:
            self.writer.transport.abort()
        else:
            self.writer.close()

    def send(self, line: bytes) -> None:
        if not self.writer.is_closing():
            self.writer.write(line)


class Hub:
    """Owns the socket from `start` to `stop`; `publish` may be called from any one thread."""

    def __init__(self, path: Path, inbox: Inbox, state: RunState) -> None:
        self._path = path
        self._inbox = inbox
        self._state = state
        self._clients: set[_Client] = set()
        self._pending: deque[tuple[AnyEvent, bytes]] = deque()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._main, name="hub", daemon=True)
        self._ready = threading.Event()
        self._server: asyncio.Server | None = None
        self._inode = 0
        self._failure: OSError | None = None

    # --- from the loop's thread --------------------------------------------------------------------------------

    def start(self) -> None:
        """Bind and listen; raises OSError when the socket cannot be made."""
        self._thread.start()
        self._ready.wait()
        if self._failure:
            raise self._failure

    def publish(self, event: AnyEvent, line: bytes) -> None:
        """Fold and broadcast, soon. Never blocks."""
        self._pending.append((event, line))
        if len(self._pending) == 1:
            self._loop.call_soon_threadsafe(self._broadcast)

    @property
    def is_watched(self) -> bool:
        """True while any view is connected."""
        return bool(self._clients)

    def stop(self) -> None:
        """Let views read what is left, then close the socket. Those that have frozen are not waited for any longer."""
        if self._thread.is_alive():
            with contextlib.suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(self._farewell(), self._loop).result(FAREWELL_S + 1)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(2.0)

    # --- on the hub's thread -------------------------------------------------------------------------------------

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._bind())
        except OSError as error:
            self._failure = error
        self._ready.set()
        if self._failure is None:
            watch = self._loop.create_task(self._stay_bound())
            self._loop.run_forever()
            watch.cancel()
            self._loop.run_until_complete(asyncio.gather(watch, return_exceptions=True))
        self._loop.close()

    async def _bind(self) -> None:
        """Bind beside the final name and rename: the socket is 0600, and answers, before anybody can find it."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(fresh))
        fresh.chmod(0o600)
        listener.listen()
        fresh.replace(self._path)
        self._inode = self._path.stat().st_ino
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=wire.MAX_LINE)

    async def _stay_bound(self) -> None:
        """Bind again when somebody cleaned the directory up under us."""
        while True:
            await asyncio.sleep(REBIND_S)
            if self._is_bound():
                continue
            try:
                await self._bind()
            except OSError:
                continue

    def _is_bound(self) -> bool:
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False

    async def _farewell(self) -> None:
        self._broadcast()
        clients = list(self._clients)
        taking = asyncio.gather(*(client.take_all() for client in clients), return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(taking, FAREWELL_S)
        for client in clients:
            client.leave()
        if self._server:
            self._server.close()
        if self._is_bound():
            self._path.unlink(missing_ok=True)

    def _broadcast(self) -> None:
        lines: list[bytes] = []
        while self._pending:
            event, line = self._pending.popleft()
            self._state = self._state.apply(event)
            lines.append(line + b"\n")
        batch = b"".join(lines)
        for client in list(self._clients):
            self._deliver(client, batch)

    def _deliver(self, client: _Client, batch: bytes) -> None:
        if not client.greeted or client.behind or not batch:
            return
        if client.backlog > BACKLOG_BYTES:
            client.behind = True
            self._loop.create_task(self._catch_up(client))
        else:
            client.send(batch)

    async def _catch_up(self, client: _Client) -> None:
        try:
            await client.writer.drain()
        except OSError:
            return
        client.behind = False
        client.send(wire.encode(wire.StateSent(self._state)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not _same_user(writer):
            writer.close()
            return
        client = _Client(writer)
        self._clients.add(client)
        try:
            await self._converse(client, reader)
        except (OSError, ValueError, asyncio.IncompleteReadError):
            pass  # the view is gone, or sends lines without end: only this conversation is over
        finally:
            self._clients.discard(client)
            writer.close()

    async def _converse(self, client: _Client, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self._answer(client, line)

    def _answer(self, client: _Client, line: bytes) -> None:
        try:
            message = wire.decode_client(line)
        except (msgspec.MsgspecError, RecursionError) as error:
            client.send(wire.encode(wire.CommandDeclined("", f"not understood: {error}")))
            return
        if isinstance(message, wire.Hello):
            self._greet(client, message)
        elif client.readonly:
            client.send(wire.encode(wire.CommandDeclined(message.id, "this view is read-only")))
        else:
            self._accept(client, message)

    def _greet(self, client: _Client, hello: wire.Hello) -> None:
        self._broadcast()
        client.readonly = hello.readonly
        client.greeted = True
        client.send(wire.encode(wire.StateSent(self._state)))

    def _accept(self, client: _Client, command: AnyCommand) -> None:
        if self._state.status == "ended":
            client.send(wire.encode(wire.CommandDeclined(command.id, "the run has ended")))
            return
        self._inbox.put(Order(command, "user"))
        client.send(wire.encode(wire.CommandReceived(command.id)))


def _same_user(writer: asyncio.StreamWriter) -> bool:
    """Linux tells who is at the other end; elsewhere the 0700 directory has to do."""
    if sys.platform != "linux":
        return True
    raw = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", raw)
    return bool(uid in (os.getuid(), 0))

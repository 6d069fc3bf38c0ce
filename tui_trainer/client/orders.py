"""One command to a live run, from a script: blocks until it was applied or refused."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from tui_trainer.core import wire
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.events import AnyEvent, CommandApplied, CommandRefused, RunEnded
from tui_trainer.core.state import RunState
from tui_trainer.errors import OrderRefused
from tui_trainer.sessions.names import socket_path

CONNECT_S = 5.0
ANSWER_S = 120.0
"""A phase lasts about a second; an update that a checkpoint waits for may last longer."""


def new_id() -> str:
    """An id that no other sender uses."""
    return f"{os.getpid()}-{time.time_ns()}"


def order(session_path: Path, command: AnyCommand, timeout_s: float = ANSWER_S) -> str:
    """Send and wait; returns what was applied. Raises OrderRefused with the reason."""
    with _connected(session_path) as line:
        line.sendall(wire.encode(wire.Hello()) + wire.encode(command))
        for message in _messages(line, time.monotonic() + timeout_s):
            match message:
                case CommandApplied(id=number, effect=effect) if number == command.id:
                    return effect
                case CommandRefused(id=number, why=why) if number == command.id:
                    raise OrderRefused(why)
                case wire.CommandDeclined(id=number, why=why) if number == command.id:
                    raise OrderRefused(why)
                case RunEnded(reason=reason):
                    raise OrderRefused(f"the run ended before the order was applied: {reason.name}")
                case _:
                    continue
    raise OrderRefused("the engine went away before it answered")


def live_state(session_path: Path) -> RunState:
    """The whole state of a live run. Raises OrderRefused when no engine answers."""
    with _connected(session_path) as line:
        line.sendall(wire.encode(wire.Hello(readonly=True)))
        for message in _messages(line, time.monotonic() + CONNECT_S):
            if isinstance(message, wire.StateSent):
                return message.state
    raise OrderRefused("the engine went away before it answered")


def _connected(session_path: Path) -> socket.socket:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(CONNECT_S)
    try:
        line.connect(str(socket_path(session_path)))
    except OSError:
        line.close()
        raise OrderRefused(
            f"no run is live in {session_path.name}", "`tui-trainer sessions list` shows which are"
        ) from None
    return line


def _messages(line: socket.socket, deadline: float) -> Iterator[wire.ServerMessage | AnyEvent]:
    rest = b""
    while (left := deadline - time.monotonic()) > 0:
        line.settimeout(left)
        try:
            chunk = line.recv(1 << 20)
        except TimeoutError:
            break
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (wire.decode_server(text) for text in lines)
    raise OrderRefused("the engine has not answered in time; the order may still be applied")

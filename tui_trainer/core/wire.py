"""What goes over the socket beside commands and events: JSON lines, one message a line.

A client sends Hello, then commands. The engine answers with StateSent, then every event as it happens; each command
is answered at once by CommandReceived or CommandDeclined. A client that falls behind gets a fresh StateSent instead
of the events it missed.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from tui_trainer.core import events
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.state import RunState

VERSION = 1
MAX_LINE = 64 * 1024
"""Longest line an engine accepts from a client, bytes."""
MAX_MESSAGE = 64 * 1024 * 1024
"""Longest line a client accepts from an engine, bytes: a whole RunState."""


class Message(msgspec.Struct, frozen=True, tag_field="type", tag=True):
    """Base of the messages."""


class Hello(Message, frozen=True):
    """A client's first line."""

    version: int = VERSION
    readonly: bool = False


class StateSent(Message, frozen=True):
    """The whole state at this moment; the next event is state.seq + 1, or transient."""

    state: RunState


class CommandReceived(Message, frozen=True):
    """The hub has handed the command to the loop."""

    id: str


class CommandDeclined(Message, frozen=True):
    """The command never reached the loop: malformed, or the client is read-only."""

    id: str
    why: str


ClientMessage: TypeAlias = Hello | AnyCommand
ServerMessage: TypeAlias = StateSent | CommandReceived | CommandDeclined

_from_client: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_from_server: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_encoder = msgspec.json.Encoder()
_MARKERS = tuple(f'{{"type":"{kind.__name__}"'.encode() for kind in (StateSent, CommandReceived, CommandDeclined))


def encode(message: Message | AnyCommand) -> bytes:
    """One line, newline included."""
    return _encoder.encode(message) + b"\n"


def decode_client(line: bytes) -> ClientMessage:
    """What a client said. Raises msgspec.MsgspecError."""
    return _from_client.decode(line)


def decode_server(line: bytes) -> ServerMessage | AnyEvent:
    """What the engine said. Raises msgspec.MsgspecError."""
    return _from_server.decode(line) if line.startswith(_MARKERS) else events.decode(line)

"""Files as other tools write them, made here so that they can be damaged: records of TensorBoard and of W&B."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tui_trainer.foreign.checksum import masked
from tui_trainer.foreign.wandb import BLOCK, MAGIC

DATA = Path(__file__).parent / "data"


def varint(value: int) -> bytes:
    value %= 1 << 64
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | float | str | bytes) -> bytes:
    """A whole number as varint, a float as double, text and bytes with their length."""
    match value:
        case int():
            return varint(number << 3) + varint(value)
        case float():
            return varint(number << 3 | 1) + struct.pack("<d", value)
        case str():
            return field(number, value.encode("utf-8", "surrogatepass"))
        case bytes():
            return varint(number << 3 | 2) + varint(len(value)) + value


# --- TensorBoard -------------------------------------------------------------------------------------------------


def scalar(tag: str, value: float, step: int, time: float = 1_700_000_000.0) -> bytes:
    """An Event with one figure."""
    body = field(1, tag) + varint(2 << 3 | 5) + struct.pack("<f", value)
    return field(1, time) + field(2, step) + field(5, field(1, body))


def tfrecord(message: bytes) -> bytes:
    head = struct.pack("<Q", len(message))
    return head + struct.pack("<I", masked(head)) + message + struct.pack("<I", masked(message))


def event_file(directory: Path, messages: Iterable[bytes], name: str = "events.out.tfevents.1.host") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_bytes(b"".join(map(tfrecord, messages)))
    return path


# --- W&B ---------------------------------------------------------------------------------------------------------


def history(values: Mapping[str, Any]) -> bytes:
    """A Record with one row of history."""
    items = b"".join(field(1, field(2, name) + field(16, json.dumps(value))) for name, value in values.items())
    return field(2, items)


def wandb_log(records: Iterable[bytes]) -> bytes:
    """The log as W&B frames it, records cut where a block ends."""
    out = MAGIC + b"\0"
    for record in records:
        begun = False
        while True:
            room = BLOCK - len(out) % BLOCK
            if room < 7:
                out += bytes(room)
                continue
            piece, record = record[: room - 7], record[room - 7 :]
            kind = (1 if not record else 2) if not begun else (4 if not record else 3)
            out += struct.pack("<IHB", zlib.crc32(bytes([kind]) + piece), len(piece), kind) + piece
            begun = True
            if not record:
                break
    return out

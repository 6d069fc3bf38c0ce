"""TensorBoard's event files: TFRecords of `Event` messages. Scalars, restarts and tables of hyperparameters are read.

A record is its length (8 bytes), the length's checksum, the message, the message's checksum; TensorFlow's
`tensorflow/core/lib/io/record_writer.h` and `tensorflow/core/util/event.proto` say so; the HParams plugin's messages
are those of `tensorboard/plugins/hparams/plugin_data.proto`.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tui_trainer.foreign import wire
from tui_trainer.foreign.checksum import masked
from tui_trainer.foreign.readings import MAX_TEXT, Begun, Known, Point, Reading, Restart, Told, opened
from tui_trainer.foreign.wire import double, fields, signed, single, text

_HEAD = struct.Struct("<QI")
_CHECK = struct.Struct("<I")
MAX_MESSAGE = 1 << 20
"""Longer ones hold pictures and graphs, not figures: skipped unread, bytes."""
_START = 1
_FLOAT, _DOUBLE, _STRING = 1, 2, 7
_HPARAMS = "_hparams_/session_start_info"


def read(path: Path) -> Iterator[Reading]:
    """Everything that can be read of one event file. Raises DamagedSession where the file cannot be opened."""
    damaged = 0
    with opened(path) as file:
        for item in _messages(file):
            if isinstance(item, Told):
                yield item
                continue
            try:
                yield from _readings(item)
            except ValueError:
                damaged += 1
    if damaged:
        yield Told("warning", f"{damaged} damaged records were left out")


def _messages(file: IO[bytes]) -> Iterator[bytes | Told]:
    """Messages whose checksums hold; one that is none for each that is damaged.

    A message that is sound proves its length, so that the length's own checksum is reckoned only where it is not.
    """
    size = os.fstat(file.fileno()).st_size
    while head := file.read(_HEAD.size):
        at = file.tell() - len(head)
        length, check = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, 0)
        body = file.read(length + _CHECK.size) if length <= MAX_MESSAGE else b""
        whole = len(head) == _HEAD.size and len(body) == length + _CHECK.size
        if whole and _CHECK.pack(masked(body[:length])) == body[length:]:
            yield body[:length]
        elif len(head) == _HEAD.size and masked(head[:8]) != check:
            yield Told("warning", f"damaged from byte {at} on: what follows cannot be read")
            return
        elif MAX_MESSAGE < length <= size - at:
            file.seek(length + _CHECK.size, 1)
        elif whole:
            yield wire.NO_MESSAGE
        else:
            yield Told("warning", f"ends within a record at byte {at}: cut off, or still being written")
            return


def _readings(data: bytes) -> Iterator[Reading]:
    """What an Event says. Raises ValueError where it is none."""
    time, step, begins, restarts = 0.0, 0, False, False
    values: dict[str, float | None] = {}
    for field, kind, whole, raw in fields(data):
        match field, kind:
            case 1, wire.FIXED64:
                time = double(raw)
            case 2, wire.VARINT:
                step = signed(whole)
            case 3, wire.BYTES:
                begins = True
            case 5, wire.BYTES:
                yield from _summary(raw, values)
            case 7, wire.BYTES:
                restarts = any(number == 1 and status == _START for number, _, status, _ in fields(raw))
    if not math.isfinite(time) or abs(step) > 1 << 53:
        raise ValueError("a time or step that cannot be")
    if begins:
        yield Begun(time)
    if restarts:
        yield Restart(step, time)
    if values:
        yield Point(time, step, values)


def _summary(data: bytes, values: dict[str, float | None]) -> Iterator[Known]:
    """Scalars go into `values`; a table of hyperparameters is told."""
    for field, kind, _, raw in fields(data):
        if field != 1 or kind != wire.BYTES:
            continue
        tag, value, words = _value(raw)
        if tag == _HPARAMS:
            yield Known(_hparams(raw))
        elif value is not None:
            values[tag] = value if math.isfinite(value) else None
        elif words is not None and tag.partition("/")[0] == "hyperparameters":
            yield Known(_table(words))


def _value(data: bytes) -> tuple[str, float | None, str | None]:
    """(tag, the scalar, the text); both None for a picture or a histogram."""
    tag, value, words = "", None, None
    for field, kind, _, raw in fields(data):
        match field, kind:
            case 1, wire.BYTES:
                tag = text(raw[:1000])
            case 2, wire.FIXED32:
                value = single(raw)
            case 8, wire.BYTES:
                value, words = _tensor(raw)
    return tag, value, words


def _tensor(data: bytes) -> tuple[float | None, str | None]:
    """A tensor of one number, or of one text."""
    dtype, raw, words = 0, b"", None
    for field, kind, whole, piece in fields(data):
        match field, kind:
            case 1, wire.VARINT:
                dtype = whole
            case ((4 | 5 | 6), _):
                raw = piece
            case 8, wire.BYTES:
                words = text(piece[:MAX_TEXT])
    if dtype == _FLOAT and len(raw) == 4:
        return single(raw), None
    if dtype == _DOUBLE and len(raw) == 8:
        return double(raw), None
    return None, words if dtype == _STRING else None


def _table(words: str) -> dict[str, Any]:
    """A Markdown table of two columns, as CleanRL's scripts log their arguments."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|", 1)] for line in words.splitlines()]
    return {row[0]: row[1] for row in rows[2:] if len(row) == 2}


def _hparams(data: bytes) -> dict[str, Any]:
    """What the HParams plugin was told: a map within the plugin's data, within the value's metadata."""
    started = _inner(_inner(_inner(_inner(data, 9), 1), 2), 3)
    return dict(_hparam(raw) for number, kind, _, raw in fields(started) if (number, kind) == (1, wire.BYTES))


def _inner(data: bytes, field: int) -> bytes:
    """A field's newest bytes; none where it is not there."""
    found = b""
    for number, kind, _, raw in fields(data):
        if (number, kind) == (field, wire.BYTES):
            found = raw
    return found


def _hparam(data: bytes) -> tuple[str, Any]:
    """(name, value): a number, a text, or a truth as 1 or 0."""
    name = text(_inner(data, 1)[:1000])
    value: Any = None
    for number, kind, whole, raw in fields(_inner(data, 2)):
        match number, kind:
            case 2, wire.FIXED64:
                value = double(raw)
            case 3, wire.BYTES:
                value = text(raw[:MAX_TEXT])
            case 4, wire.VARINT:
                value = float(whole)
    return name, value

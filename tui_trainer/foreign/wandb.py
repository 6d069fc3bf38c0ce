"""W&B's offline files, `run-*.wandb`: a log in blocks, as LevelDB's, of `Record` messages.

Seven bytes of header, then blocks of 32 KiB; a piece of a record is its checksum, length and kind (whole, first,
middle, last). The log and `wandb_internal.proto` are in https://github.com/wandb/wandb.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

import msgspec

from tui_trainer.foreign import wire
from tui_trainer.foreign.readings import MAX_TEXT, Begun, Known, Point, Reading, Told, opened
from tui_trainer.foreign.wire import double, fields, signed, text

MAGIC = b":W&B\xe1\xbe"
BLOCK = 32768
MAX_RECORD = 1 << 22
_HEAD = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_STEPS = ("global_step", "time/total_timesteps", "trainer/global_step")
"""Names under which runs log their environment steps, the best first."""
_COUNTER = "_step"
"""W&B's own counter of rows, for runs that log none of them."""
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_OWN = ("_step", "_runtime", "_timestamp", "_wandb")
Pieces: TypeAlias = tuple[int, bytes] | Told


def read(path: Path) -> Iterator[Reading]:
    """Everything that can be read of one file. Raises DamagedSession where the file cannot be opened."""
    damaged, place = 0, _Place()
    with opened(path) as file:
        for item in _records(file):
            if isinstance(item, Told):
                yield item
                continue
            try:
                yield from _readings(item, place)
            except (ValueError, RecursionError):
                damaged += 1
    if damaged:
        yield Told("warning", f"{damaged} damaged records were left out")


# --- the log -----------------------------------------------------------------------------------------------------


def _records(file: IO[bytes]) -> Iterator[bytes | Told]:
    """Whole records; one that is no message for each with a piece missing."""
    begin = file.read(len(MAGIC) + 1)
    if begin[: len(MAGIC)] != MAGIC:
        yield Told("warning", "does not begin as a W&B file does: nothing was read")
        return
    gathered, offset = wire.NO_MESSAGE, len(begin)
    while block := file.read(BLOCK - offset % BLOCK):
        for found in _pieces(block, offset):
            if isinstance(found, Told):
                yield found
                gathered = wire.NO_MESSAGE
                continue
            kind, piece = found
            gathered = piece if kind in (_WHOLE, _FIRST) else gathered + piece
            if kind in (_WHOLE, _LAST):
                yield gathered
            elif len(gathered) > MAX_RECORD:
                gathered = wire.NO_MESSAGE
        offset += len(block)


def _pieces(block: bytes, offset: int) -> Iterator[Pieces]:
    """(kind, piece) of a block that lies at `offset`; what is damaged ends it, and the next block begins anew."""
    at, last = 0, (offset + len(block)) % BLOCK != 0
    while at + _HEAD.size <= len(block):
        check, length, kind = _HEAD.unpack_from(block, at)
        piece = block[at + _HEAD.size : at + _HEAD.size + length]
        if not any(block[at : at + _HEAD.size]):
            return
        if last and len(piece) < length:
            break
        if zlib.crc32(piece, zlib.crc32(bytes([kind]))) != check or kind not in (_WHOLE, _FIRST, _MIDDLE, _LAST):
            yield Told("warning", f"damaged at byte {offset + at}: the rest of its block was left out")
            return
        yield kind, piece
        at += _HEAD.size + length
    if last and any(block[at:]):
        yield Told("warning", f"ends within a record at byte {offset + at}: cut off, or still being written")


# --- the records -------------------------------------------------------------------------------------------------


class _Place:
    """Where the run stands, in environment steps: a row that does not say stands where the last one did."""

    def __init__(self) -> None:
        self._step = 0
        self._named = False

    def of(self, figures: Mapping[str, float]) -> int:
        """The step of a row."""
        name = next((name for name in _STEPS if name in figures), _COUNTER)
        value = figures.get(name, math.nan)
        if (name != _COUNTER or not self._named) and math.isfinite(value) and abs(value) <= 1 << 53:
            self._step = int(value)
        self._named |= name != _COUNTER
        return self._step


def _readings(data: bytes, place: _Place) -> Iterator[Reading]:
    """What a record says. Raises ValueError where it is no record."""
    for field, kind, _, raw in fields(data):
        match field, kind:
            case 2, wire.BYTES:
                if point := _point(raw, place):
                    yield point
            case 5, wire.BYTES:
                yield Known(_items(raw, 1))
            case 17, wire.BYTES:
                yield from _run(raw)
            case 18, wire.BYTES:
                code = next(
                    (signed(whole) for number, kind, whole, _ in fields(raw) if (number, kind) == (1, wire.VARINT)), 0
                )
                yield Told("info", f"W&B: the run ended with exit code {code}")


def _run(data: bytes) -> Iterator[Reading]:
    known: dict[str, Any] = {}
    for field, kind, _, raw in fields(data):
        match field, kind:
            case 4, wire.BYTES:
                known |= _items(raw, 1)
            case 8, wire.BYTES:
                known["run.name"] = text(raw[:1000])
            case 17, wire.BYTES:
                parts = {number: signed(whole) for number, kind, whole, _ in fields(raw) if kind == wire.VARINT}
                yield Begun(parts.get(1, 0) + parts.get(2, 0) / 1e9)
    yield Known(known)


def _point(data: bytes, place: _Place) -> Point | None:
    """One row of history."""
    figures = {name: value for name, value in _items(data, 1).items() if isinstance(value, float)}
    step, time = place.of(figures), figures.get("_timestamp", math.nan)
    values = {name: value if math.isfinite(value) else None for name, value in figures.items() if name not in _OWN}
    return Point(time if math.isfinite(time) else None, step, values) if values else None


def _items(data: bytes, where: int) -> dict[str, Any]:
    """Keys and values of a message's repeated field `where`: every number as a float."""
    found: dict[str, Any] = {}
    for field, kind, _, raw in fields(data):
        if field == where and kind == wire.BYTES:
            name, value = _item(raw)
            _spread(found, name, value)
    return found


def _item(data: bytes) -> tuple[str, Any]:
    """(name, value); a nested name is joined by slashes. Values came as JSON for years, now as typed fields, too."""
    names: list[str] = []
    value: Any = None
    for field, kind, whole, raw in fields(data):
        match field, kind:
            case ((1 | 2), wire.BYTES):
                names.append(text(raw[:1000]))
            case ((8 | 16), wire.BYTES):
                value = _json(raw)
            case ((4 | 5), wire.VARINT):
                value = float(signed(whole))
            case 6, wire.FIXED64:
                value = double(raw)
            case 7, wire.BYTES:
                value = text(raw[:MAX_TEXT])
    return "/".join(names[:20]), value


def _json(raw: bytes) -> Any:
    if len(raw) > MAX_TEXT:
        return None
    if raw.strip(b'"').decode("ascii", "replace") in _NOT_FINITE:
        return math.nan
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None


def _spread(found: dict[str, Any], name: str, value: Any, depth: int = 0) -> None:
    """A table within a value becomes names with slashes; pictures and histograms are left out."""
    if isinstance(value, dict):
        if "_type" not in value and depth < 8:
            for key, inner in value.items():
                _spread(found, f"{name}/{key}", inner, depth + 1)
    elif isinstance(value, (int, float)):
        found[name] = float(value)
    elif isinstance(value, str):
        found[name] = value

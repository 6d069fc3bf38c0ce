"""Protocol Buffers as they lie in a file: numbered fields, without a schema.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
NO_MESSAGE = b"\x07"
"""Bytes that begin no message, whatever follows them."""
_LONGEST_VARINT = 10
_DOUBLE, _FLOAT = struct.Struct("<d"), struct.Struct("<f")


def fields(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(number, wire type, integer, bytes) of each field of a message; one of the last two is meant.

    A fixed field comes as its four or eight bytes. Raises ValueError where the bytes are no message.
    """
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(data, at)
            yield number, kind, value, b""
            continue
        if kind == BYTES:
            length, at = _varint(data, at)
        else:
            length = {FIXED64: 8, FIXED32: 4}.get(kind, -1)
        if not 0 <= length <= end - at:
            raise ValueError("a field reaches past the end of its message")
        yield number, kind, 0, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """(the number, the offset behind it)."""
    value = shift = 0
    for byte in data[at : at + _LONGEST_VARINT]:
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("a number without an end")


def signed(value: int) -> int:
    """A varint as int64."""
    return value - (1 << 64) if value >= 1 << 63 else value


def double(data: bytes) -> float:
    """Eight bytes as a float."""
    return float(_DOUBLE.unpack(data)[0])


def single(data: bytes) -> float:
    """Four bytes as a float."""
    return float(_FLOAT.unpack(data)[0])


def text(data: bytes) -> str:
    """Bytes as text, whatever they are."""
    return data.decode("utf-8", "replace")

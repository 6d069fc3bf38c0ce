"""CRC-32C (Castagnoli), which TFRecord files carry; zlib has only the other polynomial."""

from __future__ import annotations

from array import array
from functools import cache

_POLYNOMIAL = 0x82F63B78


@cache
def _table() -> array[int]:
    """The remainder of every two bytes, so that two go at a time."""
    one = array("I", (_shifted(value, 8) for value in range(256)))
    return array(
        "I", (one[(one[value & 255] ^ (value >> 8)) & 255] ^ (one[value & 255] >> 8) for value in range(65536))
    )


def _shifted(value: int, bits: int) -> int:
    for _ in range(bits):
        value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
    return value


def crc32c(data: bytes) -> int:
    """The checksum of RFC 3720."""
    table, crc, even = _table(), 0xFFFFFFFF, len(data) & ~1
    for pair in memoryview(data)[:even].cast("H"):
        crc = table[(crc ^ pair) & 0xFFFF] ^ (crc >> 16)
    if even < len(data):
        crc = _shifted((crc ^ data[-1]) & 255, 8) ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    """As TFRecord stores it: rotated and shifted, so that a checksum of checksums is none by chance."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF

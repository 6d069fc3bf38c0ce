"""A RunState as bytes that share what did not change with the one before.

The state of a long run is half a megabyte of curves and evaluations, of which a thousand events change little. So a
keyframe names *pieces*: full blocks of a curve's merged part, and single evaluations. A piece is stored once.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from tui_trainer.core.events import EvaluationFinished
from tui_trainer.core.series import Bucket, Series
from tui_trainer.core.state import RunState
from tui_trainer.core.text import is_clean

BLOCK = 64
"""Buckets in a piece of a curve."""
LARGEST = 1 << 26
"""Bytes of one piece or keyframe when unpacked."""
CACHED = 4096
"""Pieces kept decoded."""


class Unusable(Exception):
    """These bytes are no keyframe of ours; fold instead."""


_Piece: TypeAlias = tuple[Bucket, ...] | tuple[EvaluationFinished]


class _Curve(msgspec.Struct, frozen=True, array_like=True):
    stride: int
    blocks: tuple[int, ...]
    rest: tuple[Bucket, ...]
    tail: tuple[Bucket, ...]


class _Keyframe(msgspec.Struct, frozen=True):
    state: RunState
    evaluations: tuple[int, ...]
    curves: dict[str, _Curve]


_encoder = msgspec.json.Encoder()
_keyframes = msgspec.json.Decoder(_Keyframe)
_blocks = msgspec.json.Decoder(tuple[Bucket, ...])
_evaluations = msgspec.json.Decoder(tuple[EvaluationFinished])


class Packer:
    """Packs states one after the other; remembers which pieces it has given numbers."""

    def __init__(self, pieces: int = 0) -> None:
        self._next = pieces
        self._numbers: dict[bytes, int] = {}
        self._fresh: list[bytes] = []
        self._before: dict[tuple[int, int], tuple[_Piece, int]] = {}
        self._now: dict[tuple[int, int], tuple[_Piece, int]] = {}

    def pack(self, state: RunState) -> tuple[list[bytes], bytes]:
        """(new pieces, numbered on from those before; the keyframe)."""
        self._fresh, self._before, self._now = [], self._now, {}
        bare = msgspec.structs.replace(state, series={}, evaluations=())
        evaluations = tuple(self._number((evaluation,)) for evaluation in state.evaluations)
        curves = {name: self._curve(series) for name, series in state.series.items()}
        return self._fresh, zlib.compress(_encoder.encode(_Keyframe(bare, evaluations, curves)), 1)

    def _curve(self, series: Series) -> _Curve:
        full = len(series.head) - len(series.head) % BLOCK
        blocks = tuple(self._number(series.head[at : at + BLOCK]) for at in range(0, full, BLOCK))
        return _Curve(series.stride, blocks, series.head[full:], series.tail)

    def _number(self, piece: _Piece) -> int:
        """A piece's number. One that is the very same objects as in the state before is found without looking in."""
        key = (id(piece[0]), id(piece[-1]))
        before, number = self._before.get(key, (None, -1))
        number = number if before == piece else self._stored(piece)
        self._now[key] = (piece, number)
        return number

    def _stored(self, piece: _Piece) -> int:
        data = _encoder.encode(piece)
        key = hashlib.blake2b(data, digest_size=16).digest()
        if key not in self._numbers:
            self._numbers[key] = self._next
            self._next += 1
            self._fresh.append(zlib.compress(data, 1))
        return self._numbers[key]


class Unpacker:
    """Makes states again; `piece` gives the stored bytes of a number."""

    def __init__(self, piece: Callable[[int], bytes]) -> None:
        self._piece = piece
        self._block_cache: dict[int, tuple[Bucket, ...]] = {}
        self._evaluation_cache: dict[int, EvaluationFinished] = {}

    def unpack(self, data: bytes) -> RunState:
        """The state of a keyframe. Raises Unusable for whatever is not exactly as `pack` made it."""
        try:
            found = _keyframes.decode(_clean(_inflated(data)))
            evaluations = tuple(self._evaluation(number) for number in found.evaluations)
            series = {name: self._series(curve) for name, curve in found.curves.items()}
        except (msgspec.MsgspecError, zlib.error, OSError, LookupError, UnicodeDecodeError, RecursionError) as error:
            raise Unusable(str(error)) from None
        return msgspec.structs.replace(found.state, series=series, evaluations=evaluations)

    def _series(self, curve: _Curve) -> Series:
        blocks = (self._block(number) for number in curve.blocks)
        return Series(tuple(b for block in blocks for b in block) + curve.rest, curve.tail, curve.stride)

    def _block(self, number: int) -> tuple[Bucket, ...]:
        if number not in self._block_cache:
            _make_room(self._block_cache)
            self._block_cache[number] = _blocks.decode(_inflated(self._piece(number)))
        return self._block_cache[number]

    def _evaluation(self, number: int) -> EvaluationFinished:
        if number not in self._evaluation_cache:
            _make_room(self._evaluation_cache)
            (self._evaluation_cache[number],) = _evaluations.decode(_clean(_inflated(self._piece(number))))
        return self._evaluation_cache[number]


def _make_room(cache: dict[int, object] | dict[int, tuple[Bucket, ...]] | dict[int, EvaluationFinished]) -> None:
    if len(cache) >= CACHED:
        del cache[next(iter(cache))]


def _inflated(data: bytes) -> bytes:
    """Unpacked, never more than LARGEST."""
    unzip = zlib.decompressobj()
    plain = unzip.decompress(data, LARGEST)
    if not unzip.eof:
        raise Unusable("longer than it may be, or cut off")
    return plain


def _clean(data: bytes) -> bytes:
    """The same bytes, when no text in them could harm a terminal: what was packed was clean."""
    if b"\\u" in data or b"\x7f" in data or not (data.isascii() or is_clean(data.decode())):
        raise Unusable("text that is not clean")
    return data

"""The newest evaluations of a session from the end of its journal, without reading all of it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from tui_trainer.core.events import EvaluationFinished, decode

TAIL_BYTES = 4 << 20
_SIGN = b'"EvaluationFinished"'


def recent_scores(journal: Path, most: int = 24, tail_bytes: int = TAIL_BYTES) -> tuple[float, ...]:
    """Values of the newest reference evaluations, oldest first; what cannot be read is left out."""
    try:
        data = _tail(journal, tail_bytes)
    except OSError:
        return ()
    found = (_value(line) for line in data.split(b"\n") if _SIGN in line[:80])
    return tuple(value for value in found if value is not None)[-most:]


def _tail(path: Path, most: int) -> bytes:
    """The last whole lines."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        data = os.pread(fd, min(size, most), max(0, size - most))
    finally:
        os.close(fd)
    return data if size <= most else data.partition(b"\n")[2]


def _value(line: bytes) -> float | None:
    try:
        event = decode(line)
    except msgspec.MsgspecError:
        return None
    return event.result.value if isinstance(event, EvaluationFinished) and event.suite == "reference" else None

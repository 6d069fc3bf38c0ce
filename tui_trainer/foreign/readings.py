"""What a reader of somebody else's file tells, in the order in which the file has it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

import msgspec

from tui_trainer.core.values import Metrics
from tui_trainer.sessions.files import open_regular

MAX_FILE = 1 << 40
MAX_TEXT = 1 << 20
"""Longest line or text that is looked into, bytes."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class Point(msgspec.Struct, frozen=True, gc=False):
    """Figures of one moment: Unix time (None: the file does not say) and environment steps."""

    time: float | None
    step: int
    values: Metrics
    update: int | None = None
    episodes: int | None = None


class Restart(msgspec.Struct, frozen=True, gc=False):
    """The run went back: what was logged at `step` or later did not survive."""

    step: int
    time: float


class Begun(msgspec.Struct, frozen=True, gc=False):
    """When the run began, Unix time."""

    time: float


class Told(msgspec.Struct, frozen=True, gc=False):
    """A sentence; a warning where part of the file could not be read."""

    level: Literal["info", "warning"]
    text: str


class Known(msgspec.Struct, frozen=True, gc=False):
    """Settings of the run, by their names there."""

    settings: dict[str, Any]


Reading: TypeAlias = Point | Restart | Begun | Told | Known


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A regular file for reading. Raises DamagedSession for links, devices and pipes."""
    with open_regular(path, MAX_FILE) as (fd, _), open(fd, "rb", buffering=1 << 18, closefd=False) as file:
        yield file


def number(text: str) -> float | None:
    """A word as a number; None where it is none or not finite. Nothing but plain decimal notation is one."""
    text = text.strip()
    value = float(text) if len(text) <= 400 and _NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) else None


def is_number(text: str) -> bool:
    """Whether a cell holds a figure, one that is not finite included."""
    text = text.strip()
    return text.casefold() in ("nan", "inf", "-inf", "infinity", "-infinity") or number(text) is not None

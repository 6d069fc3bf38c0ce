"""TensorBoard event files, live and as an export. TensorBoard's own record writer; TensorFlow is never loaded."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import IO, Any, NamedTuple

from tui_trainer.core.events import AnyEvent, RunResumed
from tui_trainer.core.rows import Row, row_of
from tui_trainer.errors import MissingExtra

FLUSH_S = 5.0


class _Library(NamedTuple):
    event: ModuleType
    summary: ModuleType
    record_writer: ModuleType


def _library() -> _Library:
    try:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer import record_writer
    except ModuleNotFoundError:
        raise MissingExtra("TensorBoard files need tensorboard", "pip install 'tui-trainer[tensorboard]'") from None
    return _Library(event_pb2, summary_pb2, record_writer)


class EventFile:
    """One event file in `directory`, which is made. Raises MissingExtra, OSError."""

    def __init__(self, directory: Path) -> None:
        self._library = _library()
        self._file = _fresh(directory)
        self._writer: Any = self._library.record_writer.RecordWriter(self._file)
        self._put(wall_time=time.time(), file_version="brain.Event:2")

    def write(self, row: Row) -> None:
        """A row's finite values as scalars at its global step."""
        kind = self._library.summary.Summary
        values = [kind.Value(tag=name, simple_value=value) for name, value in row.metrics.items() if value is not None]
        self._put(wall_time=row.time, step=row.global_step, summary=kind(value=values))

    def restart(self, step: int, at: float) -> None:
        """What was written beyond `step` did not survive: TensorBoard leaves it out from now on."""
        log = self._library.event.SessionLog
        self._put(wall_time=at, step=step + 1, session_log=log(status=log.START))

    def flush(self) -> None:
        """To the operating system."""
        self._file.flush()

    def close(self) -> None:
        """The file is complete."""
        self._file.close()

    def _put(self, **fields: object) -> None:
        self._writer.write(self._library.event.Event(**fields).SerializeToString())


class TensorBoard:
    """A sink that writes figures as they come; flushed every few seconds and at the end."""

    def __init__(self, directory: Path) -> None:
        self._file = EventFile(directory)
        self._flushed = time.monotonic()

    def take(self, event: AnyEvent) -> None:
        """Raises OSError where the disk refuses."""
        if isinstance(event, RunResumed):
            self._file.restart(event.from_step, event.time)
        elif row := row_of(event):
            self._file.write(row)
        if time.monotonic() - self._flushed > FLUSH_S:
            self._flushed = time.monotonic()
            self._file.flush()

    def close(self) -> None:
        """Everything is on its way to the disk."""
        self._file.close()


def write_rows(rows: Iterable[Row], directory: Path) -> None:
    """All of a session's rows as one event file. Raises MissingExtra, OSError."""
    file = EventFile(directory)
    try:
        for row in rows:
            file.write(row)
    finally:
        file.close()


def _fresh(directory: Path) -> IO[bytes]:
    """A new file under the name that TensorBoard looks for."""
    directory.mkdir(parents=True, exist_ok=True)
    stem = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
    for number in itertools.count():
        try:
            return (directory / f"{stem}.{number}").open("xb")
        except FileExistsError:
            continue
    raise AssertionError("numbers never end")

"""Rows of OHLCV tables: CSV text, or Parquet through polars (the extra `data`).

Columns are found by name in any order and case: ts, open, high, low, close, volume. `ts` is Unix seconds or
milliseconds, or a date such as 2024-03-01 or 2024-03-01T09:30:00 (UTC where it names no zone).
"""

from __future__ import annotations

import contextlib
import csv
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tui_trainer.errors import MissingExtra, UsageError

COLUMNS = ("ts", "open", "high", "low", "close", "volume")
SUFFIXES = (".csv", ".parquet")
_MILLISECONDS_FROM = 1e11

Row = tuple[int, "list[float] | str"]
"""A row's number in the file and its six numbers, or why it has none."""


def rows(path: Path) -> Iterator[Row]:
    """A file's rows by its suffix; the header of a CSV is row 1. Raises UsageError where it is no such table."""
    return _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)


def header(path: Path) -> list[str]:
    """The names of the columns, in lower case. Raises UsageError where the file is no table."""
    if path.suffix.lower() == ".parquet":
        return [name.strip().lower() for name in _frame(path).columns]
    with _told(path), path.open(newline="", encoding="utf-8-sig") as lines:
        return _names(csv.reader(lines))


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """What reading raises becomes a UsageError that names the file."""
    try:
        yield
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is no CSV text: {error}", "columns: " + ",".join(COLUMNS)) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _csv(path: Path) -> Iterator[Row]:
    with _told(path), path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.reader(lines)
        places = _places(path, _names(reader))
        for number, cells in enumerate(reader, start=2):
            if cells:
                yield number, _numbers(cells, places)


def _names(reader: Iterator[list[str]]) -> list[str]:
    return [name.strip().lower() for name in next(reader, [])]


def _parquet(path: Path) -> Iterator[Row]:
    frame = _frame(path)
    places = _places(path, [name.strip().lower() for name in frame.columns])
    for number, cells in enumerate(frame.iter_rows(), start=1):
        yield number, _numbers(cells, places)


def _frame(path: Path) -> Any:
    try:
        import polars
    except ModuleNotFoundError:
        raise MissingExtra(
            f"{path} needs the library polars", 'install it with: pip install "tui-trainer[data]"'
        ) from None
    try:
        return polars.read_parquet(path)
    except (polars.exceptions.PolarsError, OSError) as error:
        raise UsageError(f"{path} is no Parquet file: {str(error).splitlines()[0]}") from None


def _places(path: Path, names: list[str]) -> list[int]:
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise UsageError(f"{path} lacks the column {missing[0]}", "its first line names: " + ",".join(COLUMNS))
    return [names.index(name) for name in COLUMNS]


def _numbers(cells: Any, places: list[int]) -> list[float] | str:
    if len(cells) <= max(places):
        return "too few columns"
    try:
        return [float(int(_time(cells[places[0]]))), *(float(cells[place]) for place in places[1:])]
    except (TypeError, ValueError, OverflowError):
        return "not a number"


def _time(cell: Any) -> float:
    """Unix seconds. Raises ValueError."""
    if isinstance(cell, datetime.datetime):
        return cell.replace(tzinfo=cell.tzinfo or datetime.UTC).timestamp()
    if isinstance(cell, datetime.date):
        return datetime.datetime.combine(cell, datetime.time(), datetime.UTC).timestamp()
    try:
        number = float(cell)
    except ValueError:
        moment = datetime.datetime.fromisoformat(str(cell).strip())
        return moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp()
    return number / 1000 if number > _MILLISECONDS_FROM else number

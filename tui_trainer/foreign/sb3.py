"""Stable-Baselines3's tables: progress.csv of its logger, and monitor.csv of its Monitor, a row an episode."""

from __future__ import annotations

import csv
import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec

from tui_trainer.errors import DamagedSession
from tui_trainer.foreign.readings import MAX_TEXT, Begun, Known, Point, Reading, Told, is_number, number, opened

WINDOW = 100
"""Episodes in a mean, as Stable-Baselines3's own."""
MAX_COLUMNS = 2000
_STEPS = ("time/total_timesteps", "total_timesteps")
_ELAPSED = ("time/time_elapsed", "time_elapsed")


# --- progress.csv ------------------------------------------------------------------------------------------------


def read_progress(path: Path) -> Iterator[Reading]:
    """The logger's table. Its times count from the start, which is where the file's last change minus them lies."""
    rows = _Rows(path)
    header = next(rows, [])[:MAX_COLUMNS]
    elapsed = next((header.index(name) for name in _ELAPSED if name in header), None)
    steps = next((header.index(name) for name in _STEPS if name in header), None)
    if steps is None:
        yield Told("warning", f"has no column {_STEPS[0]}: nothing was read")
        return
    begun = path.stat().st_mtime - (_last(path, elapsed) if elapsed is not None else 0.0)
    yield Begun(begun)
    for row in rows:
        values = {name: number(cell) for name, cell in zip(header, row) if is_number(cell)}
        step = values.get(header[steps])
        if step is None or not 0 <= step <= 1 << 53:
            rows.damaged += 1
            continue
        passed = values.get(header[elapsed]) if elapsed is not None else None
        yield Point(None if passed is None else begun + passed, int(step), values)
    yield from rows.problems()


def _last(path: Path, column: int) -> float:
    """The newest value of a column."""
    cells = (number(row[column]) for row in _Rows(path) if len(row) > column)
    return max((value for value in cells if value is not None), default=0.0)


# --- monitor.csv -------------------------------------------------------------------------------------------------


def read_monitors(paths: Sequence[Path]) -> Iterator[Reading]:
    """Episodes of one or more environments, in order of their ends: means over the newest, steps added up."""
    tables: list[_Monitor] = []
    for path in paths:
        try:
            tables.append(_Monitor(path))
        except DamagedSession as error:
            yield Told("warning", str(error))
    if not tables:
        return
    yield Begun(min(table.begun for table in tables))
    yield Known({"env_id": next((table.env_id for table in tables if table.env_id), "")})
    returns: deque[float] = deque(maxlen=WINDOW)
    lengths: deque[float] = deque(maxlen=WINDOW)
    step = 0
    for count, (time, length, value) in enumerate(heapq.merge(*tables), 1):
        step += int(length)
        returns.append(value)
        lengths.append(length)
        means: dict[str, float | None] = {"rollout/ep_rew_mean": fmean(returns), "rollout/ep_len_mean": fmean(lengths)}
        yield Point(time, step, means, episodes=count)
    for table in tables:
        yield from table.problems()


class _Monitor:
    """One file: (Unix time of the end, length, return) of each episode."""

    def __init__(self, path: Path) -> None:
        self._rows = _Rows(path)
        about = _about(next(self._rows, []))
        self.begun = float(begun) if isinstance(begun := about.get("t_start"), (int, float)) else path.stat().st_mtime
        self.env_id = str(about.get("env_id") or "")
        header = next(self._rows, [])
        self._places = [header.index(name) for name in ("t", "l", "r")] if {"t", "l", "r"} <= set(header) else None

    def __iter__(self) -> Iterator[tuple[float, float, float]]:
        newest = self.begun
        for row in self._rows:
            cells = [number(row[place]) for place in self._places or () if place < len(row)]
            known = [cell for cell in cells if cell is not None]
            if len(known) < 3 or not 0 <= known[1] <= 1 << 40:
                self._rows.damaged += 1
                continue
            newest = max(newest, self.begun + known[0])
            yield newest, known[1], known[2]

    def problems(self) -> Iterator[Told]:
        """What could not be read."""
        yield from self._rows.problems()


def _about(row: Iterable[str]) -> dict[str, Any]:
    """The first line: `#` and an object in JSON, which the commas of the table have cut."""
    try:
        found = msgspec.json.decode(",".join(row).removeprefix("#"))
    except (msgspec.DecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


# --- tables ------------------------------------------------------------------------------------------------------


class _Rows:
    """The lines of a table, each as cells; one without its end is left out, since a figure may be cut in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = self._whole_lines()
        self._first = True
        self.damaged = 0
        self._torn = False

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        while True:
            line = next(self._lines)
            if self._first and line.startswith("#"):
                self._first = False
                return line.split(",")
            self._first = False
            try:
                return next(csv.reader([line], strict=True))
            except (csv.Error, StopIteration):
                self.damaged += 1

    def _whole_lines(self) -> Iterator[str]:
        with opened(self._path) as file:
            while line := file.readline(MAX_TEXT):
                if not line.endswith(b"\n"):
                    self._torn = True
                    if len(line) < MAX_TEXT:
                        return
                    continue
                yield line.decode("utf-8", "replace").rstrip("\r\n")

    def problems(self) -> Iterator[Told]:
        """What was left out so far."""
        if self.damaged:
            yield Told("warning", f"{self.damaged} damaged lines were left out")
        if self._torn:
            yield Told("warning", "a line without an end was left out: cut off, or still being written")

"""From what a reader tells to a history of ours: rows in order of steps, and the events that they stand for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import msgspec

from tui_trainer.core.config import DQNSettings, PPOSettings
from tui_trainer.core.events import AnyEvent, EvaluationFinished, LogWritten, RunResumed, RunStarted, UpdateFinished
from tui_trainer.core.text import clean_line
from tui_trainer.core.values import Difficulty, EvalResult, Metrics, PartResult
from tui_trainer.foreign import names
from tui_trainer.foreign.readings import Begun, Known, Point, Reading, Restart, Told

MAX_SIZE = 1_000_000
"""Figures kept of one run, a row counting as five; of a longer one neighbouring rows become one, the newest counts."""
_ROW = 5
LATEST = 1 << 33
"""No log is from after the year 2242, Unix time."""
MAX_METRICS = 1000
MAX_TOLD = 50
MAX_SETTINGS = 500
RETURN = "rollout/ep_rew_mean"
_SCORES = ("eval/win_rate", "eval/mean_reward")
"""What a run is judged by, the best first."""


class Row(msgspec.Struct, gc=False):
    """Figures of one moment, by our names."""

    time: float | None
    step: int
    values: Metrics
    update: int | None
    episodes: int | None


Entry: TypeAlias = Row | Restart


class Collected:
    """Everything that readers told of one run, bounded."""

    def __init__(self, most: int = MAX_SIZE) -> None:
        self.begun: float | None = None
        self.settings: dict[str, Any] = {}
        self.told: list[Told] = []
        self.entries: list[Entry] = []
        self._most = most
        self._size = 0
        self._stride = 1
        self._gathered = 0
        self._metrics: set[str] = set()
        self._full = False

    def take(self, readings: Iterable[Reading]) -> None:
        """All of a file."""
        for reading in readings:
            match reading:
                case Point():
                    self._add(reading)
                case Restart():
                    self._back(reading)
                case Begun(time=time) if 0 < time < LATEST:
                    self.begun = time if self.begun is None else min(self.begun, time)
                case Begun():
                    continue
                case Told():
                    self.tell(reading)
                case Known(settings=settings):
                    self.settings |= dict(list(settings.items())[: max(0, MAX_SETTINGS - len(self.settings))])

    def tell(self, told: Told) -> None:
        """One more sentence, unless there are too many."""
        if len(self.told) < MAX_TOLD:
            self.told.append(Told(told.level, clean_line(told.text)))

    def finished(self) -> None:
        """In order of steps; what was left out or put together is told."""
        self.entries = _in_order(self.entries)
        if self._stride > 1:
            self.tell(Told("info", f"a long run: every {self._stride} rows were put together"))
        if self._full:
            self.tell(Told("warning", f"more than {MAX_METRICS} metrics: the rest was left out"))

    @property
    def rows(self) -> list[Row]:
        """Without the restarts."""
        return [entry for entry in self.entries if isinstance(entry, Row)]

    def _back(self, restart: Restart) -> None:
        """Of restarts without a row between them the one that goes farthest back counts."""
        last = self.entries[-1] if self.entries else None
        if not isinstance(last, Restart):
            self.entries.append(restart)
        elif restart.step < last.step:
            self.entries[-1] = restart

    def _add(self, point: Point) -> None:
        values = {name: value for raw, value in point.values.items() if (name := self._named(raw))}
        if not values:
            return
        time = point.time if point.time is not None and 0 < point.time < LATEST else None
        row = Row(time, max(0, point.step), values, point.update, point.episodes)
        last = self.entries[-1] if self.entries else None
        if isinstance(last, Row) and (last.step == row.step or self._gathered < self._stride):
            self._gathered += last.step != row.step
            self._size += len(values.keys() - last.values.keys())
            _join(last, row)
        else:
            self._gathered = 1
            self._size += len(values) + _ROW
            self.entries.append(row)
        if self._size > self._most:
            self._halve()

    def _named(self, raw: str) -> str:
        """Our name; empty for a counter, and for what comes when there are too many."""
        name = names.metric(raw)
        if name in self._metrics:
            return name
        if name in names.COUNTERS or raw in names.COUNTERS:
            return ""
        if len(self._metrics) >= MAX_METRICS:
            self._full = True
            return ""
        self._metrics.add(name)
        return name

    def _halve(self) -> None:
        """Every two neighbouring rows become one."""
        kept: list[Entry] = []
        lone = False
        for entry in self.entries:
            before = kept[-1] if kept else None
            if lone and isinstance(entry, Row) and isinstance(before, Row):
                _join(before, entry)
                lone = False
            else:
                kept.append(entry)
                lone = isinstance(entry, Row)
        self.entries, self._stride = kept, 2 * self._stride
        self._size = sum(len(row.values) + _ROW for row in self.rows)


def _join(row: Row, later: Row) -> None:
    row.time = row.time if later.time is None else later.time
    row.step = later.step
    row.values |= later.values
    row.update = row.update if later.update is None else later.update
    row.episodes = row.episodes if later.episodes is None else later.episodes


def _in_order(entries: Sequence[Entry]) -> list[Entry]:
    """By steps, from one restart to the next: writers of a run may each have a file, or count on their own."""
    ordered: list[Entry] = []
    segment: list[Row] = []
    for entry in (*entries, None):
        if isinstance(entry, Row):
            segment.append(entry)
            continue
        if any(after.step < before.step for before, after in pairwise(segment)):
            segment.sort(key=lambda row: row.step)
        ordered += segment
        segment = []
        ordered += [entry] if entry else []
    return ordered


# --- events ------------------------------------------------------------------------------------------------------


class Origin(msgspec.Struct, frozen=True):
    """Where a run comes from."""

    name: str
    tool: str
    """Such as `TensorBoard`."""
    where: str
    time: float
    """When its files changed last, for those that have no times."""
    algorithm: str = ""


def events_of(found: Collected, origin: Origin) -> list[AnyEvent]:
    """The run as a history of ours, numbered from 1."""
    rows = found.rows
    begun = found.begun if found.begun is not None else next((row.time for row in rows if row.time), origin.time)
    writer = _Writer(begun)
    writer.put(_started(found, origin, rows))
    score = _score(rows)
    for entry in found.entries:
        if isinstance(entry, Restart):
            writer.restart(entry)
        else:
            writer.row(entry, score)
    for told in found.told:
        writer.put(LogWritten(level=told.level, text=told.text))
    return writer.events


def _started(found: Collected, origin: Origin, rows: Sequence[Row]) -> RunStarted:
    known = {names.SETTINGS.get(key, key): value for key, value in found.settings.items()}
    score = _score(rows)
    parts = sorted({name[len(score) + 1 :] for row in rows for name in row.values if name.startswith(f"{score}/")})
    return RunStarted(
        session=origin.name,
        task=_word(known.get("run.task")) or "unknown task",
        algorithm=(_word(known.get("run.algorithm")) or origin.algorithm or "unknown algorithm").lower(),
        seed=_seed(known.get("run.seed")),
        device="",
        mode="production",
        threads=1,
        pid=0,
        host="",
        metric=score.removeprefix("eval/"),
        higher_is_better=True,
        players=1,
        parts=tuple(parts),
        space=None,
        difficulty=Difficulty(),
        limits={},
        notes=(f"read-only: a run of {origin.tool} in {origin.where}",),
        origin=origin.tool,
    )


def settings_of(found: Collected, algorithm: str) -> dict[str, Any]:
    """Its settings as a table like [config]: ours where the name is one of ours, the others under their names."""
    own = {"ppo": PPOSettings, "dqn": DQNSettings}.get(algorithm)
    table: dict[str, Any] = {}
    for key, value in found.settings.items():
        name = names.SETTINGS.get(key, key)
        if name == "run.name" or not isinstance(value, (str, int, float)):
            continue
        if own is not None and name in own.__struct_fields__:
            name = f"{algorithm}.{name}"
        if name == "run.algorithm":
            value = str(value).lower()
        group, _, rest = name.partition(".") if name.startswith(("run.", f"{algorithm}.")) else ("other", "", name)
        table.setdefault(clean_line(group), {})[clean_line(rest, 120)] = _plain(value)
    return table


def _plain(value: str | float) -> str | float:
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1 << 53 else value
    try:
        return _plain(float(value)) if len(value) < 40 else clean_line(value, 200)
    except (ValueError, OverflowError):
        return clean_line(value, 200)


def _seed(value: object) -> int | None:
    text = str(value).removesuffix(".0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def _word(value: object) -> str:
    return clean_line(str(value), 60) if isinstance(value, str) else ""


def _score(rows: Sequence[Row]) -> str:
    """The metric that evaluations report."""
    logged = {name for row in rows for name in row.values}
    return next((name for name in _SCORES if name in logged), _SCORES[-1])


class _Writer:
    """Numbers the events, and counts updates where the log does not: each of its rows is one."""

    def __init__(self, begun: float) -> None:
        self.events: list[AnyEvent] = []
        self._begun = self._time = begun
        self._update = self._step = self._episodes = 0
        self._sps = 0.0
        self._places: list[tuple[int, int]] = []

    def put(self, event: AnyEvent) -> None:
        """Stamp it with where the run stands."""
        stamped: AnyEvent = msgspec.structs.replace(
            event, seq=len(self.events) + 1, time=self._time, update=self._update, global_step=self._step
        )
        self.events.append(stamped)

    def restart(self, restart: Restart) -> None:
        """Back to the last row before it."""
        survived = bisect_left(self._places, (restart.step, -1))
        if survived == len(self._places):
            return
        del self._places[survived:]
        self._step, self._update = self._places[-1] if self._places else (0, 0)
        self._time = max(self._time, restart.time)
        self.put(
            RunResumed(
                from_update=self._update, from_step=self._step, checkpoint="", pid=0, host="", exact=True, limits={}
            )
        )

    def row(self, row: Row, score: str) -> None:
        """What was measured, then how it was evaluated."""
        before = self._update
        self._time = self._time if row.time is None else max(self._time, row.time)
        self._step = row.step
        result, rest = _evaluation(row.values, score)
        if rest:
            self._update = max(self._update + 1, row.update or 0)
            self.put(self._updated(row, rest, self._update - before))
        self._places.append((self._step, self._update))
        if result is not None:
            self.put(EvaluationFinished(suite="reference", result=result))

    def _updated(self, row: Row, values: Metrics, updates: int) -> UpdateFinished:
        elapsed = max(0.0, self._time - self._begun)
        told = values.pop("time/fps", None)
        self._sps = told if told is not None else row.step / elapsed if elapsed > 0 else self._sps
        self._episodes = max(self._episodes, row.episodes or 0)
        return UpdateFinished(
            updates=updates, metrics=values, sps=self._sps, seconds={}, episodes=self._episodes, elapsed_s=elapsed
        )


def _evaluation(values: Metrics, score: str) -> tuple[EvalResult | None, Metrics]:
    """(the evaluation that a row holds, what else it holds). Episodes and intervals are not in such logs."""
    value = values.get(score)
    if value is None:
        return None, dict(values)
    parts = {name: each for name, each in values.items() if name.startswith(f"{score}/") and each is not None}
    mean = values.get("eval/mean_reward")
    mean = value if mean is None else mean
    result = EvalResult(
        metric=score.removeprefix("eval/"),
        value=value,
        ci=(value, value),
        mean=mean,
        std=values.get("eval/std_reward") or 0.0,
        min=value,
        max=value,
        episodes=0,
        by={name[len(score) + 1 :]: _part(each, score) for name, each in parts.items()},
    )
    used = {score, "eval/mean_reward", "eval/std_reward", *parts}
    return result, {name: each for name, each in values.items() if name not in used}


def _part(value: float, score: str) -> PartResult:
    return PartResult(episodes=0, win_rate=value if score == "eval/win_rate" else None, mean=value)


__all__ = ["Collected", "Origin", "Row", "events_of", "settings_of"]

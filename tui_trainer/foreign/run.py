"""A run of another tool, opened: its history as events of ours, its settings, and its line in a list."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, assert_never

import msgspec

from tui_trainer.core.events import AnyEvent, EvaluationFinished, LogWritten, UpdateFinished
from tui_trainer.core.series import Series
from tui_trainer.core.state import RunState, fold
from tui_trainer.errors import DamagedSession, UsageError
from tui_trainer.foreign import sb3, tensorboard, wandb
from tui_trainer.foreign.head import beginning, share_of
from tui_trainer.foreign.history import RETURN, Collected, Origin, events_of, settings_of
from tui_trainer.foreign.places import MAX_FILES, Place, find_run, find_runs
from tui_trainer.foreign.readings import Reading, Told
from tui_trainer.sessions.store import SessionSummary

MAX_LISTED = 8 << 20
"""Larger runs are not read for a list, bytes."""
STATE = "read-only"
SCORES = 24


class ForeignRun(msgspec.Struct, frozen=True):
    """What is known of a run. `settings` is a table as [config]; `problems` tell what could not be read."""

    name: str
    place: Place
    events: list[AnyEvent]
    settings: dict[str, Any]
    problems: tuple[str, ...]
    share: float = 1.0
    """The part of its files that was read."""

    @property
    def has_figures(self) -> bool:
        """Whether anything was measured."""
        return any(isinstance(event, UpdateFinished | EvaluationFinished) for event in self.events)

    def state(self) -> RunState:
        """The fold of all of it."""
        return fold(self.events)


def open_run(place: Place) -> ForeignRun:
    """The run at a place. Raises DamagedSession where no figure in it can be read."""
    run = read_run(place)
    if not run.has_figures:
        why = run.problems[0] if run.problems else "nothing was logged"
        raise DamagedSession(f"{run.name}: no figures in this run of {place.tool}", why)
    return run


def open_soon(place: Place) -> ForeignRun:
    """As `open_run`; of a long run its beginning, for a screen behind which `Growing` reads all of it."""
    share = share_of(place)
    if share < 1.0:
        try:
            with beginning(place) as files:
                run = read_run(place, files)
        except (DamagedSession, OSError):
            return open_run(place)
        if run.has_figures:  # where the cut is tells nothing of the run
            events = [event for event in run.events if not isinstance(event, LogWritten)]
            return msgspec.structs.replace(run, events=events, problems=(), share=share)
    return open_run(place)


def read_run(
    place: Place, files: tuple[Path, ...] | None = None, goes_on: Callable[[], bool] = lambda: True
) -> ForeignRun:
    """Everything that can be read of a run, damaged or not; of `files` in place of its own. Nothing more is read once
    `goes_on` says no.
    """
    found = Collected()
    for label, readings in _readers(place, files or place.files):
        try:
            found.take(_labelled(label, readings, goes_on))
        except (DamagedSession, OSError) as error:
            found.tell(Told("warning", str(error)))
    if len(place.files) == MAX_FILES:
        found.tell(Told("warning", f"only its first {MAX_FILES} files were read"))
    found.finished()
    changed = max(time for _, time in place.stamp()) / 1e9
    origin = Origin(place.name, place.tool, str(place.path), changed, _algorithm(place.path))
    events = events_of(found, origin)
    problems = tuple(told.text for told in found.told if told.level == "warning")
    return ForeignRun(place.name, place, events, settings_of(found, _named(events)), problems)


class Growing:
    """A run that may still be written, or of which only the beginning was read: tells its events again when there are
    more.
    """

    def __init__(self, place: Place, *, is_whole: bool = True) -> None:
        self.place = place
        self.problems: tuple[str, ...] = ()
        """Of what was read last."""
        self._stamp = place.stamp() if is_whole else None
        self._goes_on = True

    def is_changed(self) -> bool:
        """Since it was read last. Files that came meanwhile count."""
        self.place = _again(self.place)
        return self.place.stamp() != self._stamp

    def __call__(self) -> list[AnyEvent] | None:
        """None where nothing was added, or nothing can be read any more."""
        if not self.is_changed():
            return None
        self._stamp = self.place.stamp()
        run = read_run(self.place, goes_on=lambda: self._goes_on)
        if not self._goes_on:
            return None
        if not run.has_figures:
            self.problems = (*run.problems, "it cannot be read any more: what is shown was read before")
            return None
        self.problems = run.problems
        return run.events

    def stop(self) -> None:
        """Nobody waits any more for what is being read. From any thread."""
        self._goes_on = False


def _again(place: Place) -> Place:
    try:
        found = find_run(place.path)
    except UsageError:
        return place
    return found if found is not None and found.path == place.path else place


def _named(events: list[AnyEvent]) -> str:
    started = fold(events[:1]).started
    return started.algorithm if started else ""


def _readers(place: Place, files: tuple[Path, ...]) -> Iterator[tuple[str, Iterator[Reading]]]:
    """(name of the file, what it tells)."""
    if place.kind == "monitor":
        yield place.path.name, sb3.read_monitors(files)
        return
    for path in files:
        match place.kind:
            case "tensorboard":
                yield path.name, tensorboard.read(path)
            case "progress":
                yield path.name, sb3.read_progress(path)
            case "wandb":
                yield path.name, wandb.read(path)
            case _:
                assert_never(place.kind)


def _labelled(label: str, readings: Iterator[Reading], goes_on: Callable[[], bool]) -> Iterator[Reading]:
    """Problems with the name of their file."""
    for reading in readings:
        if not goes_on():
            return
        warns = isinstance(reading, Told) and reading.level == "warning"
        yield Told("warning", f"{label}: {reading.text}") if warns and isinstance(reading, Told) else reading


def _algorithm(path: Path) -> str:
    """Stable-Baselines3 names its directories `PPO_1`."""
    found = re.fullmatch(r"(A2C|ARS|DDPG|DQN|PPO|QRDQN|SAC|TD3|TQC|TRPO|(?:Maskable|Recurrent)PPO)_\d+", path.name)
    return found[1] if found else ""


# --- in a list ---------------------------------------------------------------------------------------------------


class Catalogue:
    """The runs below some folders, each read again only when its files have changed."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self._folders = folders
        self._known: dict[Path, tuple[object, SessionSummary, tuple[float, ...]]] = {}

    def load(self, now: float) -> list[tuple[SessionSummary, tuple[float, ...]]]:
        """Each run's line, and its newest scores."""
        places = {place.path: place for folder in self._folders for place in find_runs(folder)}
        return [self._line(place, now) for place in places.values()]

    def _line(self, place: Place, now: float) -> tuple[SessionSummary, tuple[float, ...]]:
        stamp = place.stamp()
        if self._known.get(place.path, (None,))[0] != stamp:
            self._known[place.path] = (stamp, *_summarised(place))
        _, summary, scores = self._known[place.path]
        return msgspec.structs.replace(summary, age_s=max(0.0, now - summary.created)), scores


def _summarised(place: Place) -> tuple[SessionSummary, tuple[float, ...]]:
    stamp = place.stamp()
    size, changed = sum(size for size, _ in stamp), max(time for _, time in stamp) / 1e9
    line = SessionSummary(
        name=place.name,
        path=str(place.path),
        state=STATE,
        size=size,
        changed=changed,
        created=changed,
        origin=place.tool,
    )
    if size > MAX_LISTED:
        return msgspec.structs.replace(line, problem="large: its figures appear when it is opened"), ()
    run = read_run(place)
    state = run.state()
    series = _scores(state)
    started = state.started
    points = [bucket.mean for bucket in series.buckets if bucket.mean is not None]
    return msgspec.structs.replace(
        line,
        task=started.task if started else "",
        algorithm=started.algorithm if started else "",
        update=state.update,
        global_step=state.global_step,
        metric=started.metric if started else "",
        best_score=max((bucket.high for bucket in series.buckets if bucket.high is not None), default=None),
        created=started.time if started else changed,
        problem="; ".join(run.problems),
    ), tuple(points[-SCORES:])


def _scores(state: RunState) -> Series:
    """The evaluations' history; the return in training where there were none."""
    score = f"eval/{state.started.metric}" if state.started else ""
    return state.series.get(score) or state.series.get(RETURN) or Series()

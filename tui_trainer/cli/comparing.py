"""`compare --screen`: what reports/comparison finds, as the comparison's app shows it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import msgspec

from tui_trainer.charts.axes import XKind
from tui_trainer.cli import find
from tui_trainer.cli.reporting import facts
from tui_trainer.cli.settings import view_settings
from tui_trainer.core.format import percent
from tui_trainer.core.series import Bucket, Series
from tui_trainer.foreign.run import ForeignRun, read_run
from tui_trainer.reports.comparison import Comparison, Group, Scored, compare, mean_curve
from tui_trainer.reports.facts import Facts
from tui_trainer.reports.table import number
from tui_trainer.sessions.store import Session
from tui_trainer.ui.compare import run_compare
from tui_trainer.ui.contrast import Contrast, Entry, is_rate
from tui_trainer.ui.contrast import Group as Mean

_X: dict[XKind, Callable[[Bucket], float]] = {
    "steps": lambda bucket: float(bucket.step),
    "time": lambda bucket: bucket.time,
    "update": lambda bucket: float(bucket.update),
}


def compare_on_screen(sessions: str | None, names: Sequence[str], metric: str) -> None:
    """Open the comparison; the first session is its baseline."""
    compared = [Compared(find.opened(sessions, name)) for name in dict.fromkeys(names)]
    settings = view_settings()

    def judge(wanted: str) -> Contrast:
        return contrast([facts(each.opened()) for each in compared], wanted or metric)

    run_compare(judge, settings, lambda: any(each.has_grown() for each in compared), compared[0].name)


class Compared:
    """One of those compared, opened again once it has grown."""

    def __init__(self, opened: Session | ForeignRun) -> None:
        self.name = opened.name
        self._opened = opened
        self._size = self._now()

    def has_grown(self) -> bool:
        """Since it was opened last."""
        return self._now() != self._size

    def opened(self) -> Session | ForeignRun:
        """As it is now."""
        size = self._now()
        if size != self._size:
            self._size = size
            if isinstance(self._opened, ForeignRun):
                self._opened = read_run(self._opened.place)
        return self._opened

    def _now(self) -> object:
        if isinstance(self._opened, ForeignRun):
            return self._opened.place.stamp()
        with contextlib.suppress(OSError):
            return self._opened.journal_path.stat().st_size
        return None


def contrast(sessions: Sequence[Facts], metric: str) -> Contrast:
    """The comparison with each session's curve. Raises UsageError where none has the metric."""
    compared = compare(sessions, metric)
    names = tuple(compared.settings)
    own = {f.name: _from_start(f, compared.metric) for f in sessions}
    entries = tuple(
        _entry(line, own[line.name], tuple(compared.settings[name][at] for name in names))
        for at, line in enumerate(compared.sessions)
    )
    return Contrast(
        metric=compared.metric,
        metrics=tuple(sorted({name for f in sessions for name in f.state.series})),
        higher_is_better=compared.higher_is_better,
        entries=entries,
        settings=names,
        groups=tuple(_mean(group, compared, own) for group in compared.groups),
        equal_steps=compared.equal_steps,
    )


def _from_start(f: Facts, metric: str) -> Series:
    """The metric's history with its time counted from the session's start."""
    begun = f.state.started.time if f.state.started else 0.0
    buckets = f.state.series.get(metric, Series()).buckets
    return Series(tail=tuple(msgspec.structs.replace(bucket, time=bucket.time - begun) for bucket in buckets))


def _entry(line: Scored, series: Series, settings: tuple[str, ...]) -> Entry:
    return Entry(
        name=line.name,
        seed=line.seed,
        series=series,
        best=line.best,
        last=line.last,
        at_equal_steps=line.at_equal_steps,
        steps=line.last_step,
        sps=line.sps,
        settings=settings,
    )


def _mean(group: Group, compared: Comparison, own: dict[str, Series]) -> Mean:
    curves = [own[name] for name in group.names]
    return Mean(group.names, {kind: _mean_of(curves, kind) for kind in _X}, _words(group, compared.metric))


def _mean_of(curves: Sequence[Series], kind: XKind) -> Series:
    x = _X[kind]
    points = mean_curve([[(x(b), b.mean) for b in curve.buckets if b.mean is not None] for curve in curves])
    return Series(tail=tuple(Bucket(int(at), at, int(at), mean, low, high) for at, mean, low, high in points))


def _words(group: Group, metric: str) -> str:
    """`mean of 3 seeds: last 71.0 % [69.0 %, 73.0 %], IQM 71.0 %; at equal steps ...`."""
    told = percent if is_rate(metric) else number
    parts = [
        f"{name} {told(s.mean)} [{told(s.ci[0])}, {told(s.ci[1])}], IQM {told(s.iqm)}"
        for name, s in (("last", group.last), ("best", group.best), ("at equal steps", group.at_equal_steps))
        if s is not None
    ]
    return f"mean of {len(group.names)} seeds: {'; '.join(parts)}"

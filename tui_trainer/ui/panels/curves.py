"""The run's charts, each made of a scene; what the keys and the mouse look at through the lens."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tui_trainer.charts.chart import Chart, Line, Mark
from tui_trainer.core.format import percent
from tui_trainer.core.state import Mark as Moment
from tui_trainer.core.state import MarkKind
from tui_trainer.ui.lens import extent, newest, origin
from tui_trainer.ui.scene import Scene

SIGNS: dict[MarkKind, str] = {"evaluation": "┴", "checkpoint": "◇", "decision": "◆", "level": "◆"}
_KEPT_WORDS = 6


def seen(scene: Scene, panel: str, chart: Chart) -> Chart:
    """The chart as the lens shows it."""
    lens = scene.lens
    start, end = extent(lens, newest(lens, scene.state))
    lines = chart.lines if lens.bands and is_large(scene, panel) else tuple(map(_bare, chart.lines))
    return msgspec.structs.replace(
        chart,
        lines=lines,
        kind=lens.kind,
        origin=origin(scene.state),
        x_start=start,
        x_end=end,
        log=panel in lens.log,
        smoothing=lens.smoothing,
        cross=lens.cross,
    )


def is_large(scene: Scene, panel: str) -> bool:
    """Has the chart the screen for itself?"""
    return scene.maximised and scene.focus == panel


def _bare(line: Line) -> Line:
    return msgspec.structs.replace(line, band=None) if line.band else line


def moments(scene: Scene, panel: str, kinds: Sequence[MarkKind]) -> tuple[Mark, ...]:
    """Signs on the axis for what happened, all kinds where the chart has the screen; levels as verticals with names."""
    if is_large(scene, panel):
        kinds = tuple(SIGNS)
    shown = [mark for mark in scene.state.marks if mark.kind in kinds]
    named = [mark.seq for mark in shown if mark.kind == "level"][-_KEPT_WORDS:]
    ordered = sorted(shown, key=lambda mark: list(SIGNS).index(mark.kind))
    return tuple(
        Mark(
            place(scene, mark), mark.label if mark.kind == "level" and mark.seq in named else "", sign=SIGNS[mark.kind]
        )
        for mark in ordered
    )


def place(scene: Scene, mark: Moment) -> float:
    """Where a moment stands on the x that the lens has chosen."""
    match scene.lens.kind:
        case "steps":
            return float(mark.global_step)
        case "time":
            return mark.time - origin(scene.state)
        case "update":
            return float(mark.update)


def lens_text(scene: Scene, panel: str) -> str:
    """What the lens does to a chart, for its title; empty where it does nothing."""
    lens = scene.lens
    parts = [f"{1 / share:.3g}×"] if (share := _share(scene)) is not None else []
    parts += ["log"] if panel in lens.log else []
    parts += [f"smoothed {percent(lens.smoothing, 0)}"] if lens.smoothing else []
    return ", ".join(parts)


def _share(scene: Scene) -> float | None:
    lens = scene.lens
    whole = extent(msgspec.structs.replace(lens, span=None), newest(lens, scene.state))[1]
    return None if lens.span is None or whole <= 0 else lens.span / whole

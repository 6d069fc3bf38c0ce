"""A session's curves as SVG and PNG. The only home of matplotlib."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from tui_trainer.charts.smooth import smoothed
from tui_trainer.core.format import si
from tui_trainer.core.series import Series
from tui_trainer.core.state import RunState
from tui_trainer.core.values import PartResult
from tui_trainer.errors import MissingExtra
from tui_trainer.reports.facts import Facts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, readable with every kind of colour vision."""
LINES = ("-", "--", "-.", ":")
MARKERS = "osD^v<>"
COLUMNS = 2
SMALL = (4.6, 2.3)
"""Inches of one small chart."""
RC: Any = {
    "text.parse_math": False,  # a name with two dollars in it is a name
    "svg.hashsalt": "tui-trainer",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}


class Drawn(msgspec.Struct, frozen=True):
    """One picture in both forms, and what it shows."""

    shows: str
    svg: bytes
    png: bytes


def require_matplotlib() -> None:
    """Raises MissingExtra where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise MissingExtra(
            "pictures need matplotlib, which is not installed", "pip install 'tui-trainer[report]'"
        ) from None


def draw(facts: Facts) -> dict[str, Drawn]:
    """Every picture that the session has data for, by name."""
    require_matplotlib()
    import matplotlib

    drawn: dict[str, Drawn] = {}
    with matplotlib.rc_context(RC), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that the font lacks is drawn as a box
        for name, (shows, painter) in PICTURES.items():
            figure = painter(facts)
            if figure is not None:
                drawn[name] = Drawn(shows, _saved(figure, "svg"), _saved(figure, "png"))
    return drawn


def _saved(figure: Figure, form: str) -> bytes:
    data = io.BytesIO()
    metadata = {"Date": None} if form == "svg" else {"Software": None}
    figure.savefig(data, format=form, dpi=120, metadata=metadata)
    return data.getvalue()


# --- the pictures ----------------------------------------------------------------------------------------------------


def _evaluation(facts: Facts) -> Figure | None:
    """Score by part over steps, each with its interval; levels and best checkpoints as marked lines."""
    s = facts.state
    if not s.evaluations:
        return None
    figure, axes = _figure(1, (9.2, 3.8))
    for index, name in enumerate(dict.fromkeys(part for e in s.evaluations for part in e.result.by)):
        points = [(e.global_step, e.result.by[name]) for e in s.evaluations if name in e.result.by]
        _part(axes[0], index, name, points)
    axes[0].set_title(f"{facts.name}: {facts.metric.removeprefix('eval/')} by part, 95 % intervals", loc="left")
    _levels(axes[0], s)
    _best(axes[0], s)
    axes[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)
    return figure


def _part(axes: Axes, index: int, name: str, points: list[tuple[int, PartResult]]) -> None:
    steps = [step for step, _ in points]
    values = [part.mean if part.win_rate is None else part.win_rate for _, part in points]
    lows = [part.ci[0] if part.ci else value for (_, part), value in zip(points, values)]
    highs = [part.ci[1] if part.ci else value for (_, part), value in zip(points, values)]
    colour = COLOURS[index % len(COLOURS)]
    marker, style = MARKERS[index % len(MARKERS)], LINES[index % len(LINES)]
    axes.fill_between(steps, lows, highs, color=colour, alpha=0.15, linewidth=0)
    if len(steps) == 1:
        axes.vlines(steps, lows, highs, color=colour, alpha=0.5)  # a band of one evaluation has no width
    axes.plot(steps, values, color=colour, linestyle=style, marker=marker, markersize=3, label=_label(name))


def _levels(axes: Axes, s: RunState) -> None:
    """A dotted line with its label wherever the difficulty changed."""
    for mark in s.marks:
        if mark.kind == "level":
            axes.axvline(mark.global_step, color="#555555", linestyle=":", linewidth=1)
            where = axes.get_xaxis_transform()
            axes.text(mark.global_step, 0.02, " " + mark.label[:24], rotation=90, fontsize=7, transform=where)


def _best(axes: Axes, s: RunState) -> None:
    steps = [c.at_step for c in s.checkpoints if c.kind == "best"]
    if steps:
        where = axes.get_xaxis_transform()
        axes.plot(
            steps,
            [1.0] * len(steps),
            "v",
            color="#000000",
            markersize=5,
            transform=where,
            clip_on=False,
            label="best saved",
        )


def _training(facts: Facts) -> Figure | None:
    return _small_multiples(facts, ("rollout/", "train/", "game/", "task/"))


def _resources(facts: Facts) -> Figure | None:
    return _small_multiples(facts, ("time/", "system/"))


PICTURES: dict[str, tuple[str, Callable[[Facts], Figure | None]]] = {
    "evaluation": ("Evaluations over environment steps, by part, with intervals and level changes", _evaluation),
    "training": ("Training curves over environment steps, as logged and smoothed", _training),
    "resources": ("Steps a second and the machine's load over environment steps", _resources),
}


def _small_multiples(facts: Facts, families: tuple[str, ...]) -> Figure | None:
    """One small chart a metric: what was logged as a pale band and line, smoothed as a strong one."""
    found = {name: found for name, series in facts.state.series.items() if (found := _finite(name, series, families))}
    if not found:
        return None
    figure, axes = _figure(len(found), SMALL)
    for chart, (name, points) in zip(axes, sorted(found.items())):
        _curve(chart, name, points)
        _levels_quietly(chart, facts.state)
    return figure


Band = tuple[int, float, float, float]


def _finite(name: str, series: Series, families: tuple[str, ...]) -> list[Band]:
    """(step, mean, low, high) of the buckets that hold a finite value."""
    if not name.startswith(families):
        return []
    return [(b.step, b.mean, b.low or 0.0, b.high or 0.0) for b in series.buckets if b.mean is not None]


def _curve(axes: Axes, name: str, points: list[Band]) -> None:
    steps, means, lows, highs = (list(column) for column in zip(*points))
    axes.fill_between(steps, lows, highs, color=COLOURS[0], alpha=0.2, linewidth=0)
    axes.plot(steps, means, color=COLOURS[0], alpha=0.35, linewidth=0.8)
    axes.plot(steps, smoothed(means), color=COLOURS[0], linewidth=1.5, marker=None if len(steps) > 1 else "o")
    axes.set_title(f"{name}  {means[-1]:.4g}", loc="left", fontsize=8)


def _levels_quietly(axes: Axes, s: RunState) -> None:
    for mark in s.marks:
        if mark.kind == "level":
            axes.axvline(mark.global_step, color="#555555", linestyle=":", linewidth=0.8)


# --- helpers ---------------------------------------------------------------------------------------------------------


def _figure(charts: int, inches: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure of so many charts in two columns, with its x axis in steps."""
    from matplotlib.figure import Figure

    columns = min(COLUMNS, charts)
    rows = -(-charts // columns)
    figure = Figure(figsize=(inches[0] * columns, inches[1] * rows), layout="constrained")
    axes = [figure.add_subplot(rows, columns, place + 1) for place in range(charts)]
    for chart in axes:
        chart.xaxis.set_major_formatter(lambda x, _: si(x))
        chart.locator_params(axis="x", nbins=6)
    for chart in axes[-columns:]:
        chart.set_xlabel("environment steps")
    return figure, axes


def _label(name: str) -> str:
    """A name for the legend, where one with a leading underscore would be left out."""
    return name if not name.startswith("_") else " " + name

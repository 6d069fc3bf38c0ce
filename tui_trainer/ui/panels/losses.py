"""What the updates report: each metric's history as a sparkline and its latest value."""

from __future__ import annotations

from tui_trainer.charts.bars import resampled, spark
from tui_trainer.charts.chart import Chart, Line, draw
from tui_trainer.charts.span import Row, Span
from tui_trainer.core.series import Series
from tui_trainer.ui.panels.curves import is_large, lens_text, moments, seen
from tui_trainer.ui.rows import block, centred, plain
from tui_trainer.ui.scene import Scene

TITLE = "Losses"

KNOWN = (
    ("train/approx_kl", "KL"),
    ("train/clip_fraction", "clip"),
    ("train/entropy_loss", "entropy"),
    ("train/value_loss", "value"),
    ("train/policy_gradient_loss", "policy"),
    ("train/explained_variance", "explained"),
    ("train/loss", "loss"),
    ("train/q_mean", "Q mean"),
    ("train/grad_norm", "gradient"),
    ("train/learning_rate", "lr"),
    ("rollout/ep_rew_mean", "return"),
    ("rollout/ep_len_mean", "length"),
    ("rollout/exploration_rate", "epsilon"),
)


_LIST = 34
"""Columns of the list beside the chart, where there is room for both."""


def heading(scene: Scene) -> str:
    return lens_text(scene, "losses") if is_large(scene, "losses") else ""


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """One line a metric, the task's own ones last; on the whole screen the chart of one of them beside the list."""
    names = shown(scene)
    if not names:
        return centred([plain("losses appear with the first update", "dim")], width, height)
    if chart_left(scene, width, height) is not None:
        return _explorer(scene, names, width, height)
    return [_row(scene, metric, name, width) for metric, name in _around(scene, names, height)]


def shown(scene: Scene) -> list[tuple[str, str]]:
    """The metrics with a history, each with the name that the panel gives it."""
    own = [(name, name.removeprefix("task/")) for name in sorted(scene.state.series) if name.startswith("task/")]
    return [(metric, name) for metric, name in [*KNOWN, *own] if metric in scene.state.series]


def chosen(scene: Scene) -> str:
    """The metric under the mark."""
    names = [metric for metric, _ in shown(scene)]
    return scene.metric if scene.metric in names else names[0] if names else ""


def chart(scene: Scene, width: int) -> Chart:
    """The chosen metric's history."""
    series = scene.state.series.get(chosen(scene), Series())
    marks = moments(scene, "losses", ())
    return seen(scene, "losses", Chart((Line(series, "s0"),), marks))


def chart_left(scene: Scene, width: int, height: int) -> int | None:
    """The column of the panel at which its chart begins; None where only the list is shown."""
    return _LIST + 2 if is_large(scene, "losses") and width >= 2 * _LIST and height >= 6 else None


def _explorer(scene: Scene, names: list[tuple[str, str]], width: int, height: int) -> list[Row]:
    listed = [_row(scene, metric, name, _LIST) for metric, name in _around(scene, names, height)]
    drawn = draw(chart(scene, width - _LIST - 2), width - _LIST - 2, height, scene.look.glyphs)
    return [(*left, Span("  "), *right) for left, right in zip(block(listed, _LIST, height), drawn, strict=True)]


def _around(scene: Scene, names: list[tuple[str, str]], height: int) -> list[tuple[str, str]]:
    """As many as fit, the chosen one among them."""
    at = next((i for i, (metric, _) in enumerate(names) if metric == chosen(scene)), 0)
    first = max(0, min(at - height + 1, len(names) - height))
    return names[first : first + height]


def _row(scene: Scene, metric: str, name: str, width: int) -> Row:
    room = max(0, width - 10 - 9)
    line = spark(resampled(scene.state.series[metric], room), room, scene.look.glyphs, "s0")
    value = scene.state.metrics.get(metric)
    here = scene.focus == "losses" and metric == chosen(scene)
    return (Span(f"{name[:9]:<10}", "focus" if here else "dim"), *line, Span(f" {number(value):>8}"))


def number(value: float | None) -> str:
    """Three figures, `not a number` said plainly."""
    if value is None:
        return "nan"
    size = abs(value)
    if size >= 1000 or (0 < size < 0.0005):
        return f"{value:.1e}"
    return f"{value:.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 4}f}"

"""What the updates report: each metric's history as a sparkline and its latest value."""

from __future__ import annotations

from tui_trainer.charts.bars import resampled, spark
from tui_trainer.charts.span import Row, Span
from tui_trainer.core.series import Series
from tui_trainer.ui.rows import centred, plain
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


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """One line a metric, the task's own ones last."""
    rows = [row for metric, name in _shown(scene) if (row := _row(scene, metric, name, width)) is not None]
    return rows[:height] or centred([plain("losses appear with the first update", "dim")], width, height)


def _shown(scene: Scene) -> list[tuple[str, str]]:
    own = [(name, name.removeprefix("task/")) for name in sorted(scene.state.metrics) if name.startswith("task/")]
    return [*KNOWN, *own]


def _row(scene: Scene, metric: str, name: str, width: int) -> Row | None:
    series = scene.state.series.get(metric, Series())
    if series.last is None:
        return None
    room = max(0, width - 10 - 9)
    line = spark(resampled(series, room), room, scene.look.glyphs, "s0")
    value = scene.state.metrics.get(metric)
    return (Span(f"{name[:9]:<10}", "dim"), *line, Span(f" {number(value):>8}"))


def number(value: float | None) -> str:
    """Three figures, `not a number` said plainly."""
    if value is None:
        return "nan"
    size = abs(value)
    if size >= 1000 or (0 < size < 0.0005):
        return f"{value:.1e}"
    return f"{value:.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 4}f}"

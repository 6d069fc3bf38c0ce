"""Environment steps a second, and where the time goes."""

from __future__ import annotations

from tui_trainer.charts.bars import stacked
from tui_trainer.charts.chart import Chart, Line, draw
from tui_trainer.charts.scale import nice_range, roomy_end
from tui_trainer.charts.span import Row, Span, row_cells
from tui_trainer.core.format import si
from tui_trainer.core.series import Series
from tui_trainer.ui.rows import centred, plain
from tui_trainer.ui.scene import Scene

TITLE = "SPS"

PHASES = (("env", "s0"), ("forward", "s1"), ("learn", "s2"), ("evaluate", "s3"), ("save", "s4"), ("wait", "s7"))


def heading(scene: Scene) -> str:
    return f"{si(scene.state.sps)} steps/s" if scene.state.sps else ""


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """The chart, and under it the share of each phase."""
    series = scene.state.series.get("time/fps", Series())
    if series.last is None:
        return centred([plain("speed appears with the first update", "dim")], width, height)
    shares = phase_rows(scene, width) if height >= 5 else []
    shares = shares[: 1 if height < 8 else 2]
    top = nice_range(0.0, max(b.high for b in series.buckets if b.high is not None), max(2, height // 3))[1]
    chart = Chart((Line(series, "s0"),), y_range=(0.0, top), x_end=roomy_end(float(scene.state.global_step)))
    return [*draw(chart, width, height - len(shares), scene.look.glyphs), *shares]


def phase_rows(scene: Scene, width: int) -> list[Row]:
    """Words with numbers first, then one bar of the same parts."""
    recent = scene.state.recent_seconds
    total = sum(recent.values())
    if total <= 0:
        return []
    shares = [(name, recent[name] / total, style) for name, style in PHASES if recent.get(name, 0.0) > 0]
    row: list[Span] = []
    for name, share, style in shares:
        piece = [Span("  " if row else ""), Span(name, style), Span(f" {100 * share:2.0f} %")]
        if row_cells((*row, *piece)) <= width:
            row += piece
    return [tuple(row), stacked([(share, style) for _, share, style in shares], width, scene.look.glyphs)]

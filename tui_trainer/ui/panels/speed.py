"""Environment steps a second, and where the time goes."""

from __future__ import annotations

from tui_trainer.charts.bars import patterns, stacked
from tui_trainer.charts.chart import Chart, Line, draw
from tui_trainer.charts.scale import nice_range
from tui_trainer.charts.span import Row, Span, row_cells
from tui_trainer.core.format import si
from tui_trainer.core.series import Series
from tui_trainer.ui.panels.curves import lens_text, moments, seen
from tui_trainer.ui.rows import centred, plain
from tui_trainer.ui.scene import Scene

TITLE = "SPS"

PHASES = (
    ("env", "env", "s0", 0),
    ("forward", "fwd", "s1", 1),
    ("learn", "learn", "s2", 2),
    ("script", "script", "s2", 2),
    ("evaluate", "eval", "s3", 3),
    ("save", "save", "s4", 4),
    ("wait", "wait", "s7", 5),
    ("sync", "sync", "s6", 6),
)
"""Name, word, style and pattern: a phase keeps its own, whichever others are shown."""


def heading(scene: Scene) -> str:
    speed = f"{si(scene.state.sps)} steps/s" if scene.state.sps else ""
    return ", ".join(part for part in (speed, lens_text(scene, "speed")) if part)


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """The chart, and under it the share of each phase."""
    series = scene.state.series.get("time/fps", Series())
    if series.last is None:
        return centred([plain("speed appears with the first update", "dim")], width, height)
    shares = phase_rows(scene, width) if height >= 5 else []
    shares = shares[: 1 if height < 8 else 2]
    return [*draw(chart(scene, width), width, height - len(shares), scene.look.glyphs), *shares]


def chart(scene: Scene, width: int) -> Chart:
    """Steps a second from 0 on."""
    series = scene.state.series.get("time/fps", Series())
    top = nice_range(0.0, max((b.high for b in series.buckets if b.high is not None), default=1.0), 5)[1]
    marks = moments(scene, "speed", ())
    return seen(scene, "speed", Chart((Line(series, "s0"),), marks, y_range=(0.0, top)))


def phase_rows(scene: Scene, width: int) -> list[Row]:
    """Words with numbers first, then one bar of the same parts."""
    recent = scene.state.recent_seconds
    total = sum(recent.values())
    if total <= 0:
        return []
    signs = patterns(scene.look.glyphs)
    shares = [(recent.get(name, 0.0) / total, word, style, signs[sign]) for name, word, style, sign in PHASES]
    shares = [part for part in shares if part[0] >= 0.005]
    words = [(Span(sign, style), Span(f"{word} {100 * share:.0f} ")) for share, word, style, sign in shares]
    while words and row_cells(span for piece in words for span in piece) + 1 > width:
        smallest = min(range(len(words)), key=lambda index: shares[index][0])
        del words[smallest], shares[smallest]
    percents = (*(span for piece in words for span in piece), Span("%"))
    fillings = "".join(sign for *_, sign in shares)
    return [percents, stacked([(part[0], part[2]) for part in shares], width, scene.look.glyphs, fillings)]

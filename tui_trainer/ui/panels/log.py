"""The log: newest at the bottom, filtered by a text, scrolled by the arrows."""

from __future__ import annotations

from tui_trainer.charts.span import Row, Span
from tui_trainer.core.format import duration
from tui_trainer.core.state import LogLine
from tui_trainer.ui.rows import plain
from tui_trainer.ui.scene import Scene

TITLE = "Log"

_SIGNS = {"warning": ("! ", "warn"), "error": ("✗ ", "bad"), "info": ("  ", ""), "debug": ("  ", "dim")}


def heading(scene: Scene) -> str:
    if scene.filter or scene.filtering:
        return f"filter: {scene.filter}{'_' if scene.filtering else ''}"
    return ""


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """The lines that hold the filter's text."""
    wanted = scene.filter.casefold()
    lines = [line for line in scene.state.log if wanted in line.text.casefold()]
    if not lines:
        return [plain(f"no line with “{scene.filter}”" if scene.filter else "nothing yet", "dim")]
    back = min(scene.scroll_of("log"), max(0, len(lines) - height))
    last = len(lines) - back
    return [line_row(scene, line) for line in lines[max(0, last - height) : last]]


def line_row(scene: Scene, line: LogLine) -> Row:
    """`  12:04   accepted 6: ...`."""
    sign, style = _SIGNS.get(line.level, ("  ", ""))
    when = Span(f"{duration(scene.since_start(line.time)):>7} ", "dim")
    return (when, Span(sign, style), Span(line.text, style if line.level == "debug" else ""))

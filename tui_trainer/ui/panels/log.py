"""The log: newest at the bottom, filtered by a text, scrolled by the arrows."""

from __future__ import annotations

from collections.abc import Sequence

from tui_trainer.charts.span import Row, Span, cells, row_cells
from tui_trainer.core.format import count, duration
from tui_trainer.core.state import LogLine
from tui_trainer.ui.keys import shown
from tui_trainer.ui.rows import plain, wrapped
from tui_trainer.ui.scene import LEVELS, Scene

TITLE = "Log"

_SIGNS = {"warning": ("! ", "warn"), "error": ("✗ ", "bad"), "info": ("  ", ""), "debug": ("  ", "dim")}


def heading(scene: Scene) -> str:
    parts = [f"filter: {scene.filter}{'_' if scene.filtering else ''}"] if scene.filter or scene.filtering else []
    parts += [f"{scene.level} and worse"] if scene.level != "debug" else []
    back = scene.scroll_of("log")
    parts += [f"{count(back)} back, {shown(scene, 'down')} follows"] if back else []
    return ", ".join(parts)


def lines(scene: Scene, log: Sequence[LogLine] | None = None) -> list[LogLine]:
    """The lines that hold the filter's text and are important enough; of the whole log, or of some lines."""
    wanted = scene.filter.casefold()
    kept = LEVELS[LEVELS.index(scene.level) :]
    found = scene.state.log if log is None else log
    return [line for line in found if wanted in line.text.casefold() and line.level in kept]


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """The newest at the bottom; scrolled back it stands still while lines come in."""
    found = lines(scene)
    if not found:
        return [plain(_nothing(scene), "dim")]
    back = min(scene.scroll_of("log"), max(0, len(found) - height))
    last = len(found) - back
    shown = found[max(0, last - height) : last]
    if not (scene.maximised and scene.focus == "log"):
        return [line_row(scene, line) for line in shown]
    return [row for line in shown for row in whole_rows(scene, line, width)][-height:]


def _nothing(scene: Scene) -> str:
    if scene.filter:
        return f"no line with “{scene.filter}”"
    return "nothing yet" if scene.level == "debug" else f"no {scene.level} so far"


def line_row(scene: Scene, line: LogLine) -> Row:
    """`  12:04   accepted 6: ...`."""
    sign, style = _SIGNS.get(line.level, ("  ", ""))
    when = Span(f"{duration(scene.since_start(line.time)):>7} ", "dim")
    return (when, Span(sign, style), *_marked(line.text, scene.filter, style if line.level == "debug" else ""))


def whole_rows(scene: Scene, line: LogLine, width: int) -> list[Row]:
    """The line on as many rows as it needs, later ones under its text."""
    first = line_row(scene, line)
    margin = row_cells(first[:2])
    if margin + cells(line.text) <= width or width <= margin:
        return [first]
    style = first[2].style
    texts = ["".join(span.text for span in row) for row in wrapped(line.text, width - margin)]
    leads = [first[:2], *[(Span(" " * margin),)] * (len(texts) - 1)]
    return [(*lead, *_marked(text, scene.filter, style)) for lead, text in zip(leads, texts, strict=True)]


def _marked(text: str, wanted: str, style: str) -> Row:
    """The text with what was searched for standing out."""
    at = text.casefold().find(wanted.casefold()) if wanted else -1
    if at < 0:
        return (Span(text, style),)
    end = at + len(wanted)
    return (Span(text[:at], style), Span(text[at:end], "key"), Span(text[end:], style))

"""The line above the footer: orders on their way, what just went wrong, or the newest log line."""

from __future__ import annotations

from tui_trainer.charts.span import Row, Span
from tui_trainer.ui.hints import hint
from tui_trainer.ui.orders import ways
from tui_trainer.ui.rows import plain
from tui_trainer.ui.scene import Scene

TITLE = "Status"


def urgent(scene: Scene) -> Row | None:
    """What must be seen even where there is no room for a line of its own."""
    if scene.filtering:
        return (
            Span(" filter: ", "key"),
            Span(scene.filter),
            Span("_", "key"),
            Span("  enter keeps it, esc clears", "dim"),
        )
    if scene.writing is not None:
        return _written(scene, scene.writing)
    if scene.notice is not None:
        return (Span(" "), Span(scene.notice.text, scene.notice.style))
    if scene.orders:
        return tuple(s for o in scene.orders[-3:] for s in (Span(" "), Span(f" {o.text} {o.status} ", "sent")))
    if scene.link is not None and scene.link.status != "live":
        style = "warn" if scene.link.status == "starting" else "bad"
        return (Span(" "), Span(scene.link.text, style))
    return None


def _written(scene: Scene, line: str) -> Row:
    """The order so far, and how it may go on; what was wrong with it, after a try."""
    rest = ways(scene, line)
    told = Span(f"  tab: {rest[0]}" if rest else "  enter gives it, esc leaves", "dim")
    if scene.notice is not None:
        told = Span(f"  {scene.notice.text}", scene.notice.style)
    return (Span(" order: ", "key"), Span(line), Span("_", "key"), told)


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """One line."""
    row = urgent(scene)
    if row is not None:
        return [row]
    told = hint(scene)
    if told:
        return [(Span(" hint: ", "key"), Span(told))]
    if not scene.state.log:
        return [plain("")]
    newest = scene.state.log[-1]
    style = {"warning": "warn", "error": "bad"}.get(newest.level, "dim")
    return [(Span(" "), Span(newest.text, style))]

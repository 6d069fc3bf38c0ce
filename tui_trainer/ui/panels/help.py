"""Every key with what it does and the command that does the same, from the one table."""

from __future__ import annotations

from tui_trainer.charts.span import Row, Span
from tui_trainer.ui.keys import keys_for
from tui_trainer.ui.scene import Scene

TITLE = "Keys and commands"


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """The table, scrolled by the overlay's position."""
    rows: list[Row] = []
    for key in keys_for(scene.kind):
        head = (Span(f"{key.shown:<10}", "key"), Span(key.help))
        rows.append(head)
        if key.command:
            rows.append((Span(" " * 10), Span(key.command, "dim")))
    start = scene.overlay.scroll if scene.overlay else 0
    start = max(0, min(start, len(rows) - height))
    return rows[start : start + height]

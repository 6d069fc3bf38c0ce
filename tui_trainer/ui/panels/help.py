"""Every key with what it does and the command that does the same, from the one table."""

from __future__ import annotations

from tui_trainer.charts.span import Row, Span
from tui_trainer.ui.keymap import spelled
from tui_trainer.ui.keys import Key, keys_for
from tui_trainer.ui.rows import wrapped
from tui_trainer.ui.scene import Scene

TITLE = "Keys and commands"

_GUTTER = 10


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """The table, scrolled by the overlay's position."""
    rows: list[Row] = []
    for key in keys_for(scene.kind, scene.keys):
        rows += _lines(key, spelled(key.shown, scene.look.glyphs), max(12, width - _GUTTER))
    start = scene.overlay.scroll if scene.overlay else 0
    start = max(0, min(start, len(rows) - height))
    return rows[start : start + height]


def _lines(key: Key, shown: str, width: int) -> list[Row]:
    texts = [*wrapped(key.help, width), *(wrapped(key.command, width, "dim") if key.command else [])]
    return [(Span(f"{shown if i == 0 else '':<{_GUTTER}}", "key"), *row) for i, row in enumerate(texts)]

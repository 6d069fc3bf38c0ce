"""The keys, from the one table; those that cannot act now are dim."""

from __future__ import annotations

from tui_trainer.charts.span import Row, Span
from tui_trainer.ui.keys import keys_for, label_of, refusal
from tui_trainer.ui.scene import Scene

TITLE = "Keys"


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """As many keys as fit, the most needed first, in the table's order."""
    ranked = sorted((key for key in keys_for(scene.kind) if key.rank), key=lambda key: key.rank)
    kept: list[str] = []
    used = 0
    for key in ranked:
        wide = len(key.shown) + len(label_of(key, scene)) + 3
        if used + wide <= width:
            kept.append(key.action)
            used += wide
    row: list[Span] = []
    for key in keys_for(scene.kind):
        if key.action in kept:
            off = bool(refusal(key.action, scene))
            row += [Span(" "), Span(key.shown, "dim" if off else "key"), Span(f" {label_of(key, scene)} ",
                                                                              "dim" if off else "")]  # fmt: skip
    return [tuple(row)]

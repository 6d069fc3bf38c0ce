"""The keys, from the one table; those that cannot act now are dim."""

from __future__ import annotations

from tui_trainer.charts.span import Row, Span, row_cells
from tui_trainer.ui.keys import AFTER, Action, Key, is_over, keys_for, label_of, refusal
from tui_trainer.ui.scene import Scene

TITLE = "Keys"


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """As many keys as fit, the most needed first, in the table's order."""
    return [tuple(span for key in _kept(scene, width) for span in _piece(scene, key))]


def action_at(scene: Scene, width: int, column: int) -> Action | None:
    """What stands under a column: a click on a key is the key."""
    right = 0
    for key in _kept(scene, width):
        right += row_cells(_piece(scene, key))
        if column < right:
            return key.action
    return None


def _kept(scene: Scene, width: int) -> list[Key]:
    kept: list[Key] = []
    used = 0
    for key in sorted(
        (key for key in keys_for(scene.kind, scene.keys) if _rank(scene, key)), key=lambda key: _rank(scene, key)
    ):
        wide = row_cells(_piece(scene, key))
        if used + wide <= width:
            kept.append(key)
            used += wide
    return [key for key in keys_for(scene.kind, scene.keys) if key in kept]


_ON_CHART: tuple[Action, ...] = (
    "back", "zoom_in", "zoom_out", "left", "help", "log_axis", "x_axis", "smooth", "bands", "whole", "leave",
)  # fmt: skip
"""What matters while a chart has the whole screen."""
_CHARTS = ("win_rate", "speed", "losses")


def _rank(scene: Scene, key: Key) -> int:
    """Place among the keys that matter now; 0 = left out. After the end that is what can be done next."""
    if scene.page:
        return key.on_list if label_of(key, scene) else 0
    if scene.maximised and scene.focus in _CHARTS:
        return _ON_CHART.index(key.action) + 1 if key.action in _ON_CHART else 0
    if key.action in AFTER:
        return key.rank - 14 if is_over(scene) and label_of(key, scene) else 0
    if is_over(scene) and scene.kind == "live" and key.where == "live":
        return 0
    return key.rank if label_of(key, scene) else 0


def _piece(scene: Scene, key: Key) -> Row:
    off = bool(refusal(key.action, scene))
    style = "dim" if off else ""
    return (Span(" "), Span(key.shown, style or "key"), Span(f" {label_of(key, scene)} ", style))

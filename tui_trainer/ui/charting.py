"""What the keys and the mouse do to the charts: scenes in, changes of the scene out. Pure."""

from __future__ import annotations

import msgspec

from tui_trainer.charts.chart import Plan, plan
from tui_trainer.ui import lens as lenses
from tui_trainer.ui.keys import Action
from tui_trainer.ui.layout import Place
from tui_trainer.ui.panels import PANELS, losses
from tui_trainer.ui.scene import Scene

CHARTS = tuple(name for name, panel in PANELS.items() if panel.chart is not None)
_ALWAYS: tuple[Action, ...] = (
    "zoom_in", "zoom_out", "pan_left", "pan_right", "whole", "x_axis", "log_axis", "smooth", "bands",
)  # fmt: skip
_WHEEL = 2**0.5

Changes = dict[str, object]


def changes(action: Action, scene: Scene) -> bool:
    """Is the action one of the charts' now? Arrows only where one is focused; a list leaves none on the screen."""
    if scene.page:
        return False
    if action in _ALWAYS:
        return True
    if action in ("up", "down"):
        return scene.focus == "losses"
    return action in ("left", "right") and scene.focus in CHARTS


def acted(action: Action, scene: Scene) -> Changes:
    """What becomes of the scene."""
    if action in ("up", "down"):
        return {"metric": _next_metric(scene, 1 if action == "down" else -1)}
    focus = scene.focus if scene.focus in CHARTS else "win_rate"
    return {"lens": lenses.steered(scene.lens, action, lenses.newest(scene.lens, scene.state), focus), "focus": focus}


def _next_metric(scene: Scene, step: int) -> str:
    names = [metric for metric, _ in losses.shown(scene)]
    if not names:
        return ""
    return names[(names.index(losses.chosen(scene)) + step) % len(names)]


# --- the mouse -----------------------------------------------------------------------------------------------------


def pointed(scene: Scene, place: Place, x: int) -> Changes:
    """The crosshair under the mouse, where that is a chart's plot."""
    at = x_under(scene, place, x)
    if at is None:
        return {}
    last = lenses.newest(scene.lens, scene.state)
    return {"lens": msgspec.structs.replace(scene.lens, cross=max(0.0, min(last, at)))}


def wheeled(scene: Scene, place: Place, x: int, direction: int) -> Changes:
    """The wheel over a chart: nearer (-1) or farther (1) around what is under the mouse."""
    last = lenses.newest(scene.lens, scene.state)
    factor = _WHEEL if direction > 0 else 1 / _WHEEL
    return {"lens": lenses.zoomed(scene.lens, last, factor, x_under(scene, place, x))}


def x_under(scene: Scene, place: Place, x: int) -> float | None:
    """The chart's x under a column of the screen; None beside the plot."""
    laid, left = _planned(scene, place)
    return None if laid is None else laid.x_at(x - left)


def _planned(scene: Scene, place: Place) -> tuple[Plan | None, int]:
    """The plan of a panel's chart, and the screen's column at which it begins."""
    panel = PANELS[place.panel]
    edge = 2 if place.boxed else 0
    width, height = place.width - 2 * edge, place.height - edge
    if panel.chart is None or width < 1:
        return None, 0
    left = losses.chart_left(scene, width, height) if place.panel == "losses" else 0
    if left is None:
        return None, 0
    return plan(panel.chart(scene, width - left), width - left, height), place.x + edge + left

"""What the keys that only look do to the scene: focus, fill the screen, scroll, go back. Pure."""

from __future__ import annotations

import msgspec

from tui_trainer.ui.frame import places_of
from tui_trainer.ui.keys import Action
from tui_trainer.ui.panels import NUMBERED, log
from tui_trainer.ui.scene import LEVELS, Scene

Changes = dict[str, object]


def looked(action: Action, name: str, scene: Scene, width: int, height: int) -> Changes:
    """What becomes of the scene; `name` is the key, which for panels is a digit."""
    match action:
        case "level":
            level = LEVELS[(LEVELS.index(scene.level) + 1) % len(LEVELS)]
            return {"level": level, "focus": "log", "scroll": 0}
        case "back":
            return _back(scene)
        case "up" | "down" | "page_up" | "page_down":
            return scrolled(action, scene)
        case "left" | "right":
            return _other_card(scene, 1 if action == "right" else -1)
        case "panel":
            return _focused(NUMBERED[int(name) - 1], scene, width, height)
        case "maximise":
            return {"maximised": not scene.maximised and bool(scene.focus)}
        case _:
            return _next_panel(scene, 1 if action == "next_panel" else -1, width, height)


def scrolled(action: Action, scene: Scene) -> Changes:
    """The focused panel, or the log, some lines on."""
    focus = scene.focus or "log"
    lengths = {
        "log": len(log.lines(scene)),
        "decisions": len(scene.state.decisions),
        "checkpoints": len(scene.state.checkpoints),
    }
    further = (action in ("up", "page_up")) == (focus == "log")
    lines = 10 if action.startswith("page") else 1
    scroll = scene.scroll + (lines if further else -lines)
    return {"focus": focus, "scroll": max(0, min(scroll, lengths.get(focus, 0)))}


def _focused(panel: str, scene: Scene, width: int, height: int) -> Changes:
    """A second time: fills the screen. One that has no room fills it at once."""
    if panel == scene.focus:
        return {"maximised": not scene.maximised}
    moved = msgspec.structs.replace(scene, focus=panel, scroll=0)
    hidden = panel not in {place.panel for place in places_of(moved, width, height)}
    return {"focus": panel, "scroll": 0, "maximised": hidden or scene.maximised}


def _next_panel(scene: Scene, step: int, width: int, height: int) -> Changes:
    shown = {place.panel for place in places_of(msgspec.structs.replace(scene, maximised=False), width, height)}
    names = [name for name in NUMBERED if name in shown]
    at = names.index(scene.focus) + step if scene.focus in names else (0 if step > 0 else -1)
    return {"focus": names[at % len(names)] if names else "", "scroll": 0}


def _back(scene: Scene) -> Changes:
    if scene.maximised:
        return {"maximised": False}
    if scene.filter:
        return {"filter": ""}
    if scene.lens.cross is not None:
        return {"lens": msgspec.structs.replace(scene.lens, cross=None)}
    return {"focus": "", "scroll": 0}


def _other_card(scene: Scene, step: int) -> Changes:
    numbers = [r.id for r in scene.state.open_recommendations]
    card = scene.card
    if card is None or len(numbers) < 2:
        return {}
    return {"chosen": numbers[(numbers.index(card.id) + step) % len(numbers)]}

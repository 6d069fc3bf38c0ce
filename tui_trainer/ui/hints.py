"""First hints: one at a time, for what was never used, for the first minutes of a view."""

from __future__ import annotations

from collections.abc import Callable

from tui_trainer.ui.keys import Action, is_logged, refusal, shown
from tui_trainer.ui.scene import Scene

SHOWN_S = 120.0

_HINTS: tuple[tuple[Action, Callable[[Scene], bool], str], ...] = (
    ("accept", lambda s: s.card is not None and s.kind == "live" and not s.readonly,
     "{accept} accepts the recommendation, {reject} rejects it; nothing changes by itself"),
    ("play", lambda s: s.kind == "replay" and is_logged(s), "{play} plays, {later} goes forward, {end} to the end"),
    ("play", lambda s: s.kind == "replay", "{play} plays, {later} goes forward, {next_decision} to the next decision"),
    ("help", lambda s: True, "{help} shows every key and the command that does the same"),
    ("panel", lambda s: True, "1 to 9 choose a panel, {maximise} gives it the whole screen, {back} takes it back"),
    ("zoom_in", lambda s: True, "{zoom_in} and {zoom_out} zoom the charts; on a focused one ← → read its values"),
    ("write", lambda s: s.kind == "live", "{write} writes an order, such as set ppo.learning_rate=1e-4 or run-for 100"),
    ("leave", lambda s: s.kind == "live" and not s.state.ended, "{leave} leaves this view; the run goes on"),
)  # fmt: skip


def hint(scene: Scene) -> str:
    """What to say now; empty once all is known, or the view is no longer new."""
    if scene.now > scene.hints_until:
        return ""
    for action, fits, text in _HINTS:
        if action not in scene.learned and fits(scene) and not refusal(action, scene):
            return text.format_map(_Shown(scene))
    return ""


def teaches(action: str) -> bool:
    """Is there a hint that goes away once this is used?"""
    return any(action == hinted for hinted, _, _ in _HINTS)


class _Shown(dict[str, str]):
    """Actions as the keys that stand for them."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self._scene = scene

    def __missing__(self, action: str) -> str:
        return shown(self._scene, action)  # type: ignore[arg-type]

"""How a view of a run was left, in a line for the terminal."""

from __future__ import annotations

import msgspec

from tui_trainer.ui.scene import Scene


class Outcome(msgspec.Struct, frozen=True):
    """How the view was left: a line for the terminal, and the run's exit code if the run ended in it."""

    text: str
    exit_code: int | None = None
    then: tuple[str, ...] = ()
    """Words of the command that the person wants next."""


def outcome_of(scene: Scene) -> Outcome:
    """What there is to say once the screen is gone."""
    state, name = scene.state, scene.name
    if scene.kind == "replay":
        return Outcome("")
    if state.ended is not None:
        saved = f", saved {state.ended.checkpoint}" if state.ended.checkpoint else ""
        return Outcome(f"{name} ended: {state.ended.reason.name}{saved}", state.ended.reason.exit_code)
    if scene.link is not None and scene.link.status == "gone":
        return Outcome(f"{name}: {scene.link.text}")
    verb = "waits, paused" if state.status == "paused" else "goes on"
    return Outcome(f"{name} {verb}; tui-trainer attach {name} opens it again, tui-trainer stop {name} ends it")

"""Sentences that more than one panel says."""

from __future__ import annotations

from collections.abc import Sequence

from tui_trainer.core.format import count, percent, si
from tui_trainer.ui.scene import Scene


def next_evaluation(scene: Scene) -> str:
    """`first evaluation after update 50`."""
    started = scene.state.started
    if started is None or not started.evaluate_every:
        return "no evaluations are planned"
    every = started.evaluate_every
    upcoming = (scene.state.update // every + 1) * every
    which = "next" if scene.state.evaluations else "first"
    return f"{which} evaluation after update {count(upcoming)}"


def try_told(scene: Scene) -> str:
    """`try: as it is, 40 of 100 updates`: how far a try is."""
    state = scene.state
    start = state.branches.get("start") or state.branches.get("without")
    if state.trying is None or start is None:
        return ""
    if "start" in state.branches:
        return f"try: as it is, {count(state.update - start.update)} of {count(state.trying.updates)} updates"
    done = state.trying.updates - (start.update - state.update)
    return f"try: with the change, {count(done)} of {count(state.trying.updates)} updates"


def outcome_style(outcome: str) -> str:
    """Green only for what helped."""
    word = outcome.partition(":")[0]
    return {"helped": "good", "hurt": "bad"}.get(word, "warn")


def is_rate(scene: Scene) -> bool:
    """Is the score a share in [0, 1]?"""
    return scene.state.started is not None and "rate" in scene.state.started.metric.split("_")


def score(scene: Scene, value: float) -> str:
    """A score as people read it: `71.2 %` where it is a share."""
    return percent(value) if is_rate(scene) else si(value)


# --- lists on the whole screen --------------------------------------------------------------------------------------


def list_heading(scene: Scene, found: int, what: str) -> str:
    """How many are shown, and the filter."""
    text = f"{count(found)} {what}{'' if found == 1 else 's'}"
    if scene.filter or scene.filtering:
        text += f", filter: {scene.filter}{'_' if scene.filtering else ''}"
    return text


def chosen_index(scene: Scene, keys: Sequence[int]) -> int:
    """Place of the chosen line; the first where that is gone."""
    return keys.index(scene.mark) if scene.mark in keys else 0


def window(at: int, total: int, height: int) -> tuple[int, int]:
    """First and one past the last line of a list so that `at` is among them, near the middle."""
    first = max(0, min(at - height // 2, total - height))
    return first, max(first, min(total, first + height))

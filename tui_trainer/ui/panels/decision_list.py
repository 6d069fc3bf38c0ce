"""Every decision on the whole screen: who, what, why, outcome; filtered by a text, one of them in full."""

from __future__ import annotations

from tui_trainer.charts.span import Row, Span
from tui_trainer.core.chronicle import matching, merged
from tui_trainer.core.format import count, duration
from tui_trainer.core.state import KEPT_DECISIONS, Decision
from tui_trainer.ui.panels.texts import chosen_index, list_heading, outcome_style, window
from tui_trainer.ui.rows import blank, labelled, plain, wrapped
from tui_trainer.ui.scene import Scene

TITLE = "Decisions"

_FULL = 6
"""Rows at the foot for the chosen one."""


def shown(scene: Scene) -> tuple[Decision, ...]:
    """Newest first; in a replay those still to come, too."""
    return matching(merged(scene.chronicle, scene.state), scene.filter)


def keys_of(scene: Scene) -> tuple[int, ...]:
    """What `scene.mark` may name, in the list's order."""
    return tuple(decision.seq for decision in shown(scene))


def heading(scene: Scene) -> str:
    most = len(scene.state.decisions) >= KEPT_DECISIONS and not scene.chronicle
    note = f", the newest {KEPT_DECISIONS}; an export has all" if most else ""
    return list_heading(scene, len(keys_of(scene)), "decision") + note


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """A line each; beneath them the chosen one in full."""
    found = shown(scene)
    if not found:
        text = f"no decision with “{scene.filter}”" if scene.filter else "none yet"
        return [plain(text, "dim")]
    at = chosen_index(scene, keys_of(scene))
    foot = min(_FULL, max(0, height - 4))
    first, last = window(at, len(found), height - foot)
    rows = [_row(scene, decision, index == at) for index, decision in enumerate(found[first:last], first)]
    rows += [blank(width)] * (height - foot - len(rows))
    return rows + _in_full(scene, found[at], width, foot)


def _row(scene: Scene, decision: Decision, here: bool) -> Row:
    ahead = decision.seq > scene.state.seq
    outcome = f" → {decision.outcome}" if decision.outcome else ""
    why = f" ({decision.why})" if decision.why else ""
    return (
        Span("▸ " if here else "  ", "key"),
        Span(f"{duration(scene.since_start(decision.time)):>8} {count(decision.update):>8}  ", "dim"),
        Span("✗ " if not decision.applied else "· " if ahead else "  ", "bad" if not decision.applied else "dim"),
        Span(f"{decision.by:<10} ", "dim" if ahead else "brand"),
        Span(decision.what, "focus" if here else "dim" if ahead else ""),
        Span(outcome, outcome_style(decision.outcome)),
        Span(why, "dim"),
    )


def _in_full(scene: Scene, decision: Decision, width: int, height: int) -> list[Row]:
    if height <= 0:
        return []
    how = "refused" if not decision.applied else "still to come" if decision.seq > scene.state.seq else "done"
    when = f"update {count(decision.update)}, {duration(scene.since_start(decision.time))} after the start, {how}"
    told = (("what", f"{decision.by}: {decision.what}"), ("why", decision.why), ("outcome", decision.outcome))
    rows: list[Row] = [plain("─" * width, "frame"), labelled("when", when)]
    for label, text in told:
        lines = wrapped(text or "-", max(1, width - 11))
        rows += [labelled(label if i == 0 else "", line) for i, line in enumerate(lines)]
    return rows[:height]

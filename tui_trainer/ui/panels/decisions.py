"""What was decided, by whom, why, and what became of it; newest first."""

from __future__ import annotations

from tui_trainer.charts.span import Row, Span
from tui_trainer.core.format import duration
from tui_trainer.core.state import Decision
from tui_trainer.ui.panels.texts import outcome_style
from tui_trainer.ui.rows import plain
from tui_trainer.ui.scene import Scene

TITLE = "Decisions"


def heading(scene: Scene) -> str:
    return f"{len(scene.state.decisions)}" if scene.state.decisions else ""


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """One line each."""
    decisions = scene.state.decisions
    if not decisions:
        begun = scene.state.started
        text = (
            "not recorded" if begun and begun.origin else "none yet: yours, the manager's and the adviser's appear here"
        )
        return [plain(text, "dim")]
    start = min(scene.scroll_of("decisions"), max(0, len(decisions) - height))
    return [_row(scene, d) for d in list(reversed(decisions))[start : start + height]]


def _row(scene: Scene, decision: Decision) -> Row:
    when = Span(f"{duration(scene.since_start(decision.time)):>7} ", "dim")
    sign = Span("  ") if decision.applied else Span("✗ ", "bad")
    why = f" ({decision.why})" if decision.why else ""
    outcome = Span(f" → {decision.outcome}", outcome_style(decision.outcome)) if decision.outcome else Span("")
    return (when, sign, Span(f"{decision.by} ", "brand"), Span(decision.what), outcome, Span(why, "dim"))

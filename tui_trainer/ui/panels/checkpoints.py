"""What is on the disk, newest first."""

from __future__ import annotations

from tui_trainer.charts.span import Row, Span
from tui_trainer.core.events import CheckpointSaved
from tui_trainer.core.format import count, size
from tui_trainer.ui.keys import shown
from tui_trainer.ui.rows import plain
from tui_trainer.ui.scene import Scene

TITLE = "Checkpoints"


def heading(scene: Scene) -> str:
    saved = scene.state.checkpoints
    return f"{len(saved)}" if saved else ""


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """Update, kind, size, score; `★` marks the best."""
    saved = scene.state.checkpoints
    if not saved:
        can_save = scene.kind == "live" and not scene.readonly and scene.state.status in ("running", "paused")
        hint: list[Row] = [(Span(shown(scene, "checkpoint"), "key"), Span(" saves one now", "dim"))] if can_save else []
        return [plain("none yet", "dim"), *hint][:height]
    start = min(scene.scroll_of("checkpoints"), max(0, len(saved) - height))
    newest = list(reversed(saved))[start : start + height]
    return [_row(scene, checkpoint, width) for checkpoint in newest]


def _row(scene: Scene, checkpoint: CheckpointSaved, width: int) -> Row:
    best = scene.state.best
    star = Span("★ " if best is not None and best.number == checkpoint.number else "✓ ", "good")
    head = (star, Span(f"{count(checkpoint.at_update):>7} "), Span(f"{checkpoint.kind:<9}", "dim"))
    score = "" if checkpoint.score is None else f" {checkpoint.score:.3f}"
    return (
        *head,
        Span(f" {size(checkpoint.size):>9}" if width >= 28 else ""),
        Span(score if width >= 36 else "", "dim"),
    )

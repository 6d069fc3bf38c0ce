"""After the end: why, how far, how good, and what to do next."""

from __future__ import annotations

from tui_trainer.charts.span import Row, Span, row_cells
from tui_trainer.core.format import count, duration, si
from tui_trainer.ui.panels.texts import score
from tui_trainer.ui.rows import labelled, most_important, plain, wrapped
from tui_trainer.ui.scene import Scene

TITLE = "Summary"


def heading(scene: Scene) -> str:
    return scene.state.ended.reason.name if scene.state.ended else ""


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """Reason, figures, next commands."""
    state = scene.state
    if state.ended is None:
        return [plain("the run goes on", "dim")]
    rows: list[tuple[int, Row]] = []
    because = wrapped(state.ended.reason.evidence or state.ended.reason.name, width - 11)
    rows += [(0 if i == 0 else 3, labelled("because" if i == 0 else "", row)) for i, row in enumerate(because)]
    rows.append((2, labelled("trained", f"{duration(state.elapsed_s)}, {count(state.update)} updates, "
                                        f"{si(state.global_step)} steps")))  # fmt: skip
    rows += _scores(scene)
    rows.append((3, labelled("saved", state.ended.checkpoint or "nothing")))
    rows.append((6, ()))
    rows += [(1 + i, row) for i, row in enumerate(_next(scene, width))]
    return most_important(rows, height)


def _scores(scene: Scene) -> list[tuple[int, Row]]:
    finals = scene.state.final_evaluations
    rows: list[tuple[int, Row]] = []
    for final in finals:
        result = final.result
        interval = "-".join(score(scene, end).removesuffix(" %") for end in result.ci)
        text = f"{score(scene, result.value)} ({interval}), unseen seeds"
        which = f", {final.checkpoint}" if final.checkpoint and len(finals) > 1 else ""
        rows.append((2, labelled("final", text + which)))
    last = scene.state.last_evaluation
    if not finals and last is not None:
        rows.append((2, labelled("last", f"{score(scene, last.result.value)} after update {count(last.update)}")))
    return rows


def _next(scene: Scene, width: int) -> list[Row]:
    """Commands, with a word beside each where there is room."""
    words = {"resume": "goes on from here", "replay": "plays it back", "eval": "plays each opponent"}
    rows: list[Row] = []
    for verb, word in words.items():
        command = Span(f"tui-trainer {verb} {scene.name}", "key")
        note = Span(f"  {word}", "dim")
        rows.append((command, note) if row_cells((command, note)) <= width else (command,))
    return rows

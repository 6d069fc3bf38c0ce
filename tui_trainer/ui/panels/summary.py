"""After the end: why, how far, how good, and what to do next."""

from __future__ import annotations

from tui_trainer.charts.span import Row, Span
from tui_trainer.core.format import count, duration, percent, si
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
    because = wrapped(state.ended.reason.evidence or state.ended.reason.name, width - 10)
    rows += [(0 if i == 0 else 3, labelled("because" if i == 0 else "", row)) for i, row in enumerate(because)]
    rows.append((2, labelled("trained", f"{duration(state.elapsed_s)}, {count(state.update)} updates, "
                                        f"{si(state.global_step)} steps")))  # fmt: skip
    rows += _scores(scene)
    rows.append((3, labelled("saved", state.ended.checkpoint or "nothing")))
    rows.append((6, ()))
    rows += [(1 + i, row) for i, row in enumerate(_next(scene))]
    return most_important(rows, height)


def _scores(scene: Scene) -> list[tuple[int, Row]]:
    finals = scene.state.final_evaluations
    rows: list[tuple[int, Row]] = []
    for final in finals:
        result = final.result
        text = f"{percent(result.value)} ({percent(result.ci[0])} to {percent(result.ci[1])}) on unseen seeds"
        rows.append((2, labelled("final", f"{text} {final.checkpoint}".rstrip())))
    last = scene.state.last_evaluation
    if not finals and last is not None:
        rows.append((2, labelled("last", f"{last.result.metric} {last.result.value:.3f} after update {last.update}")))
    return rows


def _next(scene: Scene) -> list[Row]:
    name = scene.name
    verbs = ("resume", "replay", "eval")
    words = {"resume": "goes on from here", "replay": "plays it back", "eval": "plays it against each opponent"}
    return [(Span(f"tui-trainer {verb} {name}", "key"), Span(f"  {words[verb]}", "dim")) for verb in verbs]

"""After the end: why, how far, how good, what it left behind if it broke, and the keys for what to do next."""

from __future__ import annotations

from tui_trainer.charts.span import Row, Span
from tui_trainer.core.format import count, duration, si
from tui_trainer.ui.keys import Action, further, has_broken, is_over, shown
from tui_trainer.ui.panels.texts import score
from tui_trainer.ui.rows import labelled, most_important, plain, wrapped
from tui_trainer.ui.scene import Scene

TITLE = "Summary"


def heading(scene: Scene) -> str:
    ended = scene.state.ended
    return ended.reason.name if ended else "crashed" if is_over(scene) else ""


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """Reason, figures, last words, next steps; what matters least gives way."""
    if not is_over(scene):
        return [plain("the run goes on", "dim")]
    rows: list[tuple[int, Row]] = []
    because = wrapped(_because(scene), max(8, width - 11), "bad" if has_broken(scene) else "")
    rows += [(0 if i == 0 else 3, labelled("because" if i == 0 else "", row)) for i, row in enumerate(because)]
    rows += _figures(scene)
    rows += _last_words(scene)
    rows.append((8, ()))
    rows += [(1 + i, row) for i, row in enumerate(_next(scene, width))]
    return most_important(rows, height)


def _because(scene: Scene) -> str:
    ended = scene.state.ended
    if ended is None:
        return scene.broke or (scene.link.text if scene.link else "the engine is gone")
    return ended.reason.evidence or ended.reason.name


def _figures(scene: Scene) -> list[tuple[int, Row]]:
    state = scene.state
    trained = f"{duration(state.elapsed_s)}, {count(state.update)} updates, {si(state.global_step)} steps"
    rows: list[tuple[int, Row]] = [(2, labelled("trained", trained)), *_scores(scene)]
    best = state.best
    if best is not None:
        reached = "" if best.score is None else f", {score(scene, best.score)}"
        rows.append((5, labelled("best", f"update {count(best.at_update)}{reached}")))
    newest = state.checkpoints[-1].path if state.checkpoints else "nothing"
    rows.append((3, labelled("saved", (state.ended.checkpoint if state.ended else newest) or "nothing")))
    return rows


def _scores(scene: Scene) -> list[tuple[int, Row]]:
    finals = scene.state.final_evaluations
    rows: list[tuple[int, Row]] = []
    for final in finals:
        result = final.result
        interval = "-".join(score(scene, end).removesuffix(" %") for end in result.ci)
        saved = final.checkpoint.rpartition("-u")[2]
        of = f", update {saved}" if saved and len(finals) > 1 else ""
        rows.append((2, labelled("final", f"{score(scene, result.value)} ({interval}){of}")))
    if finals:
        rows.append((6, labelled("", plain("on unseen seeds", "dim"))))
    last = scene.state.last_evaluation
    if not finals and last is not None:
        rows.append((2, labelled("last", f"{score(scene, last.result.value)} after update {count(last.update)}")))
    return rows


def _last_words(scene: Scene) -> list[tuple[int, Row]]:
    """The end of the traceback; its last line names the error and matters most."""
    *before, last = scene.last_words or ("",)
    rows = [(6 + len(before) - index, plain(line, "dim")) for index, line in enumerate(before)]
    return [*rows, (0, plain(last.strip(), "bad"))] if last else []


def _next(scene: Scene, width: int) -> list[Row]:
    """Keys where they act, commands in a replay; what its own program alone can do is only told."""
    ours = not scene.loop_elsewhere
    told = wrapped(scene.loop_elsewhere, width, "dim")
    if scene.kind == "replay" or scene.readonly:
        ours_now = ("resume", "fork", "eval", "report") if scene.state.checkpoints else ("resume", "report")
        verbs = ours_now if ours else ("report", "sessions export")
        verbs = ("replay", *verbs) if scene.kind == "live" else verbs
        return [*(plain(f"tui-trainer {verb} {scene.name}", "key") for verb in verbs), *told]
    steps: list[tuple[Action, str]] = [
        ("extend", further(scene).what), ("again", "play it back"), ("report", "write a report"),
        ("fork", "fork it: a new run from here"),
    ]  # fmt: skip
    steps = [step for step in steps if ours or step[0] in ("again", "report")]
    return [*_keyed(scene, steps, width), *told]


def _keyed(scene: Scene, steps: list[tuple[Action, str]], width: int) -> list[Row]:
    return [(Span(f"{shown(scene, action):<3}", "key"), Span(text[: max(0, width - 3)])) for action, text in steps]

"""The open recommendation: evidence, change, expected effect, confidence, and the keys that answer it."""

from __future__ import annotations

from tui_trainer.charts.bars import bar
from tui_trainer.charts.span import Row, Span, cells, fit, row_cells
from tui_trainer.core.format import count
from tui_trainer.core.state import Recommendation
from tui_trainer.ui.keys import shown
from tui_trainer.ui.panels.texts import next_evaluation, try_told
from tui_trainer.ui.rows import most_important, plain, wrapped
from tui_trainer.ui.scene import Scene

TITLE = "Recommendation"


def heading(scene: Scene) -> str:
    card = scene.card
    if card is None:
        return ""
    waiting = scene.state.open_recommendations
    return f"{card.id}, {1 + waiting.index(card)} of {len(waiting)} ← →" if len(waiting) > 1 else str(card.id)


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """The card with its keys in the last line; without one, when the adviser will speak again."""
    card = scene.card
    if card is None:
        return _quiet(scene, width)[:height]
    body = _card(scene, card, width, height - 1)
    return [*body[: height - 1], _keys(scene, card)]


def _card(scene: Scene, card: Recommendation, width: int, height: int) -> list[Row]:
    raised = card.raised
    what = raised.change.label or f"{raised.change.key} {raised.change.old:g} → {raised.change.new:g}"
    told = what in raised.title
    texts = [
        _ranked((0, 5), wrapped(raised.title, width, "bold")),
        *(_ranked((6 if at else 4, 6), _led("· ", "dim", line, width)) for at, line in enumerate(raised.evidence)),
        _ranked((8, 8) if told else (1, 5), _led("→ ", "card", what, width)),
        _ranked((3, 5), _led("expect ", "dim", raised.expected, width)),
        [(2, _confidence(scene, card, width))],
    ]
    return _kept(texts, width, height)


def _kept(texts: list[list[tuple[int, Row]]], width: int, height: int) -> list[Row]:
    """The most important rows of the texts; one that loses its end says so."""
    kept = {id(row) for row in most_important([ranked for text in texts for ranked in text], height)}
    rows: list[Row] = []
    for text in texts:
        shown = [row for _, row in text if id(row) in kept]
        rows += [*shown[:-1], _cut_off(shown[-1], width)] if 0 < len(shown) < len(text) else shown
    return rows


def _cut_off(row: Row, width: int) -> Row:
    """The row with the sign that more belongs to it; where it takes room, in place of a whole word."""
    room = row_cells(row)
    if room >= width:
        words = "".join(span.text for span in row)[: width - 1].rpartition(" ")[0]
        room = cells(words) or width - 1
    return (*fit(row, room), Span("…", row[-1].style))


def _ranked(ranks: tuple[int, int], rows: list[Row]) -> list[tuple[int, Row]]:
    """The first line's rank and that of the lines that continue it, each line a little less important."""
    return [(ranks[0] if index == 0 else ranks[1] + (index > 2), row) for index, row in enumerate(rows)]


def _led(lead: str, style: str, text: str, width: int) -> list[Row]:
    """Wrapped text behind a sign or word; later lines stand under the text."""
    lines = wrapped(text, max(8, width - len(lead)))
    return [(Span(lead if index == 0 else " " * len(lead), style), *line) for index, line in enumerate(lines)]


def _confidence(scene: Scene, card: Recommendation, width: int) -> Row:
    left = max(0, card.raised.expires_update - scene.state.update)
    expiry = f"  expires in {count(left)} updates" if width >= 40 else f"  {count(left)} updates"
    share = card.raised.confidence
    return (
        Span("sure ", "dim"),
        *bar(share, 8, scene.look.glyphs),
        Span(f" {100 * share:3.0f} %"),
        Span(expiry, "dim"),
    )


def _keys(scene: Scene, card: Recommendation) -> Row:
    pending = next((order for order in scene.orders if order.recommendation == card.id), None)
    if pending is not None:
        return (Span(f" {pending.text} {pending.status} ", "sent"),)
    if scene.kind == "replay":
        return plain("open at this moment of the replay", "dim")
    if scene.readonly:
        return plain("read-only view: no answer from here", "dim")
    trying, reject = scene.state.trying, shown(scene, "reject")
    if trying is not None and trying.id == card.id:
        return (Span(f" {try_told(scene)} ", "sent"), Span("  "), Span(reject, "key"), Span(" call off"))
    keys = (shown(scene, "accept"), reject, shown(scene, "try"))
    words = (" accept  ", " reject  ", " try")
    return tuple(span for key, word in zip(keys, words) for span in (Span(key, "key"), Span(word)))


def _quiet(scene: Scene, width: int) -> list[Row]:
    state = scene.state
    rows = [plain("no open recommendation", "dim")]
    if state.status == "ended":
        return rows + _last_answered(scene, width) + _record(scene, width)
    if state.started is not None and state.started.origin:
        return rows + wrapped(f"{state.started.origin} logged this run: nobody advised it", width, "dim")
    if state.started is not None:
        rows += wrapped(f"the adviser speaks after evaluations: {next_evaluation(scene)}", width, "dim")
    return rows + _last_answered(scene, width) + _record(scene, width)


def _record(scene: Scene, width: int) -> list[Row]:
    """`accepted 6: 5 helped, 1 unclear`."""
    told = scene.state.advice.told
    return wrapped(told, width, "dim") if told else []


def _last_answered(scene: Scene, width: int) -> list[Row]:
    done = next((r for r in reversed(scene.state.recommendations) if not r.is_open), None)
    if done is None:
        return []
    outcome = f": {done.outcome}" if done.outcome else ""
    by = f" by {done.by}" if done.by else ""
    rows: list[Row] = [(), (Span(f"{done.id} {done.verdict}{by}{outcome}"),), *wrapped(done.raised.title, width, "dim")]
    if done.verdict == "accepted" and scene.kind == "live" and not scene.readonly and scene.state.status != "ended":
        rows.append((Span(shown(scene, "undo"), "key"), Span(" undo")))
    return rows

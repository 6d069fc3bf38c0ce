"""One picture: the panels in their places, what lies over them, nothing of Textual."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tui_trainer.charts.span import Row, Span, cells, fit
from tui_trainer.core.text import clean_line
from tui_trainer.ui.keys import is_over, shown
from tui_trainer.ui.layout import Place, arrange, listed, maximised
from tui_trainer.ui.panels import NUMBERED, PANELS, Panel
from tui_trainer.ui.panels.status import urgent
from tui_trainer.ui.rows import block, box, fitting, over, plain, wrapped
from tui_trainer.ui.scene import Scene


class Picture(msgspec.Struct, frozen=True):
    """Rows of exactly the screen's width, and what failed while they were drawn."""

    rows: list[Row]
    failures: tuple[str, ...] = ()
    first: tuple[int, ...] = ()
    """Rows that answer a key; a slow line gets them before the others."""


def compose(scene: Scene, width: int, height: int, panels: Mapping[str, Panel] = PANELS) -> Picture:
    """The whole screen. A panel that fails shows its failure in its place; the others stand."""
    places = _with_urgent(scene, places_of(scene, width, height))
    failures: list[str] = []
    drawn = [(place, _drawn(scene, place, panels[place.panel], failures)) for place in places]
    under = _assembled(drawn, width, height)
    rows = over(under, _overlay(scene, width, height), width)
    lines = [place.y for name in ("status", "footer", "header") for place in places if place.panel == name]
    covered = [y for y, row in enumerate(rows) if row is not under[y]]
    first = [y for y in (*lines, *covered) if y < len(rows)]
    return Picture([scene.look.printable(row) for row in rows], tuple(failures), tuple(first))


def places_of(scene: Scene, width: int, height: int) -> tuple[Place, ...]:
    """Where each panel stands now."""
    if scene.page:
        return listed(scene.page, width, height, replay=scene.kind == "replay")
    if scene.maximised and scene.focus:
        return maximised(scene.focus, width, height)
    logged = scene.state.started is not None and bool(scene.state.started.origin)
    return arrange(width, height, replay=scene.kind == "replay", ended=is_over(scene), logged=logged)


def place_under(scene: Scene, x: int, y: int, width: int, height: int) -> Place | None:
    """The panel at a cell of the screen."""
    places = _with_urgent(scene, places_of(scene, width, height))
    return next((p for p in places if p.x <= x < p.x + p.width and p.y <= y < p.y + p.height), None)


def _with_urgent(scene: Scene, places: tuple[Place, ...]) -> tuple[Place, ...]:
    """Where there is no status line, what is urgent takes the footer's place."""
    if urgent(scene) is None or any(place.panel == "status" for place in places):
        return places
    return tuple(msgspec.structs.replace(p, panel="status") if p.panel == "footer" else p for p in places)


def panel_text(scene: Scene, panel: str, width: int, height: int) -> str:
    """A panel as plain text, for the clipboard."""
    rows = block(PANELS[panel].render(scene, width, height), width, height)
    return text_of([scene.look.printable(row) for row in rows])


def text_of(rows: list[Row]) -> str:
    """Rows as plain text without blanks at the ends."""
    return "\n".join("".join(span.text for span in row).rstrip() for row in rows).rstrip() + "\n"


def _drawn(scene: Scene, place: Place, panel: Panel, failures: list[str]) -> list[Row]:
    inside = (place.width - 4, place.height - 2) if place.boxed else (place.width, place.height)
    try:
        rows = panel.render(scene, max(0, inside[0]), max(0, inside[1]))
        title = _title(scene, panel, place.width - 6)
    except Exception as error:  # a panel's bug must cost that panel and nothing else
        failures.append(clean_line(f"panel {panel.name} failed: {type(error).__name__}: {error}"))
        rows, title = wrapped(failures[-1], max(1, inside[0]), "bad"), plain(panel.title, "title")
    if place.boxed:
        return box(title, rows, place.width, place.height, _edge(scene, panel))
    return block(rows, place.width, place.height)


def _title(scene: Scene, panel: Panel, room: int) -> Row:
    """Number, name and what there is to tell, of which whole parts go where there is no room."""
    number = f"{NUMBERED.index(panel.name) + 1} " if panel.name in NUMBERED else ""
    title = panel.naming(scene) if panel.naming else panel.title
    parts = panel.heading(scene).split(", ")
    extra = fitting(room - cells(number + title) - 3, *(", ".join(parts[:n]) for n in range(len(parts), 0, -1)))
    style = "focus" if scene.focus == panel.name else "title"
    return (Span(number, "dim"), Span(title, style), Span(f" ─ {extra}" if extra else "", "dim"))


def _edge(scene: Scene, panel: Panel) -> str:
    if scene.focus == panel.name:
        return "focus"
    return "card" if panel.name == "recommendation" and scene.card is not None else "frame"


def _assembled(drawn: list[tuple[Place, list[Row]]], width: int, height: int) -> list[Row]:
    lines: list[list[tuple[int, Row]]] = [[] for _ in range(height)]
    for place, rows in drawn:
        for index, row in enumerate(rows):
            if place.y + index < height:
                lines[place.y + index].append((place.x, row))
    return [_joined(line, width) for line in lines]


def _joined(pieces: list[tuple[int, Row]], width: int) -> Row:
    return fit(tuple(span for _, row in sorted(pieces, key=lambda piece: piece[0]) for span in row), width)


def _overlay(scene: Scene, width: int, height: int) -> list[Row]:
    overlay = scene.overlay
    if overlay is None or width < 8 or height < 4:
        return []
    if overlay.kind == "help":
        wide, high = min(width - 2, 84), min(height - 2, 40)
        rows = PANELS["help"].render(scene, wide - 4, high - 2)
        return box(plain(PANELS["help"].title + " ─ ↑ ↓ scroll, esc closes", "title"), rows, wide, high, "focus")
    return _question(scene, width, height)


def _question(scene: Scene, width: int, height: int) -> list[Row]:
    wide = min(width - 2, 52)
    rows = wrapped("Save a checkpoint and end this run? It can be resumed later.", wide - 4)
    keys: Row = (
        Span(shown(scene, "stop"), "key"),
        Span(" or "),
        Span("y", "key"),
        Span(" stop   "),
        Span("esc", "key"),
        Span(" go on"),
    )
    return box(plain(f"Stop {scene.name}", "title"), [*rows, (), keys], wide, len(rows) + 4, "card")

"""The top line: which run this is, how it stands, how far and how fast it goes."""

from __future__ import annotations

from tui_trainer.charts.span import Row, Span, cells, fit, row_cells
from tui_trainer.core.format import count, duration, si
from tui_trainer.ui.rows import ends
from tui_trainer.ui.scene import Scene

TITLE = "Header"


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """One line; what a person needs least gives way first."""
    right = _figures(scene, width)
    left = _names(scene, width - row_cells(right) - 3)
    if not left:
        return [fit((Span(" "), *right), width)]
    return [fit(ends((Span(" "), *left), (*right, Span(" ")), width), width)]


def _names(scene: Scene, room: int) -> Row:
    started = scene.state.started
    if room < 8:
        return ()
    name = scene.name or (started.session if started else "")
    parts: list[tuple[str, str]] = [(name, "bold")]
    if started:
        told = (started.origin, started.task, started.algorithm, started.seed_told, started.device)
        parts += [(text, "") for text in told if text]
    if scene.readonly and scene.kind == "live":
        parts.insert(1, ("read-only", "warn"))
    if not scene.state.exact:
        parts.insert(1, ("not bit-exact", "warn"))
    brand = (Span("tui-trainer", "brand"), Span("  "))
    needed = row_cells(brand) + sum(cells(text) + 3 for text, _ in parts) - 3
    row: list[Span] = list(brand) if needed <= room else []
    for index, (text, style) in enumerate(parts):
        joint = Span(" · ", "dim") if index else Span("")
        if row_cells(row) + len(joint.text) + cells(text) > room:
            return tuple(row) if row else fit((Span(text, style),), max(0, room), "…")
        row += [joint, Span(text, style)]
    return tuple(row)


def _figures(scene: Scene, width: int) -> Row:
    state = scene.state
    badge = status_badge(scene)
    elapsed = Span(f" {duration(state.elapsed_s):>6}")
    digits = len(count(state.limits.get("max_updates", 99_999)))
    update = Span(
        f"   update {count(state.update):>{digits}}" if width >= 60 else f" u {count(state.update):>{digits}}"
    )
    steps = Span(f"   {si(state.global_step):>5} steps")
    speed = Span(f"   {si(state.sps):>5} SPS") if width >= 60 else Span(f" {si(state.sps):>5}/s")
    if width >= 100:
        return (badge, elapsed, update, steps, speed)
    if width >= 60:
        return (badge, elapsed, update, speed)
    return (badge, elapsed, update, speed)


def status_badge(scene: Scene) -> Span:
    """The state in one word with its sign; a paused run is seen from across the room."""
    if scene.kind == "replay":
        playing = scene.position is not None and scene.position.playing
        return Span(" ▶ REPLAY " if playing else " ‖ REPLAY ", "replay")
    if scene.link is not None and scene.link.status in ("lost", "gone"):
        return Span(f"✗ {scene.link.status}", "bad")
    match scene.state.status:
        case "paused":
            return Span(" ‖ PAUSED ", "paused")
        case "ended":
            return Span(" ■ ENDED ", "ended")
        case "running":
            return Span("● running", "good")
        case _:
            return Span("◌ starting", "warn")

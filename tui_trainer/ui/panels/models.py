"""Every model version on the whole screen: what it reached, what it came from, which is the best and why."""

from __future__ import annotations

from tui_trainer.charts.span import Row, Span, cells
from tui_trainer.core.format import count, size
from tui_trainer.core.versions import FORMULA, Version, versions
from tui_trainer.ui.panels.texts import chosen_index, list_heading, score, window
from tui_trainer.ui.rows import blank, labelled, plain, wrapped
from tui_trainer.ui.scene import Scene

TITLE = "Models"

_FULL = 7
"""Rows at the foot for the chosen one."""


def shown(scene: Scene) -> tuple[Version, ...]:
    """Newest first, those that hold every word of the filter."""
    words = scene.filter.casefold().split()
    return tuple(each for each in versions(scene.state) if all(word in _text(each) for word in words))


def keys_of(scene: Scene) -> tuple[int, ...]:
    """What `scene.mark` may name, in the list's order."""
    return tuple(version.number for version in shown(scene))


def heading(scene: Scene) -> str:
    return list_heading(scene, len(keys_of(scene)), "version")


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """A line each; beneath them the chosen one in full and how the best is chosen."""
    found = shown(scene)
    if not found:
        text = f"no model with “{scene.filter}”" if scene.filter else "no checkpoint has been saved yet"
        return [plain(text, "dim")]
    at = chosen_index(scene, keys_of(scene))
    foot = min(_FULL, max(0, height - 5))
    first, last = window(at, len(found), height - foot - 1)
    levels = max(5, *(cells(version.level) for version in found))
    rows = [_columns(levels), *(_row(scene, v, levels, i == at) for i, v in enumerate(found[first:last], first))]
    rows += [blank(width)] * (height - foot - len(rows))
    return rows + _in_full(scene, found[at], width, foot)


def _text(version: Version) -> str:
    best = "best" if version.is_best else ""
    return f"{version.number} {version.kind} u{version.update} {version.level} {best}".casefold()


def _columns(levels: int) -> Row:
    head = f"    {'n':>4} {'kind':<9} {'update':>8} {'score':>8} {'evaluation':>10} {'± last 5':>9}"
    return plain(f"{head}  {'level':<{levels}} {'from':>5} {'size':>10}", "dim")


def _row(scene: Scene, version: Version, levels: int, here: bool) -> Row:
    parent = "-" if version.parent is None else str(version.parent)
    figures = f"{_number(scene, version.score):>8} {_number(scene, version.value):>10}"
    return (
        Span("▸ " if here else "  ", "key"),
        Span("★ " if version.is_best else "  ", "good"),
        Span(f"{version.number:>4} ", "focus" if here else ""),
        Span(f"{version.kind:<9} ", "dim"),
        Span(f"{count(version.update):>8} {figures} {_number(scene, version.stability):>9}  "),
        Span(f"{version.level:<{levels}} {parent:>5} {size(version.size):>10}", "dim"),
    )


def _number(scene: Scene, value: float | None) -> str:
    return "-" if value is None else score(scene, value)


def _in_full(scene: Scene, version: Version, width: int, height: int) -> list[Row]:
    if height <= 0:
        return []
    parts = ", ".join(f"{name} {score(scene, value)}" for name, value in version.by.items()) or "not evaluated here"
    came = "" if version.parent is None else f", trained from {version.parent}"
    exact = "bit-exact" if version.exact else "not bit-exact"
    rows: list[Row] = [
        plain("─" * width, "frame"),
        labelled(f"model {version.number}", f"{version.path}{came}, {exact}"),
    ]
    rows.append(labelled("reached", parts))
    if not scene.loop_elsewhere:
        rows.append(labelled("fork", (Span(fork_command(scene, version), "key"),)))
    rows += [
        labelled("best" if i == 0 else "", line) for i, line in enumerate(wrapped(FORMULA, max(1, width - 11), "dim"))
    ]
    return rows[:height]


def fork_command(scene: Scene, version: Version) -> str:
    """What begins a new run from it."""
    return f"tui-trainer fork {scene.name} --at {version.number}"

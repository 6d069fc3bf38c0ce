"""Where a replay stands: a line through the session with a tick for what happened."""

from __future__ import annotations

import math

from tui_trainer.charts.span import Row, Span
from tui_trainer.client.source import Position
from tui_trainer.core.format import count, duration
from tui_trainer.core.state import Mark
from tui_trainer.ui.scene import Scene

TITLE = "Timeline"

_TICKS = {"evaluation": ("┴", 1), "checkpoint": ("◇", 2), "decision": ("◆", 3), "level": ("◆", 3), "alert": ("!", 4)}


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """One line: sign, place, ticks, speed."""
    at = scene.position
    if at is None:
        return []
    head, tail = _ends(scene, at)
    return [(Span(head, "bold"), *_line(scene, _room(head, tail, width)), Span(tail))]


def index_at(scene: Scene, width: int, column: int) -> int | None:
    """The event under a column of the line; None beside it."""
    at = scene.position
    if at is None:
        return None
    head, tail = _ends(scene, at)
    room, inside = _room(head, tail, width), column - len(head)
    return _whole(at) * inside // max(1, room - 1) if 0 <= inside < room else None


def _whole(at: Position) -> int:
    """Events in all; a guess while they are being read."""
    return round(at.total / at.read) if at.read > 0 else at.total


def _ends(scene: Scene, at: Position) -> tuple[str, str]:
    sign = "▶" if at.playing else "‖"
    speed = "max" if at.speed == 0 else f"×{at.speed:g}"
    place = f" {count(at.index)}/{count(at.total)} events" if at.read >= 1 else f" {100 * at.read:3.0f} % read"
    head = f"{sign} {duration(scene.since_start(at.time)):>7} "
    return head, f" {speed:>5}{place:>{2 * len(count(at.total)) + 9}}"


def _room(head: str, tail: str, width: int) -> int:
    return max(4, width - len(head) - len(tail))


def _line(scene: Scene, width: int) -> Row:
    at = scene.position
    total = _whole(at) if at else 1
    here = min(width - 1, (at.index if at else 0) * width // max(1, total))
    read = math.ceil(width * (at.read if at else 1))
    ticks = ["─"] * read + ["┄"] * (width - read)
    rank = [0] * width
    for mark in scene.marks:
        _tick(ticks, rank, mark, min(width - 1, mark.seq * width // max(1, total)))
    ticks[here] = "●"
    text = "".join(ticks)
    return (Span(text[:here], "brand"), Span(text[here], "key"), Span(text[here + 1 :], "axis"))


def _tick(ticks: list[str], rank: list[int], mark: Mark, place: int) -> None:
    sign, weight = _TICKS.get(mark.kind, ("┴", 0))
    if weight > rank[place]:
        ticks[place], rank[place] = sign, weight

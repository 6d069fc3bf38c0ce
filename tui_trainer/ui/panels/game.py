"""The game being trained, and how games end."""

from __future__ import annotations

from tui_trainer.charts.bars import bar
from tui_trainer.charts.span import Row, Span, cells
from tui_trainer.core.format import si
from tui_trainer.ui.rows import centred, plain, wrapped
from tui_trainer.ui.scene import Scene

TITLE = "Game"

_PIECES = {"●": "s1", "○": "s0", "X": "s1", "O": "s0", "x": "s1", "o": "s0", "·": "dim", ".": "dim"}
_FAMILY, _NEWEST, _ALL = "game/", "_rate", "_total"
_OUTCOMES = 3
"""Bars that stay where there is little room: black, white, draw."""
_STYLES = ("s1", "s0", "s7")
_ROOM_FOR_ALL = 34
"""Columns from which the share of all games stands behind that of the newest."""


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """The board with black, white and draw beneath it, as far as there is room."""
    rates = _rates(scene, width)
    board = _board(scene.state.frame or _sample(scene), width)
    if not board:
        board = [plain("no picture yet" if scene.kind == "live" else "not recorded", "dim")]
    while len(board) + len(rates) > height and len(rates) > _OUTCOMES:
        rates.pop()
    while len(board) + len(rates) > height and board and not _is_squares("".join(span.text for span in board[-1])):
        board.pop()  # words beneath the squares: how games end tells more
    rates = rates[: max(0, height - len(board))]
    return [*centred(board, width, height - len(rates)), *rates]


def _sample(scene: Scene) -> str:
    """A replay has no live board; the last evaluation recorded how one of its games ended."""
    evaluation = scene.state.last_evaluation
    if scene.kind == "live" or evaluation is None:
        return ""
    played = [(part, result.frame) for part, result in evaluation.result.by.items() if result.frame]
    return f"{played[-1][1]}\nlast position against {played[-1][0]}" if played else ""


def _board(text: str, width: int) -> list[Row]:
    """Squares in their pieces' colours, on a common left edge; words are wrapped, a clause a line."""
    lines = [line.rstrip() for line in text.splitlines()]
    squares = [line for line in lines if _is_squares(line)]
    wide = max((cells(line) for line in squares), default=0)
    rows: list[Row] = []
    for line in lines:
        if _is_squares(line):
            rows.append(tuple(Span(char, _PIECES.get(char, "")) for char in line.ljust(wide)))
        elif cells(line) <= width or " " not in line:
            rows.append(plain(line))
        else:
            rows += [row for clause in line.split(", ") for row in wrapped(clause, width, "dim")]
    return rows


def _is_squares(line: str) -> bool:
    """One character a square, such as `. X O .`."""
    words = line.split()
    return len(words) > 1 and all(len(word) == 1 for word in words)


def _rates(scene: Scene, width: int) -> list[Row]:
    """How the newest games ended, as bars; where there is room, how all did, too."""
    metrics = scene.state.metrics
    names = _outcomes(list(metrics))
    wide = max((cells(name) for name in names), default=0) + 1
    has_all = width >= _ROOM_FOR_ALL and any(f"{_FAMILY}{name}{_ALL}" in metrics for name in names)
    rows: list[Row] = []
    for name, style in zip(names, _STYLES * len(names), strict=False):
        value = metrics.get(f"{_FAMILY}{name}", metrics.get(f"{_FAMILY}{name}{_NEWEST}")) or 0.0
        room = max(3, width - wide - 6 - (11 if has_all else 0))
        every = metrics.get(f"{_FAMILY}{name}{_ALL}")
        behind = (Span(f" all {100 * every:3.0f} %", "dim"),) if has_all and every is not None else ()
        shown = bar(value, room, scene.look.glyphs, style)
        rows.append((Span(f"{name:<{wide}}", "dim"), *shown, _share(value), *behind))
    length = metrics.get("rollout/ep_len_mean")
    if length is not None:
        rows.append((Span("length ", "dim"), Span(si(length))))
    return rows


def _outcomes(metrics: list[str]) -> list[str]:
    """The names of a game's outcomes, in the task's order: black, white and draw, or whatever it calls them."""
    games = [key.removeprefix(_FAMILY) for key in metrics if key.startswith(_FAMILY) and not key.endswith(_ALL)]
    return list(dict.fromkeys(name.removesuffix(_NEWEST) for name in games))


def _share(value: float) -> Span:
    return Span(f" {100 * value:3.0f} %")

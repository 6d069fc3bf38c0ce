"""The screen of `watch` and `play` as rows: a pure function of its scene, and the one table of its keys."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tui_trainer.charts.bars import bar
from tui_trainer.charts.span import Row, Span, cells, row_cells
from tui_trainer.core.duel import PERSON, Move, Position
from tui_trainer.ui.look import Look
from tui_trainer.ui.rows import block, box, centred, ends, plain, wrapped

Kind: TypeAlias = Literal["play", "watch"]
Deed: TypeAlias = Literal["move", "hint", "back", "new", "type", "pause", "step", "slower", "faster", "leave"]

_PIECES = {"X": "s1", "O": "s0", ".": "dim", "[": "key", "]": "key"}
_BOXED = (60, 18)
"""Columns and rows from which on there are frames."""
_LEAST_SIDE = 20
"""Columns that the bars need beside the board."""


class BoardScene(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of the screen."""

    kind: Kind
    name: str
    label: str
    look: Look = Look()
    position: Position | None = None
    hint: bool = False
    playing: bool = True
    """Whether a watched game goes on by itself, a move every `delay_s`."""
    delay_s: float = 0.7
    typed: str | None = None
    """The move being typed, or None."""
    note: str = ""
    results: tuple[tuple[int, str], ...] = ()
    """Games of this sitting that have ended, each with who won it; nobody where it was drawn."""

    @property
    def tells(self) -> bool:
        """Whether the learner's probabilities are shown: always when watching, on request when playing."""
        return self.kind == "watch" or self.hint


# --- keys ----------------------------------------------------------------------------------------------------------


class BoardKey(msgspec.Struct, frozen=True):
    """One line of the table. `keys` are Textual's names, `shown` is what a person reads."""

    deed: Deed
    keys: tuple[str, ...]
    shown: str
    label: str
    help: str
    where: Literal["play", "watch", "both"] = "both"


KEYS: tuple[BoardKey, ...] = (
    BoardKey("move", tuple("123456789"), "1-9", "move", "Play that column or cell", "play"),
    BoardKey("hint", ("h",), "h", "hint", "Show what the learner would play and what it expects", "play"),
    BoardKey("back", ("u",), "u", "back", "Take your last move back", "play"),
    BoardKey("pause", ("space", "p"), "space", "pause", "Stop the game, or let it go on", "watch"),
    BoardKey("step", ("right",), "→", "next", "One move, then wait", "watch"),
    BoardKey("new", ("n",), "n", "new", "Begin a new game, sides changed"),
    BoardKey("leave", ("q", "ctrl+c"), "q", "leave", "Leave"),
    BoardKey("slower", ("less_than_sign",), "<", "slower", "Wait longer between moves", "watch"),
    BoardKey("faster", ("greater_than_sign",), ">", "faster", "Wait less between moves", "watch"),
    BoardKey("type", ("enter",), "enter", "type", "Type a move by its name, then enter", "play"),
)


def keys_for(kind: Kind) -> tuple[BoardKey, ...]:
    """The keys of a game played or watched."""
    return tuple(key for key in KEYS if key.where in (kind, "both"))


def key_named(kind: Kind, name: str) -> BoardKey | None:
    """The key that Textual calls `name`."""
    return next((key for key in keys_for(kind) if name in key.keys), None)


def refusal(deed: Deed, scene: BoardScene) -> str:
    """Why the key cannot act now, in one sentence; empty where it can."""
    position = scene.position
    if deed == "leave":
        return ""
    if position is None:
        return "one moment: the game is being set up"
    if deed in ("move", "type", "step", "pause") and position.ended:
        return "the game is over: n begins another"
    if deed in ("move", "type") and position.player != PERSON:
        return f"the {position.player} is to move"
    if deed == "back" and not position.line:
        return "there is no move of yours to take back"
    return ""


def label_of(key: BoardKey, scene: BoardScene) -> str:
    """What the key will do now."""
    if key.deed == "pause" and not scene.playing:
        return "go on"
    return "hide" if key.deed == "hint" and scene.hint else key.label


def markdown() -> str:
    """The table as the documentation prints it; a test keeps the two equal."""
    head = "| key | where | what it does |\n|---|---|---|"
    return "\n".join((head, *(f"| `{k.shown}` | {k.where} | {k.help} |" for k in KEYS))) + "\n"


# --- the picture ---------------------------------------------------------------------------------------------------


def draw(scene: BoardScene, width: int, height: int) -> list[Row]:
    """The whole screen: `height` rows of `width` columns."""
    if height < 4:
        rows = [_turn(scene, width)]
    else:
        rows = [
            _head(scene, width),
            _turn(scene, width),
            *_body(scene, width, height - 4),
            _status(scene),
            _footer(scene, width),
        ]
    return [scene.look.printable(row) for row in block(rows, width, height)]


def _head(scene: BoardScene, width: int) -> Row:
    verb = "play against" if scene.kind == "play" else "watch"
    left = (Span(" tui-trainer", "brand"), Span(f"  {verb} ", "dim"), Span(scene.name, "bold"))
    right = (Span(f"{scene.label} ", "dim"),)
    return ends(left, right if row_cells(left) + row_cells(right) < width else (), width)


def _turn(scene: BoardScene, width: int) -> Row:
    """Whose turn it is or how it ended, and what the games of this sitting came to."""
    position = scene.position
    if position is None:
        return (Span(" setting up", "dim"),)
    if position.ended:
        left: Row = (Span(f" ■ {position.verdict()}", "good" if position.winner is not None else "warn"),)
    else:
        left = tuple(span for index, seat in enumerate(position.seats) for span in _seat(position, index, seat))
    told = tally_told(scene)
    tally = plain(f"{told} " if told else "", "dim")
    return ends(left, tally if row_cells(left) + row_cells(tally) < width else (), width)


def tally_told(scene: BoardScene) -> str:
    """`learner 2, minimax-3 1, drawn 0`; empty before a game has ended, and where one plays itself."""
    seats = sorted(set(scene.position.seats)) if scene.position else []
    if len(seats) < 2 or not scene.results:
        return ""
    winners = [winner for _, winner in scene.results]
    return ", ".join((*(f"{seat} {winners.count(seat)}" for seat in seats), f"drawn {winners.count('')}"))


def with_result(results: tuple[tuple[int, str], ...], position: Position) -> tuple[tuple[int, str], ...]:
    """The results with this game's, if it has ended; a game that was taken back goes out again."""
    others = tuple(result for result in results if result[0] != position.game)
    if not position.ended:
        return others
    return (*others, (position.game, "" if position.winner is None else position.seats[position.winner]))


def _seat(position: Position, index: int, seat: str) -> Row:
    here = index == position.to_move and len(position.seats) > 1
    sign = position.sides[index]
    return (
        Span(" ▸ " if here else "   ", "key"),
        Span(f"{sign} ", _PIECES.get(sign, "")),
        Span(seat, "bold" if here else "dim"),
        Span(" to move " if here else " ", "dim"),
    )


def _body(scene: BoardScene, width: int, height: int) -> list[Row]:
    position = scene.position
    if position is None:
        return centred([plain("loading", "dim")], width, height)
    boxed = width >= _BOXED[0] and height >= _BOXED[1] - 4
    inside = height - 2 if boxed else height
    board = _board(position, (width - _LEAST_SIDE - 8) if boxed else 0, inside)
    wide = max(map(row_cells, board), default=0) + (4 if boxed else 1)
    if width - wide < _LEAST_SIDE:
        return _stacked(scene, board, width, height)
    side = _thoughts(scene, width - wide - (4 if boxed else 1), inside)
    if not boxed:
        return _beside(block(board, wide, height), block([(Span(" "), *row) for row in side], width - wide, height))
    left = box(plain(f"Game {position.game}", "title"), centred(board, wide - 4, inside), wide, height)
    return _beside(left, box(plain("Learner", "title"), side, width - wide, height))


def _beside(left: list[Row], right: list[Row]) -> list[Row]:
    return [(*one, *other) for one, other in zip(left, right, strict=True)]


def _stacked(scene: BoardScene, board: list[Row], width: int, height: int) -> list[Row]:
    """The board above; beneath it what there is room for."""
    room = max(2, height - len(board))
    return [*block(board, width, height - room), *block(_thoughts(scene, width, room), width, room)]


def _board(position: Position, width: int, height: int) -> list[Row]:
    """The board's rows; a board of squares is drawn at twice the size where that fits."""
    lines = position.lines()
    squares = [line.replace("[", " ").replace("]", " ").split() for line in lines]
    if all(_are_squares(words) for words in squares) and 4 * len(squares[0]) <= width and 2 * len(lines) <= height:
        return _large(position, squares)
    return [_coloured(line) if _are_squares(words) else plain(line) for line, words in zip(lines, squares, strict=True)]


def _are_squares(words: list[str]) -> bool:
    return len(words) > 1 and all(len(word) == 1 for word in words)


def _coloured(line: str) -> Row:
    return tuple(Span(char, _PIECES.get(char, "dim" if char.isdigit() else "")) for char in line)


def _large(position: Position, squares: list[list[str]]) -> list[Row]:
    rows: list[Row] = []
    for y, words in enumerate(squares):
        cells_ = [f"[{word}]" if position.mark == (y, 2 * x) else f" {word} " for x, word in enumerate(words)]
        rows += [_coloured(" ".join(cells_)), ()]
    return rows[:-1]


def _thoughts(scene: BoardScene, width: int, height: int) -> list[Row]:
    """What the learner makes of the position, the moves so far, what else there is to say."""
    position = scene.position
    assert position is not None
    rows: list[Row] = []
    if scene.tells and not position.ended:
        rows += _value(scene, position, width)
        rows += _bars(scene, position, width, max(1, height - len(rows)))
    elif not position.ended:
        rows += wrapped("h shows what the learner would play", width, "dim")
    if position.note:
        rows.append(plain(position.note))
    played = " ".join(position.line)
    if len(position.seats) > 1 and played and height - len(rows) >= 2:
        rows += [(), *wrapped(f"moves {played}", width, "dim")]
    return rows[:height]


def _value(scene: BoardScene, position: Position, width: int) -> list[Row]:
    """From -1, a loss, to 1, a win, for the learner's side; of one player the expected return as a number."""
    expected = position.expectation
    if expected is None:
        return []
    if len(position.seats) == 1:
        return [(Span("expects ", "dim"), Span(f"{expected:+.3g}", "bold"))]
    label = f"for {position.sides[position.viewer]} "
    share = (expected + 1) / 2
    return [(Span(label, "dim"), *bar(share, max(3, width - cells(label) - 6), scene.look.glyphs, "s2"),
             Span(f" {expected:+.2f}", "bold"))]  # fmt: skip


def _bars(scene: BoardScene, position: Position, width: int, height: int) -> list[Row]:
    """A bar for each legal move; where there is no room for all, the likeliest. `▸` is the one it would play."""
    moves, best = position.moves, position.best
    if len(moves) > height:
        moves = tuple(sorted(moves, key=lambda move: -move.probability)[:height])
    wide = max((cells(move.name) for move in moves), default=0)
    return [_bar(scene, move, best, wide, width) for move in moves]


def _bar(scene: BoardScene, move: Move, best: Move | None, wide: int, width: int) -> Row:
    here = move is best
    return (
        Span("▸" if here else " ", "key"),
        Span(f"{move.name:>{wide}} ", "bold" if here else ""),
        *bar(move.probability, max(3, width - wide - 8), scene.look.glyphs),
        Span(f" {100 * move.probability:3.0f} %", "bold" if here else ""),
    )


def _status(scene: BoardScene) -> Row:
    if scene.typed is not None:
        return (Span(" move: ", "key"), Span(scene.typed), Span("_", "key"), Span("  enter plays, esc clears", "dim"))
    if scene.note:
        return (Span(f" {scene.note}", "warn"),)
    return (Span("" if scene.kind == "play" or scene.playing else " ‖ waits: space goes on, → one move", "dim"),)


def _footer(scene: BoardScene, width: int) -> Row:
    """The keys in the table's order, near to each other where there is little room; those that cannot act are dim."""
    roomy = _pieces(scene, " ")
    pieces = roomy if sum(map(row_cells, roomy)) <= width else _pieces(scene, "")
    row: list[Span] = []
    for piece in pieces:
        if row_cells([*row, *piece]) > width:
            break
        row += piece
    return tuple(row)


def _pieces(scene: BoardScene, behind: str) -> list[Row]:
    pieces: list[Row] = []
    for key in keys_for(scene.kind):
        style = "dim" if refusal(key.deed, scene) else ""
        label = Span(f" {label_of(key, scene)}{behind}", style)
        pieces.append((Span(" "), Span(key.shown, style or "key"), label))
    return pieces

"""Othello and Breakthrough: a board drawn as one character a square, so that the screen can enlarge it."""

from __future__ import annotations

from typing import ClassVar

from tui_trainer.tasks.spiel.rules import Rules, State

_FILES = "abcdefgh"
_CELLS = 64
"""Squares of Othello's board; a greater number is a pass."""


class _Squares(Rules):
    """A game whose text holds its rows of squares, each with a number in front or behind."""

    glyphs: ClassVar[dict[str, str]]
    sides = ("X", "O")

    def draw(self, state: State) -> str:
        """X the first side's, O the other's."""
        rows = [self._row(line) for line in str(state).splitlines()]
        squares = [row for row in rows if row]
        width = len(squares[0].split()) - 1
        return "\n".join([*squares, " ".join([*_FILES[:width], "."])])

    def _row(self, line: str) -> str:
        number = next((c for c in line if c.isdigit()), "")
        found = [self.glyphs[c] for c in line if c in self.glyphs]
        return " ".join([*found, number]) if number and len(found) > 1 else ""


class Othello(_Squares):
    """8 x 8; a side without a move passes."""

    outcomes = ("black", "white", "draw")
    glyphs: ClassVar[dict[str, str]] = {"x": "X", "o": "O", "-": "."}
    ladder = ("random", "mcts-3", "mcts-10")
    """No 1-ply: nothing wins at once before the last stones, so that it plays as random does."""

    def mark(self, state: State) -> tuple[int, int] | None:
        """Where the last stone went."""
        stones = [square for square in state.history()[-1:] if square < _CELLS]
        return (stones[0] // len(_FILES), 2 * (stones[0] % len(_FILES))) if stones else None


class Breakthrough(_Squares):
    """Who first reaches the other's home row wins."""

    outcomes = ("black", "white", "draw")
    glyphs: ClassVar[dict[str, str]] = {"b": "X", "w": "O", ".": "."}

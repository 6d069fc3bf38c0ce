"""A grid of dots drawn with characters: 2x4 dots a cell in braille, 2x2 in blocks, 1x3 in ASCII."""

from __future__ import annotations

from collections.abc import Iterator

from tui_trainer.charts.span import Glyphs, Row, Span

_BRAILLE_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_QUADRANTS = " ▘▖▌▝▀▞▛▗▚▄▙▐▜▟█"
_ASCII = " '-:.:!|"

_DOTS: dict[Glyphs, tuple[int, int]] = {"braille": (2, 4), "block": (2, 2), "ascii": (1, 3)}


class Canvas:
    """`width` x `height` cells; dots are addressed from the top left, and cells remember who drew in them last."""

    def __init__(self, width: int, height: int, glyphs: Glyphs = "braille") -> None:
        self.width = max(0, width)
        self.height = max(0, height)
        self.glyphs = glyphs
        self.per_x, self.per_y = _DOTS[glyphs]
        self.columns = self.width * self.per_x
        self.rows = self.height * self.per_y
        self._bits = [[0] * self.width for _ in range(self.height)]
        self._style = [[""] * self.width for _ in range(self.height)]
        self._char: dict[tuple[int, int], tuple[str, str]] = {}
        self._words: list[set[int]] = [set() for _ in range(self.height)]
        self._spots: dict[tuple[int, int], str] = {}

    def dot(self, x: int, y: int, style: str) -> None:
        """Set one dot; outside the canvas nothing happens."""
        if not (0 <= x < self.columns and 0 <= y < self.rows):
            return
        column, row = x // self.per_x, y // self.per_y
        self._bits[row][column] |= self._bit(x % self.per_x, y % self.per_y)
        self._style[row][column] = style

    def _bit(self, x: int, y: int) -> int:
        if self.glyphs == "braille":
            return _BRAILLE_BITS[x][y]
        return 1 << (x * self.per_y + y)

    def line(self, x0: int, y0: int, x1: int, y1: int, style: str, dash: tuple[int, int] = (1, 0)) -> None:
        """A straight line between two dots; `dash` is (dots on, dots off) along x."""
        on, off = dash
        for x, y in _bresenham(x0, y0, x1, y1):
            if off == 0 or x % (on + off) < on:
                self.dot(x, y, style)

    def spot(self, x: int, y: int, style: str) -> None:
        """A point with no line to it, as a sign of its own: a single dot is not seen, least of all on a line."""
        self.dot(x, y, style)
        if 0 <= x < self.columns and 0 <= y < self.rows:
            self._spots[x // self.per_x, y // self.per_y] = style

    def column(self, x: int, top: int, bottom: int, style: str) -> None:
        """A vertical stroke."""
        for y in range(max(0, top), min(self.rows - 1, bottom) + 1):
            self.dot(x, y, style)

    def shade(self, x: int, top: int, bottom: int, style: str) -> None:
        """A vertical stroke of every other dot, so that what is drawn over it stays clear."""
        for y in range(max(0, top), min(self.rows - 1, bottom) + 1):
            if (x + y) % 2 == 0:
                self.dot(x, y, style)

    def put(self, column: int, row: int, text: str, style: str) -> None:
        """Characters (one column each) into cells that hold no dot; what is under a dot stays hidden."""
        for offset, char in enumerate(text):
            if 0 <= column + offset < self.width and 0 <= row < self.height:
                self._char[column + offset, row] = (char, style)

    def stroke(self, column: int, char: str, style: str) -> None:
        """A vertical of characters, behind dots and behind words."""
        for row in range(self.height):
            if column not in self._words[row]:
                self.put(column, row, char, style)

    def put_clear(self, column: int, text: str, style: str) -> None:
        """`text` in the first row from the top where it hides behind no dot and covers no other such text.

        Nowhere if there is no such row.
        """
        span = range(column, column + len(text))
        for row in range(self.height):
            taken = self._words[row]
            if all(0 <= x < self.width and not self._bits[row][x] and x not in taken for x in span):
                self.put(column, row, text, style)
                taken.update(range(column - 1, column + len(text) + 1))
                return

    def put_beside(self, row: int, text: str, style: str) -> None:
        """`text` in this row, as far left as it hides behind no dot and touches no other such text; or nowhere."""
        if not 0 <= row < self.height:
            return
        taken = self._words[row]
        for column in range(1, self.width - len(text)):
            span = range(column, column + len(text))
            if not any(self._bits[row][x] or x in taken for x in span):
                self.put(column, row, text, style)
                taken.update(range(column - 1, column + len(text) + 1))
                return

    def lines(self) -> list[Row]:
        """The picture as rows of exactly `width` columns."""
        return [tuple(_merged(self._cells(row))) for row in range(self.height)]

    def _cells(self, row: int) -> Iterator[Span]:
        for column, bits in enumerate(self._bits[row]):
            if (column, row) in self._spots:
                yield Span("o" if self.glyphs == "ascii" else "•", self._spots[column, row])
            elif bits:
                yield Span(self._glyph(bits), self._style[row][column])
            else:
                yield Span(*self._char.get((column, row), (" ", "")))

    def _glyph(self, bits: int) -> str:
        match self.glyphs:
            case "braille":
                return chr(0x2800 + bits)
            case "block":
                return _QUADRANTS[bits]
            case "ascii":
                return _ASCII[bits]


def _merged(spans: Iterator[Span]) -> Iterator[Span]:
    text, style = "", ""
    for span in spans:
        if span.style == style or (span.text == " " and text):
            text += span.text
            continue
        if text:
            yield Span(text, style)
        text, style = span.text, span.style
    if text:
        yield Span(text, style)


def _bresenham(x0: int, y0: int, x1: int, y1: int) -> Iterator[tuple[int, int]]:
    dx, dy = abs(x1 - x0), -abs(y1 - y0)
    step_x, step_y = (1 if x0 < x1 else -1), (1 if y0 < y1 else -1)
    error = dx + dy
    while True:
        yield x0, y0
        if x0 == x1 and y0 == y1:
            return
        doubled = 2 * error
        if doubled >= dy:
            error += dy
            x0 += step_x
        if doubled <= dx:
            error += dx
            y0 += step_y

"""Text with a style's name: what charts and panels are made of, until the app gives the names colours."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeAlias

Glyphs: TypeAlias = Literal["braille", "block", "ascii"]


class Span(NamedTuple):
    """A piece of one line. `style` names a style, such as `dim` or `s0` (first line of a chart); empty is plain."""

    text: str
    style: str = ""


Row: TypeAlias = tuple[Span, ...]


def cells(text: str) -> int:
    """Terminal columns that `text` takes: wide characters 2, combining ones 0."""
    if text.isascii():
        return len(text)
    return sum(_char_cells(char) for char in text)


def _char_cells(char: str) -> int:
    if char < "\u0300":
        return 1
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def cut(text: str, width: int) -> str:
    """The longest beginning of `text` that fits `width` columns."""
    if cells(text) <= width:
        return text
    used = 0
    for index, char in enumerate(text):
        used += _char_cells(char)
        if used > width:
            return text[:index]
    return text


def row_cells(row: Iterable[Span]) -> int:
    """Columns that a row takes."""
    return sum(cells(span.text) for span in row)


def fit(row: Iterable[Span], width: int, more: str = "") -> Row:
    """The row cut or padded with blanks to exactly `width` columns; `more`, such as `…`, ends a row that was cut."""
    row = tuple(row)
    room = row_cells(row)
    if room <= width:
        return row if room == width else (*row, Span(" " * (width - room)))
    return _cut_row(row, max(0, width), more if width > cells(more) else "")


def _cut_row(row: Row, width: int, more: str) -> Row:
    out: list[Span] = []
    left = width - cells(more)
    for span in row:
        text = cut(span.text, left)
        if text:
            out.append(Span(text, span.style))
        left -= cells(text)
        if text != span.text:
            break
    if more:
        out.append(Span(more, "dim"))
    return (*out, Span(" " * left)) if left > 0 else tuple(out)

"""Rows put together: boxes, columns, labels, wrapped text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from tui_trainer.charts.span import Row, Span, cells, cut, fit, row_cells
from tui_trainer.ui.keymap import BoundKey, spelled

_KEY = 11
"""Columns of a key in a help."""
_STEPS = {"up": -1, "down": 1, "pageup": -10, "pagedown": 10}


def plain(text: str, style: str = "") -> Row:
    """A row of one span."""
    return (Span(text, style),)


def fitting(room: int, *texts: str) -> str:
    """The first of the texts that has room; the last one where none has."""
    return next((text for text in texts if cells(text) <= room), texts[-1])


def blank(width: int) -> Row:
    return (Span(" " * max(0, width)),)


def block(rows: Iterable[Row], width: int, height: int) -> list[Row]:
    """Exactly `height` rows of `width` columns."""
    shown = [fit(row, width, "…") for row in rows][: max(0, height)]
    return shown + [blank(width)] * (height - len(shown))


def ends(left: Iterable[Span], right: Iterable[Span], width: int) -> Row:
    """`left` and `right` at the two ends; the left one is cut where both do not fit."""
    left, right = tuple(left), tuple(right)
    room = width - row_cells(right)
    return fit((*fit(left, max(0, room)), *right), width)


def labelled(label: str, value: Iterable[Span] | str, gutter: int = 11) -> Row:
    """A dim label in a column of its own, and its value."""
    spans = plain(value) if isinstance(value, str) else tuple(value)
    return (Span(f"{cut(label, gutter - 1):<{gutter}}", "dim"), *spans)


def box(title: Row, rows: Sequence[Row], width: int, height: int, style: str = "frame") -> list[Row]:
    """A frame around `rows`, `width` x `height` outside, its title in the upper edge."""
    if width < 6 or height < 2:
        return block(rows, width, height)
    named = fit(title, min(row_cells(title), width - 6), "…")
    line = "─" * (width - 5 - row_cells(named))
    top: Row = (Span("╭─ ", style), *named, Span(f" {line}╮", style))
    side = Span("│", style)
    body = [(side, Span(" "), *row, Span(" "), side) for row in block(rows, width - 4, height - 2)]
    return [top, *body, plain(f"╰{'─' * (width - 2)}╯", style)]


def wrapped(text: str, width: int, style: str = "", indent: int = 0) -> list[Row]:
    """Words on as many lines as they need, those wider than a line broken; later lines are indented."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and cells(line) + 1 + cells(word) > width - (indent if lines else 0):
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
        while cells(line) > max(2, width - (indent if lines else 0)):
            lines.append(cut(line, max(2, width - (indent if lines else 0))))
            line = line[len(lines[-1]) :]
    lines.append(line)
    return [plain(" " * (indent if index else 0) + text, style) for index, text in enumerate(lines)]


class Named(Protocol):
    """A key as a footer shows it."""

    @property
    def shown(self) -> str: ...

    @property
    def label(self) -> str: ...


def key_line(keys: Iterable[Named], width: int, off: Callable[[Named], bool] = lambda key: False) -> Row:
    """As many keys with a label as fit, in their order; those that cannot act now are dim."""
    row: list[Span] = []
    for key in keys:
        style = "dim" if off(key) else ""
        piece = [Span(" "), Span(key.shown, style or "key"), Span(f" {key.label} ", style)]
        if key.label and row_cells([*row, *piece]) <= width:
            row += piece
    return tuple(row)


def most_important(rows: Iterable[tuple[int, Row]], height: int) -> list[Row]:
    """The rows that fit, in their order; those with the highest numbers go first."""
    rows = list(rows)
    kept = sorted(range(len(rows)), key=lambda index: (rows[index][0], index))[: max(0, height)]
    return [rows[index][1] for index in sorted(kept)]


def centred(lines: Sequence[Row], width: int, height: int) -> list[Row]:
    """The lines in the middle of an empty field."""
    above = max(0, (height - len(lines)) // 2)
    middle = [(Span(" " * max(0, (width - row_cells(line)) // 2)), *line) for line in lines]
    return block([blank(width)] * above + middle, width, height)


def over(below: list[Row], above: list[Row], width: int) -> list[Row]:
    """`above` laid in the middle of `below`."""
    if not above:
        return below
    wide = row_cells(above[0])
    x, y = max(0, (width - wide) // 2), max(0, (len(below) - len(above)) // 2)
    out = list(below)
    for index, row in enumerate(above[: len(below) - y]):
        line = out[y + index]
        out[y + index] = fit((*fit(line, x), *row, *rest(line, x + wide)), width)
    return out


def rest(row: Row, start: int) -> Row:
    """The row from column `start` on; a wide character cut in two becomes a blank."""
    out: list[Span] = []
    at = 0
    for span in row:
        wide = cells(span.text)
        if at >= start:
            out.append(span)
        elif at + wide > start:
            head = cut(span.text, start - at)
            tail = span.text[len(head) :]
            if cells(head) < start - at:
                tail = " " + tail[1:]
            out.append(Span(tail, span.style))
        at += wide
    return tuple(out)


def help_rows(table: Sequence[BoundKey], width: int, glyphs: str) -> list[Row]:
    """Every key of a table with what it does, wrapped."""
    rows: list[Row] = []
    for key in table:
        texts = wrapped(key.help, max(12, width - _KEY))
        names = [spelled(key.shown, glyphs), *[""] * (len(texts) - 1)]
        rows += [(Span(f"{name:<{_KEY}}", "key"), *text) for name, text in zip(names, texts, strict=True)]
    return rows


def help_box(rows: list[Row], scroll: int, width: int, height: int) -> list[Row]:
    """The rows in a frame, from the one that is scrolled to."""
    start = max(0, min(scroll, last_scroll(rows, height)))
    return box(plain("Keys ─ ↑ ↓ scroll, esc closes", "title"), rows[start:], width, height, "focus")


def last_scroll(rows: list[Row], height: int) -> int:
    """How far there is to scroll in a frame of that height."""
    return max(0, len(rows) - max(1, height - 2))


def help_scrolled(scroll: int, name: str, rows: list[Row], height: int) -> int | None:
    """Where a key scrolls the help to; None where it closes it."""
    step = _STEPS.get(name)
    return None if step is None else max(0, min(scroll + step, last_scroll(rows, height)))

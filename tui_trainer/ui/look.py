"""How things look on this terminal: which characters may be used, and what the styles' names mean in colour."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from rich.color import Color
from rich.style import Style

from tui_trainer.charts.chart import FAINT
from tui_trainer.charts.span import Glyphs, Row, Span, cells
from tui_trainer.core.config import UiSettings
from tui_trainer.core.text import ascii_fold, is_clean

LINE_STYLES = ("s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7")

_SKY, _ORANGE, _GREEN, _PURPLE = "#56b4e9", "#e69f00", "#009e73", "#cc79a7"
_YELLOW, _VERMILLION, _BLUE, _GREY = "#f0e442", "#d55e00", "#0072b2", "#999999"

_COLOUR: dict[str, Style] = {
    "": Style.null(),
    "s0": Style(color=_SKY),
    "s1": Style(color=_ORANGE),
    "s2": Style(color=_GREEN),
    "s3": Style(color=_PURPLE),
    "s4": Style(color=_YELLOW),
    "s5": Style(color=_VERMILLION),
    "s6": Style(color=_BLUE),
    "s7": Style(color=_GREY),
    "bar": Style(color=_SKY),
    "track": Style(color="#555555"),
    "axis": Style(color="#808080"),
    "mark": Style(color="#808080"),
    "frame": Style(color="#6c6c6c"),
    "focus": Style(color=_SKY, bold=True),
    "dim": Style(color="#8a8a8a"),
    "bold": Style(bold=True),
    "title": Style(bold=True),
    "brand": Style(color=_SKY, bold=True),
    "key": Style(color=_ORANGE, bold=True),
    "good": Style(color=_GREEN, bold=True),
    "warn": Style(color=_ORANGE, bold=True),
    "bad": Style(color=_VERMILLION, bold=True),
    "card": Style(color=_ORANGE),
    "paused": Style(color="#000000", bgcolor=_ORANGE, bold=True),
    "ended": Style(color="#000000", bgcolor=_SKY, bold=True),
    "replay": Style(color="#000000", bgcolor=_PURPLE, bold=True),
    "sent": Style(color="#000000", bgcolor=_SKY),
}
"""Okabe and Ito's palette, told apart by colour-blind people, too; the terminal's own background stays."""

_PLAIN: dict[str, Style] = {
    name: Style(bold=style.bold, reverse=style.bgcolor is not None) for name, style in _COLOUR.items()
} | {"dim": Style(dim=True), "axis": Style(dim=True), "track": Style(dim=True)}

_ASCII = str.maketrans({
    "─": "-", "│": "|", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "┤": "+", "├": "+", "┴": "'", "╎": "|", "└": "+",
    "●": "*", "○": "o", "◌": "o", "■": "#", "‖": "=", "▶": ">", "▸": ">", "◂": "<", "→": ">", "←": "<", "↑": "^",
    "↓": "v", "±": "~", "·": ".", "…": ".", "✓": "v", "✗": "x", "×": "x", "°": " ", "▲": "^", "▼": "v", "★": "*",
    "█": "#", "▓": "=", "▒": "+", "░": "-", "≥": ">", "≤": "<", "–": "-", "—": "-", "−": "-", "◆": "*", "◇": "o",
})  # fmt: skip

_SQUARE = str.maketrans("╭╮╰╯╎◌▸◂✓✗★◆◇‖", "┌┐└┘│o><v**##=")
"""For fonts of 256 characters, as on the Linux console."""


class Look(msgspec.Struct, frozen=True):
    """What this terminal can show."""

    glyphs: Glyphs = "braille"
    colour: bool = True

    @property
    def is_ascii(self) -> bool:
        return self.glyphs == "ascii"

    def style(self, name: str) -> Style:
        """The style of that name; an unknown name is plain, one with FAINT behind it is fainter."""
        styles = _COLOUR if self.colour else _PLAIN
        if name.endswith(FAINT):
            return _faint(styles.get(name.removesuffix(FAINT), _COLOUR[""]))
        return styles.get(name, _COLOUR[""])

    def printable(self, row: Row) -> Row:
        """The row with nothing in it that a terminal could take for an order, in characters that it can show."""
        return tuple(Span(self._text(span.text), span.style) for span in row)

    def _text(self, text: str) -> str:
        if text.isascii() and text.isprintable():
            return text
        text = _on_one_line(text)
        match self.glyphs:
            case "braille":
                return text
            case "block":
                return text.translate(_SQUARE)
            case "ascii":
                return "".join(_ascii_char(char) for char in text.translate(_ASCII))


def _on_one_line(text: str) -> str:
    """Without control, bidi and zero-width characters, in as many columns as before."""
    text = text.replace("\n", " ").replace("\t", " ").replace("\ufe0f", "")
    return text if is_clean(text) else "".join(char if is_clean(char) else "·"[: cells(char)] for char in text)


def _ascii_char(char: str) -> str:
    """One character in as many columns of ASCII."""
    if char.isascii():
        return char
    width = cells(char)
    return ascii_fold(char)[:width].ljust(width, "?")


def _faint(style: Style) -> Style:
    """Half as bright, or dim where there is no colour."""
    triplet = style.color.triplet if style.color else None
    if triplet is None:
        return style + Style(dim=True)
    return Style(color=Color.from_rgb(*(0.5 * part for part in triplet)))


def look_for(settings: UiSettings, environ: Mapping[str, str]) -> Look:
    """The look that the settings and the environment ask for: NO_COLOR, LANG and TERM are honoured."""
    return Look(_glyphs(settings, environ), colour=not environ.get("NO_COLOR"))


def _glyphs(settings: UiSettings, environ: Mapping[str, str]) -> Glyphs:
    if settings.ascii or not _speaks_unicode(environ):
        return "ascii"
    return "block" if environ.get("TERM") == "linux" else "braille"


def _speaks_unicode(environ: Mapping[str, str]) -> bool:
    """False where the locale names another character set; a locale that is not set at all says nothing."""
    locale = next((value for name in ("LC_ALL", "LC_CTYPE", "LANG") if (value := environ.get(name))), "")
    return not locale or "utf8" in locale.lower().replace("-", "")

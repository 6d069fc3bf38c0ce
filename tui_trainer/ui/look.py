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
from tui_trainer.ui.ground import may_ask

LINE_STYLES = ("s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7")

_DARK = {
    "s0": "#56b4e9", "s1": "#e69f00", "s2": "#00b386", "s3": "#d989b5", "s4": "#f0e442", "s5": "#f2703c",
    "s6": "#97a6ff", "s7": "#a6a6a6", "quiet": "#a0a0a0", "frame": "#787878", "track": "#5c5c5c",
}  # fmt: skip
"""Okabe and Ito's palette, told apart by colour-blind people, too, its darker tones lifted off a dark background."""

_LIGHT = {
    "s0": "#00659e", "s1": "#8f5400", "s2": "#006b4d", "s3": "#8f3f73", "s4": "#665d00", "s5": "#a84300",
    "s6": "#2f3fa6", "s7": "#575757", "quiet": "#5c5c5c", "frame": "#8a8a8a", "track": "#bcbcbc",
}  # fmt: skip
"""The same hues for a light background."""


_SIXTEEN = {
    "s0": "bright_cyan", "s1": "yellow", "s2": "green", "s3": "bright_magenta", "s4": "bright_yellow",
    "s5": "bright_red", "s6": "bright_blue", "s7": "white", "quiet": "white", "frame": "bright_black",
    "track": "bright_black",
}  # fmt: skip
"""Where the terminal has sixteen colours of its own: no two lines alike, which the nearest ones would be."""

_SIXTEEN_LIGHT = {
    "s0": "blue", "s1": "red", "s2": "green", "s3": "magenta", "s4": "cyan", "s5": "bright_red", "s6": "bright_blue",
    "s7": "bright_black", "quiet": "bright_black", "frame": "bright_black", "track": "white",
}  # fmt: skip


def _styles(tone: Mapping[str, str], badge: Mapping[str, str] = _DARK) -> dict[str, Style]:
    """What the names mean; the terminal's own background stays, except for badges."""
    return {
        "": Style.null(),
        **{name: Style(color=tone[name]) for name in LINE_STYLES},
        "bar": Style(color=tone["s0"]),
        "track": Style(color=tone["track"]),
        "axis": Style(color=tone["quiet"]),
        "mark": Style(color=tone["quiet"]),
        "frame": Style(color=tone["frame"]),
        "focus": Style(color=tone["s0"], bold=True),
        "dim": Style(color=tone["quiet"]),
        "bold": Style(bold=True),
        "title": Style(bold=True),
        "brand": Style(color=tone["s0"], bold=True),
        "key": Style(color=tone["s1"], bold=True),
        "good": Style(color=tone["s2"], bold=True),
        "warn": Style(color=tone["s1"], bold=True),
        "bad": Style(color=tone["s5"], bold=True),
        "card": Style(color=tone["s1"]),
        "paused": Style(color="#000000", bgcolor=badge["s1"], bold=True),
        "ended": Style(color="#000000", bgcolor=badge["s0"], bold=True),
        "replay": Style(color="#000000", bgcolor=badge["s3"], bold=True),
        "sent": Style(color="#000000", bgcolor=badge["s0"]),
    }


_COLOUR = _styles(_DARK)
_COLOURS = {
    (False, False): _COLOUR,
    (True, False): _styles(_LIGHT),
    (False, True): _styles(_SIXTEEN, _SIXTEEN),
    (True, True): _styles(_SIXTEEN_LIGHT, _SIXTEEN),
}
"""By background and palette: (light, sixteen)."""
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
    light: bool = False
    """Is the terminal's background light?"""
    sixteen: bool = False
    """Has it no more than sixteen colours?"""

    @property
    def is_ascii(self) -> bool:
        return self.glyphs == "ascii"

    def style(self, name: str) -> Style:
        """The style of that name; an unknown name is plain, one with FAINT behind it is fainter."""
        styles = _COLOURS[self.light, self.sixteen] if self.colour else _PLAIN
        if name.endswith(FAINT):
            return _faint(styles.get(name.removesuffix(FAINT), _COLOUR[""]), light=self.light)
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


def _faint(style: Style, *, light: bool) -> Style:
    """Half way to the background, or dim where there is no colour."""
    triplet = style.color.triplet if style.color else None
    if triplet is None:
        return style + Style(dim=True)
    ground = 255 if light else 0
    return Style(color=Color.from_rgb(*((part + ground) / 2 for part in triplet)))


def look_for(settings: UiSettings, environ: Mapping[str, str]) -> Look:
    """The look that the settings and the environment ask for: NO_COLOR, LANG, TERM and COLORFGBG are honoured."""
    return Look(
        _glyphs(settings, environ),
        colour=not environ.get("NO_COLOR"),
        light=_is_light(settings, environ),
        sixteen=_has_sixteen(environ),
    )


def _has_sixteen(environ: Mapping[str, str]) -> bool:
    """As rich decides for what Textual writes."""
    many = environ.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit")
    return not many and environ.get("TERM", "").lower().rpartition("-")[2] not in ("256color", "kitty")


def _is_light(settings: UiSettings, environ: Mapping[str, str]) -> bool:
    """As set; else as the terminal says in COLORFGBG (`0;15`: black on white), where it does."""
    if settings.background != "auto":
        return settings.background == "light"
    ground = environ.get("COLORFGBG", "").rpartition(";")[2]
    return ground in ("7", "15")


def asks_ground(settings: UiSettings, environ: Mapping[str, str]) -> bool:
    """Is the terminal to be asked for its background? Not where the person or the environment says it."""
    known = settings.background != "auto" or "COLORFGBG" in environ or bool(environ.get("NO_COLOR"))
    return not known and may_ask(environ)


def _glyphs(settings: UiSettings, environ: Mapping[str, str]) -> Glyphs:
    if settings.ascii or not _speaks_unicode(environ):
        return "ascii"
    return "block" if environ.get("TERM") == "linux" else "braille"


def _speaks_unicode(environ: Mapping[str, str]) -> bool:
    """False where the locale names another character set; a locale that is not set at all says nothing."""
    locale = next((value for name in ("LC_ALL", "LC_CTYPE", "LANG") if (value := environ.get(name))), "")
    return not locale or "utf8" in locale.lower().replace("-", "")

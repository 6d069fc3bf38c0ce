"""The terminal's background, asked once: OSC 11 of xterm, which most terminals answer with the colour."""

from __future__ import annotations

import re
from collections.abc import Mapping

QUERY = "\x1b]11;?\x1b\\"
_COLOUR = r"([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})(?:/[0-9a-fA-F]{1,4})?"
_ANSWER = re.compile(rf"\x1b\]11;rgba?:{_COLOUR}(?:\x07|\x1b\\)")
_BEGUN = re.compile(r"\x1b(?:\](?:1(?:1(?:;[a-zA-Z0-9:/]{0,32}\x1b?)?)?)?)?\Z")
"""The beginning of an answer at the end of what has come so far."""
_KNOWING = ("xterm", "rxvt", "foot", "alacritty", "kitty", "wezterm", "ghostty", "tmux", "st-", "konsole", "iterm")
"""Terminals of other names may print the question."""


def may_ask(environ: Mapping[str, str]) -> bool:
    """Does this kind of terminal at least ignore the question?"""
    return environ.get("TERM", "").lower().startswith(_KNOWING) or "TMUX" in environ


class GroundSieve:
    """Takes the answer out of what was typed: it may come in pieces."""

    def __init__(self) -> None:
        self._held = ""

    @property
    def is_holding(self) -> bool:
        """Is something held back that may be typed as well?"""
        return bool(self._held)

    def sifted(self, text: str, *, expecting: bool) -> tuple[str, bool | None]:
        """What was typed, and whether the background is light, where the answer was in it."""
        whole = self._held + text
        self._held = ""
        if not expecting:
            return whole, None
        found = _ANSWER.search(whole)
        if found is not None:
            return whole[: found.start()] + whole[found.end() :], is_light(*found.groups())
        begun = _BEGUN.search(whole)
        if begun is None or (not text and len(begun.group()) < 3):
            return whole, None  # escape alone, or with a bracket, may be a key
        self._held = begun.group()
        return whole[: begun.start()], None


def is_light(red: str, green: str, blue: str) -> bool:
    """Is black easier to read on it than white? Parts in hexadecimal, of one to four digits."""
    parts = [int(part, 16) / (16 ** len(part) - 1) for part in (red, green, blue)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    luminance: float = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return luminance > 0.179

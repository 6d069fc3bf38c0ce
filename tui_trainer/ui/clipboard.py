"""The clipboard over any line: OSC 52, wrapped for the multiplexers that would swallow it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

_SCREEN_PIECE = 500
"""Characters that GNU screen passes on in one go."""


def sequence(text: str, environ: Mapping[str, str]) -> str:
    """What sets the terminal's clipboard to `text`, as far as the terminal allows it.

    tmux takes the plain sequence where `set-clipboard` is on, and passes the wrapped one on where
    `allow-passthrough` is; the other is ignored.
    """
    plain = f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07"
    if environ.get("TMUX"):
        doubled = plain.replace("\x1b", "\x1b\x1b")
        return f"{plain}\x1bPtmux;{doubled}\x1b\\"
    if environ.get("STY"):
        pieces = (plain[i : i + _SCREEN_PIECE] for i in range(0, len(plain), _SCREEN_PIECE))
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return plain

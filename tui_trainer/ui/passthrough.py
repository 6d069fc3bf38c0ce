"""Sequences for the terminal outside a multiplexer, which would swallow them."""

from __future__ import annotations

from collections.abc import Mapping

_SCREEN_PIECE = 500
"""Characters that GNU screen passes on in one go."""


def passed_through(sequence: str, environ: Mapping[str, str]) -> str:
    """The sequence wrapped for tmux (which obeys where `allow-passthrough` is on) or screen; as it is elsewhere."""
    if environ.get("TMUX"):
        doubled = sequence.replace("\x1b", "\x1b\x1b")
        return f"\x1bPtmux;{doubled}\x1b\\"
    if environ.get("STY"):
        pieces = (sequence[i : i + _SCREEN_PIECE] for i in range(0, len(sequence), _SCREEN_PIECE))
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return sequence

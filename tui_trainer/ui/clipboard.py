"""The clipboard over any line: OSC 52, wrapped for the multiplexers that would swallow it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from tui_trainer.ui.passthrough import passed_through


def sequence(text: str, environ: Mapping[str, str]) -> str:
    """What sets the terminal's clipboard to `text`, as far as the terminal allows it.

    tmux takes the plain sequence where `set-clipboard` is on, and passes the wrapped one on where
    `allow-passthrough` is; the other is ignored.
    """
    plain = f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07"
    wrapped = passed_through(plain, environ)
    return plain + wrapped if environ.get("TMUX") else wrapped

"""What the terminal itself is told of news: a bell, or a message of the desktop by OSC 9."""

from __future__ import annotations

from collections.abc import Mapping

from tui_trainer.core.events import AnyEvent
from tui_trainer.core.notices import notice_of
from tui_trainer.core.text import clean_line

BELL = "\a"
LONGEST = 200


def ring(event: AnyEvent, session: str, kind: str, environ: Mapping[str, str]) -> str:
    """The sequence to write for an event, or nothing; `kind` is the setting `ui.bell`."""
    notice = None if kind == "off" else notice_of(event, session)
    if notice is None:
        return ""
    return BELL if kind == "bell" else _through(_osc9(notice.line), environ)


def _osc9(text: str) -> str:
    """The words in front keep a text that starts with `4;` from being read as a progress bar."""
    return f"\x1b]9;tui-trainer: {clean_line(text, LONGEST)}\a"


def _through(sequence: str, environ: Mapping[str, str]) -> str:
    """Past tmux (which must allow it: `set -g allow-passthrough on`) or screen, to the terminal outside."""
    if environ.get("TMUX"):
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    if environ.get("STY"):
        return f"\x1bP{sequence}\x1b\\"
    return sequence

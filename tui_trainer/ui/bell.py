"""What the terminal itself is told of news: a bell, or a message of the desktop by OSC 9."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tui_trainer.core.events import AnyEvent, RunEnded
from tui_trainer.core.notices import notice_of
from tui_trainer.core.text import clean_line
from tui_trainer.ui.passthrough import passed_through

BELL = "\a"
LONGEST = 200
QUIET_S = 2.0
"""After one ring, only the end of the run is told so soon again: a hundred alerts in a second ring once."""


class Bell:
    """Rings for a session, by the setting `ui.bell`."""

    def __init__(self, session: str, kind: str, environ: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._session, self._kind, self._environ, self._clock = session, kind, environ, clock
        self._rung_at = float("-inf")

    def ring(self, event: AnyEvent) -> str:
        """The sequence to write for an event, or nothing."""
        now = self._clock()
        if now - self._rung_at < QUIET_S and not isinstance(event, RunEnded):
            return ""
        sequence = ring(event, self._session, self._kind, self._environ)
        if sequence:
            self._rung_at = now
        return sequence


def ring(event: AnyEvent, session: str, kind: str, environ: Mapping[str, str]) -> str:
    """The sequence to write for an event, or nothing; `kind` is the setting `ui.bell`."""
    notice = None if kind == "off" else notice_of(event, session)
    if notice is None:
        return ""
    return BELL if kind == "bell" else passed_through(_osc9(notice.line), environ)


def _osc9(text: str) -> str:
    """The words in front keep a text that starts with `4;` from being read as a progress bar."""
    return f"\x1b]9;tui-trainer: {clean_line(text, LONGEST)}\a"

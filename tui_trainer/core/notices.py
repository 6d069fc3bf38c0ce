"""What a person is told who does not look at the screen: which events are worth it, and in what words."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tui_trainer.core.events import AlertRaised, AnyEvent, RecommendationRaised, RunEnded, RunPaused
from tui_trainer.core.format import count
from tui_trainer.core.text import clean_line

Kind: TypeAlias = Literal["end", "pause", "alert", "recommendation"]
KINDS: tuple[Kind, ...] = ("end", "pause", "alert", "recommendation")
NOTABLE = (RunEnded, RunPaused, AlertRaised, RecommendationRaised)
"""The events that `notice_of` may answer to."""


class Notice(msgspec.Struct, frozen=True):
    """One message. `title` fits a subject line; `text` is the evidence, on one line, and may be empty."""

    kind: Kind
    session: str
    title: str
    text: str
    update: int
    global_step: int
    time: float
    """Unix seconds."""

    @property
    def line(self) -> str:
        """Title and text on one line."""
        return f"{self.title}: {self.text}" if self.text else self.title


def notice_of(event: AnyEvent, session: str) -> Notice | None:
    """The message for an event, or None. A pause that a person ordered is no news to that person."""
    match event:
        case RunEnded(reason=reason):
            code = f" (exit code {reason.exit_code})" if reason.exit_code else ""
            return _notice("end", event, session, f"{session} ended: {reason.name}{code}", reason.evidence)
        case RunPaused(by=by, why=why) if by != "user":
            return _notice("pause", event, session, f"{session} waits, paused by {by}", why)
        case AlertRaised(severity=severity, text=text):
            return _notice("alert", event, session, f"{session}: {severity}", text)
        case RecommendationRaised(id=number, title=title, evidence=evidence):
            return _notice("recommendation", event, session, f"{session} asks {number}: {title}", "; ".join(evidence))
        case _:
            return None


def _notice(kind: Kind, event: AnyEvent, session: str, title: str, text: str) -> Notice:
    return Notice(
        kind=kind,
        session=session,
        title=clean_line(title, 200),
        text=clean_line(text, 1000),
        update=event.update,
        global_step=event.global_step,
        time=event.time,
    )


def where(notice: Notice) -> str:
    """Where the run stands, such as `update 1,200, step 98,304`."""
    return f"update {count(notice.update)}, step {count(notice.global_step)}"

"""Everything one picture is made of: the run's state and what the view itself knows."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tui_trainer.client.source import Link, Position
from tui_trainer.core.state import Decision, Mark, Recommendation, RunState
from tui_trainer.core.values import is_guest
from tui_trainer.ui.keymap import UNCHANGED, Changes
from tui_trainer.ui.lens import Lens
from tui_trainer.ui.look import Look

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")


class Order(msgspec.Struct, frozen=True):
    """A command on its way: no event has answered it yet."""

    id: str
    text: str
    status: Literal["sent", "received"] = "sent"
    recommendation: int | None = None


class Notice(msgspec.Struct, frozen=True):
    """One line for the person, for a few seconds."""

    text: str
    style: str = ""


class Overlay(msgspec.Struct, frozen=True):
    """What lies over the panels and takes the keys: help, the stop question, or the filter's input line."""

    kind: Literal["help", "stop"]
    scroll: int = 0


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of the screen; every panel is a function of it."""

    state: RunState
    now: float
    look: Look = Look()
    name: str = ""
    kind: Literal["live", "replay"] = "live"
    readonly: bool = False
    link: Link | None = None
    position: Position | None = None
    marks: tuple[Mark, ...] = ()
    """For a replay: the farthest timeline seen so far."""
    orders: tuple[Order, ...] = ()
    notice: Notice | None = None
    chosen: int | None = None
    """Number of the recommendation that keys answer; None is the newest open one."""
    focus: str = ""
    maximised: bool = False
    scroll: int = 0
    """Lines that the focused panel is scrolled back."""
    page: Literal["", "decision_list", "models"] = ""
    """A list that has the whole screen."""
    mark: int = -1
    """The chosen line of the list: a decision's seq, a checkpoint's number; -1 is the first."""
    chronicle: tuple[Decision, ...] = ()
    """For a replay: all decisions of the session."""
    filter: str = ""
    filtering: bool = False
    writing: str | None = None
    """The order that is being written; None where none is."""
    overlay: Overlay | None = None
    lens: Lens = Lens()
    level: Level = "debug"
    """The least important lines that the log shows."""
    learned: frozenset[str] = frozenset()
    """Actions that need no hint."""
    hints_until: float = 0.0
    """Until then a new view gives hints."""
    broke: str = ""
    """For a replay: why the history ends without an end."""
    last_words: tuple[str, ...] = ()
    """What a crash left behind, its last lines."""
    keys: Changes = UNCHANGED
    """Keys of a person's own, by action."""
    metric: str = ""
    """The metric under the mark in the panel of losses."""

    @property
    def card(self) -> Recommendation | None:
        """The open recommendation that the screen shows and the keys answer."""
        waiting = self.state.open_recommendations
        return next((r for r in waiting if r.id == self.chosen), waiting[-1] if waiting else None)

    @property
    def last_accepted(self) -> Recommendation | None:
        """The newest accepted recommendation: what undo would take back."""
        return next((r for r in reversed(self.state.recommendations) if r.verdict == "accepted"), None)

    @property
    def loop_elsewhere(self) -> str:
        """Why this program cannot go on with the run or fork it; empty for a run of ours."""
        started = self.state.started
        if started is None or not (started.origin or is_guest(started.task)):
            return ""
        if started.origin:
            return f"a run of {started.origin} opens read-only"
        return "only the script goes on: start it again with guest(..., resume=True)"

    def scroll_of(self, panel: str) -> int:
        return self.scroll if panel == self.focus else 0

    def since_start(self, time: float) -> float:
        """Seconds between the session's start and `time`."""
        return time - self.state.started.time if self.state.started else 0.0

"""Which session a command means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.errors import OrderRefused, UsageError
from tui_trainer.sessions.names import SESSION_FILE, find, sessions_root
from tui_trainer.sessions.store import Session, list_sessions

if TYPE_CHECKING:
    from tui_trainer.foreign.places import Place
    from tui_trainer.foreign.run import ForeignRun


def root(option: str | None) -> Path:
    """Where sessions lie."""
    return sessions_root(option, os.environ)


def session(option: str | None, name: str) -> Session:
    """The named one. Raises UsageError with the nearest names, or saying that it is a run of another tool."""
    place = foreign_place(option, name)
    if place is not None:
        raise UsageError(
            f"{place.name} is a run of {place.tool}, which opens read-only",
            "replay, compare, report, sessions show and sessions export take it",
        )
    return Session.open(find(root(option), name))


def session_or_sample(option: str | None, name: str) -> Session:
    """The named one; without a `sample` of the user's own, the one that comes with the program."""
    ours = Path(__file__).parents[1] / "sample"
    if name == "sample" and not (root(option) / name).exists() and ours.exists():
        return Session.open(ours)
    return session(option, name)


def opened(option: str | None, name: str) -> Session | ForeignRun:
    """As `session_or_sample`; also a run of another tool, by its path. Raises UsageError."""
    place = foreign_place(option, name)
    if place is None:
        return session_or_sample(option, name)
    from tui_trainer.foreign.run import open_run

    return open_run(place)


def foreign_place(option: str | None, name: str) -> Place | None:
    """Where a run of another tool lies, if the name is the path of one and of no session."""
    path = Path(name).expanduser()
    is_session = os.sep not in name and os.path.exists(root(option) / name / SESSION_FILE)
    if is_session or not os.path.exists(path):
        return None
    from tui_trainer.foreign.places import find_run

    return find_run(path)


def live_session(option: str | None, name: str | None) -> Session:
    """The named one, or the only live one; refused where there is none or several."""
    if name is not None:
        return session(option, name)
    live = [row for row in list_sessions(root(option)) if row.pid is not None]
    if not live:
        raise OrderRefused(f"no run is live in {root(option)}", "name a session or start one with `tui-trainer run`")
    if len(live) > 1:
        names = ", ".join(row.name for row in live)
        raise OrderRefused(f"several runs are live: {names}", "say which")
    return session(option, live[0].name)


def is_study(option: str | None, name: str) -> bool:
    """Whether a study of this name lies beside the sessions, and no session has the name."""
    if os.sep in name or "\0" in name:
        return False
    return (root(option) / f"{name}.study").is_file() and not (root(option) / name).exists()

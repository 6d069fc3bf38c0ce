"""Which session a command means."""

from __future__ import annotations

import os
from pathlib import Path

from tui_trainer.errors import OrderRefused
from tui_trainer.sessions.names import find, sessions_root
from tui_trainer.sessions.store import Session, list_sessions


def root(option: str | None) -> Path:
    """Where sessions lie."""
    return sessions_root(option, os.environ)


def session(option: str | None, name: str) -> Session:
    """The named one. Raises UsageError with the nearest names."""
    return Session.open(find(root(option), name))


def session_or_sample(option: str | None, name: str) -> Session:
    """The named one; without a `sample` of the user's own, the one that comes with the program."""
    ours = Path(__file__).parents[1] / "sample"
    if name == "sample" and not (root(option) / name).exists() and ours.exists():
        return Session.open(ours)
    return session(option, name)


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

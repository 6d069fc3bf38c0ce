"""Bare `tui-trainer`: the sessions browser on a terminal, a plain list elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tui_trainer.cli import find
from tui_trainer.core.config import UiSettings
from tui_trainer.sessions.store import SessionSummary, list_sessions
from tui_trainer.ui.browser import Choice, SessionRow, run_browser


def browse(sessions: str | None, execute: Callable[[Sequence[str]], int]) -> int:
    """Show the list again and again; each choice is the command that a person would have typed."""
    root, code = find.root(sessions), 0
    while (choice := run_browser(lambda: rows(list_sessions(root)), UiSettings())) is not None:
        code = execute(words(choice, sessions))
        if code:
            input("press enter for the list ")
    return code


def rows(summaries: Sequence[SessionSummary]) -> list[SessionRow]:
    """What the browser shows of each session."""
    return [
        SessionRow(
            name=s.name,
            state=s.state,
            task=s.task,
            algorithm=s.algorithm,
            update=s.update,
            global_step=s.global_step,
            best=s.best_score,
            changed=s.changed,
            size=s.size,
            live=s.pid is not None,
        )
        for s in summaries
    ]


def words(choice: Choice, sessions: str | None) -> list[str]:
    """The choice as a command line."""
    where = ["--sessions", sessions] if sessions else []
    return [choice.verb, *([choice.name] if choice.name else []), *where]

"""Bare `tui-trainer`: the sessions browser on a terminal, a plain list elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tui_trainer.cli import find, foreign
from tui_trainer.cli.settings import resolve_run, view_settings
from tui_trainer.core.config import Resolved, assignments_layer, flatten
from tui_trainer.core.text import clean_line
from tui_trainer.foreign.run import Catalogue
from tui_trainer.sessions import trash
from tui_trainer.sessions.recent import recent_scores
from tui_trainer.sessions.store import Counted, SessionSummary, list_sessions
from tui_trainer.ui.browser import run_browser
from tui_trainer.ui.shelf import Choice, SessionRow


def browse(sessions: str | None, execute: Callable[[Sequence[str]], int], also: list[str] | None = None) -> int:
    """Show the list again and again; each choice is the command that a person would have typed."""
    root, code = find.root(sessions), 0
    cupboard, settings = Cupboard(root, foreign.folders(also)), view_settings()
    trash.empty(root)
    while (choice := run_browser(cupboard, settings)) is not None:
        code = execute(words(choice, sessions))
        if code or choice.verb == "report":
            input("press enter for the list ")
    return code


class Cupboard:
    """The sessions below `root`, and the runs of other tools below the folders `also`."""

    def __init__(self, root: Path, also: tuple[Path, ...] = ()) -> None:
        self._root = root
        self._foreign = Catalogue(also)
        self._scores: dict[str, tuple[float, tuple[float, ...]]] = {}
        self._counted: Counted = {}

    def load(self) -> list[SessionRow]:
        """Every session; evaluations and folders are read again only where something changed."""
        own = [self._row(summary) for summary in list_sessions(self._root, counted=self._counted)]
        return own + [row_of(summary, scores) for summary, scores in self._foreign.load(time.time())]

    def _row(self, s: SessionSummary) -> SessionRow:
        changed, scores = self._scores.get(s.name, (-1.0, ()))
        if changed != s.changed:
            scores = recent_scores(Path(s.path) / "events.jsonl")
            self._scores[s.name] = (s.changed, scores)
        return row_of(s, scores)

    def delete(self, name: str) -> None:
        trash.put_aside(find.session(str(self._root), name))

    def restore(self, name: str) -> None:
        trash.bring_back(self._root, name)

    def settle(self, assignments: tuple[str, ...]) -> Resolved:
        """Settings as `run --set ...` would have them; the task chooses its preset. Raises ConfigError, UsageError."""
        from tui_trainer import algorithms, tasks

        flags = {key: value for key, value in flatten(assignments_layer(assignments).table) if key == "run.task"}
        resolved = resolve_run(None, flags, assignments)
        tasks.check_id(resolved.config.run.task)
        algorithms.check_id(resolved.config.run.algorithm)
        return resolved

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """Tasks and algorithms, those of installed packages, too; families of tasks need a name behind them."""
        from tui_trainer import algorithms, tasks
        from tui_trainer.core.registry import installed

        return {
            "run.task": tuple(task for task in (*tasks.TASKS, *tasks.installed()) if not task.endswith(":")),
            "run.algorithm": (*algorithms.ALGORITHMS, *installed(algorithms.ENTRY_POINTS)),
        }


def row_of(s: SessionSummary, scores: Sequence[float]) -> SessionRow:
    """What the browser shows of a session."""
    return SessionRow(
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
        scores=tuple(scores),
        parent=s.parent,
        about=clean_line(s.problem or s.termination_reason),
        origin=s.origin,
    )


def words(choice: Choice, sessions: str | None) -> list[str]:
    """The choice as a command line."""
    where = ["--sessions", sessions] if sessions else []
    verb: list[str] = [choice.verb, *([choice.name] if choice.name else []), *choice.words]
    return [*verb, *where]

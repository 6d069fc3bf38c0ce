"""What a view of a session is lent to reach the disk with."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

from tui_trainer.core.text import clean_line
from tui_trainer.errors import StorageError
from tui_trainer.foreign.run import ForeignRun
from tui_trainer.sessions.aftermath import last_words
from tui_trainer.sessions.store import Session, shown_state
from tui_trainer.ui.aids import Aids

_LEARNED = "hints"
_COPIED = "copied.txt"


def aids_of(session: Session, environ: Mapping[str, str] = os.environ) -> Aids:
    """Reports, files in the working directory, and what the person knows already."""
    state = state_dir(environ)

    def report() -> str:
        from tui_trainer.cli.reporting import written_report

        return written_report(session)

    def export(what: str, form: str) -> str:
        from tui_trainer.cli.storing import exporter

        return exporter(session)(what, form)

    return Aids(
        report=report,
        broke=_broke(session),
        last_words=lambda: last_words(session),
        save=lambda name, text: _write(Path.cwd() / name, text),
        export=export,
        keep_copy=lambda text: _write(state / _COPIED, text),
        learned=_learned(state / _LEARNED),
        learn=lambda action: _learn(state / _LEARNED, action),
    )


def aids_of_foreign(run: ForeignRun, environ: Mapping[str, str] = os.environ) -> Aids:
    """As `aids_of`, for a run of another tool: it left no crash, and its lists are empty."""
    state = state_dir(environ)

    def report() -> str:
        from tui_trainer.cli.reporting import written_report
        from tui_trainer.foreign.run import open_run

        return written_report(run if run.share >= 1.0 else open_run(run.place))

    return Aids(
        report=report,
        save=lambda name, text: _write(Path.cwd() / name, text),
        keep_copy=lambda text: _write(state / _COPIED, text),
        learned=_learned(state / _LEARNED),
        learn=lambda action: _learn(state / _LEARNED, action),
    )


def _broke(session: Session) -> str:
    """What to say of a session whose engine went without an end; empty for others."""
    state = shown_state(session.read().status, session.owner(), time.time())
    told = {"crashed": "the engine was gone without a word", "interrupted": "interrupted before its end"}
    return told.get(state, "")


def state_dir(environ: Mapping[str, str]) -> Path:
    """Where a person's own small files lie: `$XDG_STATE_HOME/tui-trainer`."""
    home = environ.get("XDG_STATE_HOME") or os.path.join(environ.get("HOME", ""), ".local", "state")
    return Path(home) / "tui-trainer"


def _write(path: Path, text: str) -> str:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{clean_line(str(path))}: {error.strerror}") from None
    return clean_line(str(path))


def _learned(path: Path) -> frozenset[str]:
    try:
        return frozenset(path.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError):
        return frozenset()


def _learn(path: Path, action: str) -> None:
    """A hint that comes twice is no harm: what cannot be noted is not."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{action}\n")

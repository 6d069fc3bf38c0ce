"""`report` and `compare`: what saved sessions tell, without loading torch or Textual."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tui_trainer.cli import find
from tui_trainer.client.replay import fold_all
from tui_trainer.core.text import clean_line
from tui_trainer.reports.facts import Facts
from tui_trainer.sessions.ratings import read_ratings
from tui_trainer.sessions.store import Session

if TYPE_CHECKING:
    from tui_trainer.foreign.run import ForeignRun


def report_session(sessions: str | None, name: str, out: str | None, *, html: bool) -> None:
    """Write the report of a session, by default into the session; prints where it lies."""
    from tui_trainer.reports.pictures import require_matplotlib
    from tui_trainer.reports.writing import write_report

    session = find.opened(sessions, name)
    require_matplotlib()
    for path in write_report(facts(session), Path(out) if out else report_directory(session), html=html):
        print(clean_line(str(path)))


def written_report(session: Session | ForeignRun) -> str:
    """Write the report where it belongs; where its page lies."""
    from tui_trainer.reports.pictures import require_matplotlib
    from tui_trainer.reports.writing import write_report

    require_matplotlib()
    paths = write_report(facts(session), report_directory(session), html=False)
    return clean_line(str(paths[0]))


def report_directory(session: Session | ForeignRun) -> Path:
    """Into the session; of a run of another tool into the working directory."""
    if isinstance(session, Session):
        return session.path / "report"
    from tui_trainer.cli.foreign import report_directory as beside

    return beside(session)


def facts(session: Session | ForeignRun) -> Facts:
    """A session as reports see it: its journal, and the settings in session.toml. A run of another tool likewise."""
    if not isinstance(session, Session):
        from tui_trainer.cli.foreign import foreign_facts

        return foreign_facts(session)
    file = session.read()
    return Facts(
        session.name, fold_all(session.journal_path), file.config, file.status.state, read_ratings(session.path)
    )


def compare_sessions(
    sessions: str | None, names: Sequence[str], metric: str, thresholds: Sequence[float], *, json: bool
) -> None:
    """A table of sessions side by side, with a chart on a terminal; with `json` one object."""
    from tui_trainer.reports.comparison import compare
    from tui_trainer.reports.table import MARKERS, chart, text

    compared = compare([facts(find.opened(sessions, name)) for name in names], metric, thresholds)
    if json:
        sys.stdout.write(msgspec.json.encode(compared).decode() + "\n")
        return
    print(text(compared), end="")
    if sys.stdout.isatty():
        width = min(120, shutil.get_terminal_size().columns)
        print("\n" + chart(compared, width, ascii_only=not _carries(MARKERS)), end="")


def _carries(letters: str) -> bool:
    """Whether the terminal's encoding has these letters."""
    try:
        letters.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True

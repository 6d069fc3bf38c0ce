"""`report` and `compare`: what saved sessions tell, without loading torch or Textual."""

from __future__ import annotations

from pathlib import Path

from tui_trainer.cli import find
from tui_trainer.client.replay import fold_all
from tui_trainer.core.text import clean_line
from tui_trainer.reports.facts import Facts
from tui_trainer.sessions.store import Session


def report_session(sessions: str | None, name: str, out: str | None, *, html: bool) -> None:
    """Write the report of a session, by default into the session; prints where it lies."""
    from tui_trainer.reports.pictures import require_matplotlib
    from tui_trainer.reports.writing import write_report

    session = find.session_or_sample(sessions, name)
    require_matplotlib()
    for path in write_report(facts(session), Path(out) if out else session.path / "report", html=html):
        print(clean_line(str(path)))


def facts(session: Session) -> Facts:
    """A session as reports see it: its journal, and the settings in session.toml."""
    file = session.read()
    return Facts(session.name, fold_all(session.journal_path), file.config, file.status.state)

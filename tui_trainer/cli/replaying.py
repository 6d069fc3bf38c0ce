"""`replay`: a saved session in the same screens, or as lines."""

from __future__ import annotations

import sys

from tui_trainer.cli import find
from tui_trainer.errors import UsageError
from tui_trainer.sessions.store import Session


def replay_session(sessions: str | None, name: str, speed: str, at: str | None, *, no_ui: bool, json: bool) -> int:
    """Open the app on the session's history, or print it."""
    pace = parse_speed(speed)
    if (place := find.foreign_place(sessions, name)) is not None:
        from tui_trainer.cli.foreign import replay_foreign

        return replay_foreign(place, pace, at, no_ui=no_ui, json=json)
    session = find.session_or_sample(sessions, name)
    from tui_trainer.cli.running import leave, may_show

    if no_ui or json or not may_show():
        return _print(session, json=json)
    from tui_trainer.cli.settings import view_settings
    from tui_trainer.cli.viewing import aids_of
    from tui_trainer.client.replay import open_replay
    from tui_trainer.sessions.index import History
    from tui_trainer.ui.terminal import require_terminal

    require_terminal()
    history = History(session.journal_path)
    source = open_replay(session.name, history, speed=pace, at=at or "")
    from tui_trainer.ui.app import run_app

    settings = view_settings(session.read().config)
    code = leave(run_app(source, settings, aids_of(session)))
    if source.damage is not None:
        print(f"tui-trainer: {source.damage}", file=sys.stderr)
    if history.skipped:
        print(f"tui-trainer: {history.skipped} damaged lines of {session.journal_path} were skipped", file=sys.stderr)
    return code


def parse_speed(text: str) -> float:
    """1..1000, or `max` as 0. Raises UsageError."""
    if text == "max":
        return 0.0
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if not 1 <= speed <= 1000:
        raise UsageError(f"--speed {text}: not a speed", "1 to 1000, or max")
    return speed


def _print(session: Session, *, json: bool) -> int:
    from tui_trainer.headless.view import HeadlessView
    from tui_trainer.sessions.journal import iter_journal

    view = HeadlessView(sys.stdout, json=json, is_terminal=False)
    skipped = 0
    for entry in iter_journal(session.journal_path):
        if entry.event is None:
            skipped += 1
        else:
            view.show(entry.event)
    view.close()
    if skipped:
        print(f"tui-trainer: {skipped} damaged lines of {session.journal_path} were skipped", file=sys.stderr)
    return 0

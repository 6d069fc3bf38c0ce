"""`serve`: the app in a web page of this machine."""

from __future__ import annotations

import sys

from tui_trainer.cli import find
from tui_trainer.errors import MissingExtra, UsageError
from tui_trainer.sessions.store import Session


def serve(sessions: str | None, name: str | None, port: int, *, readonly: bool) -> int:
    """Print the address and serve until the person ends it; 0."""
    words = command(sessions, name, readonly=readonly)
    try:
        from tui_trainer.ui.web import WebServer
    except ModuleNotFoundError as error:
        raise MissingExtra(f"serve needs {error.name}", "pip install 'tui-trainer[serve]'") from None
    server = WebServer([sys.executable, "-m", "tui_trainer", *words], f"tui-trainer {name or ''}".strip(), port)
    print(f"open {server.url}")
    print("whoever has this address can do what you can; ctrl+c ends it, runs go on", flush=True)
    server.serve()
    return 0


def command(sessions: str | None, name: str | None, *, readonly: bool) -> list[str]:
    """What each page executes: the browser of sessions, a live run, or the replay of one that has ended."""
    where = ["--sessions", str(find.root(sessions).absolute())]
    if name is None:
        if readonly:
            raise UsageError("--readonly needs a live run", "tui-trainer serve NAME --readonly")
        return where
    session = find.opened(sessions, name)
    if not isinstance(session, Session):
        return ["replay", str(session.place.path.absolute()), *where]
    path = str(session.path.absolute())
    if session.owner() is None:
        return ["replay", path, *where]
    return ["attach", path, *(["--readonly"] if readonly else []), *where]

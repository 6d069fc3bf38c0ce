"""`watch` and `play`: a process of its own holds the policy; the view draws what it says."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tui_trainer.cli import find
from tui_trainer.client.duel import DuelProcess
from tui_trainer.core import duel as d
from tui_trainer.core.config import UiSettings
from tui_trainer.core.text import clean_line
from tui_trainer.errors import UsageError
from tui_trainer.ui.terminal import require_terminal


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What both commands take."""

    sessions: str | None
    name: str
    checkpoint: str
    temperature: float
    seed: int
    no_ui: bool


def watch_game(wish: Wish, against: str, delay_s: float | None, *, json: bool) -> None:
    """Show one game after the other, or print one."""
    if delay_s is not None and not 0 <= delay_s <= 3600:
        raise UsageError(f"--delay {delay_s}: not a number of seconds", "0 to 3600")
    if against == d.PERSON:
        raise UsageError("--against you: that is `tui-trainer play`")
    with _duel(wish, rival=against, first=d.LEARNER, headless=wish.no_ui or json) as (line, settings, name):
        if wish.no_ui or json:
            from tui_trainer.headless.duel import watch_lines

            watch_lines(line, sys.stdout, delay_s=delay_s or 0.0, json=json)
        else:
            from tui_trainer.ui.duel import run_duel

            run_duel(line, "watch", name, settings, 0.7 if delay_s is None else delay_s)


def play_game(wish: Wish, *, person_first: bool) -> None:
    """Let a person play in the app, or line by line."""
    first = d.PERSON if person_first else d.LEARNER
    with _duel(wish, rival=d.PERSON, first=first, headless=wish.no_ui) as (line, settings, name):
        if wish.no_ui:
            from tui_trainer.headless.duel import play_lines

            play_lines(line, sys.stdin, sys.stdout)
        else:
            from tui_trainer.ui.duel import run_duel

            run_duel(line, "play", name, settings, 0.7)


@contextlib.contextmanager
def _duel(wish: Wish, *, rival: str, first: str, headless: bool) -> Iterator[tuple[DuelProcess, UiSettings, str]]:
    """The process, the screen's settings and what to call the subject. Everything wrong is said before a screen."""
    if not headless:
        require_terminal()
    source, settings, name = _source(wish)
    if not headless:
        print(f"loading {name}", file=sys.stderr)
    line = DuelProcess(
        d.Open(
            source=source,
            checkpoint=wish.checkpoint,
            rival=rival,
            temperature=wish.temperature,
            seed=wish.seed,
            first=first,
        )
    )
    try:
        yield line, settings, name
    finally:
        line.close()


def _source(wish: Wish) -> tuple[str, UiSettings, str]:
    if wish.name.endswith(".pt"):
        return str(Path(wish.name).absolute()), UiSettings(), clean_line(wish.name)
    session = find.session_or_sample(wish.sessions, wish.name)
    settings = msgspec.convert(session.read().config.get("ui", {}), UiSettings)
    return str(session.path.absolute()), settings, session.name

"""Command twins of the keys: one order to a live run, answered with what was applied or why not."""

from __future__ import annotations

import time
from typing import Literal

from tui_trainer.cli import find
from tui_trainer.client.orders import live_state, new_id, order
from tui_trainer.client.written import setting_of
from tui_trainer.core import commands
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.conditions import parse_condition
from tui_trainer.core.values import Difficulty
from tui_trainer.errors import OrderRefused
from tui_trainer.sessions.store import Session

POLL_S = 0.2


def give(session: Session, command: AnyCommand) -> None:
    """Send one order and print its effect."""
    print(order(session.path, command))


def pause(sessions: str | None, name: str | None, when: str) -> None:
    """`pause`."""
    if when:
        parse_condition(when)
    give(find.live_session(sessions, name), commands.Pause(id=new_id(), when=when))


def checkpoint(sessions: str | None, name: str | None) -> None:
    """`checkpoint`."""
    give(find.live_session(sessions, name), commands.SaveCheckpoint(id=new_id()))


def stop(sessions: str | None, name: str | None) -> None:
    """`stop`."""
    give(find.live_session(sessions, name), commands.Stop(id=new_id()))


def run_for(sessions: str | None, name: str, updates: int) -> None:
    """`run-for`."""
    give(find.session(sessions, name), commands.RunFor(id=new_id(), updates=updates))


def answer(
    sessions: str | None, name: str | None, number: int | None, verdict: Literal["accept", "reject", "undo", "try"]
) -> None:
    """`accept`, `reject`, `undo`, `try`."""
    session = find.live_session(sessions, name)
    chosen = number if number is not None else _newest(session, verdict)
    give(session, commands.Answer(id=new_id(), recommendation=chosen, verdict=verdict))


def set_live(sessions: str | None, name: str, assignment: str) -> None:
    """`set`: a safe setting, or `difficulty.level|low|high`."""
    session = find.session(sessions, name)
    give(session, setting_of(assignment, new_id(), lambda: live_state(session.path).difficulty or Difficulty()))


def wait_for_end(sessions: str | None, name: str | None) -> int:
    """`wait`: the run's exit code; 1 for one that crashed without telling."""
    session = find.live_session(sessions, name)
    while session.owner() is not None:
        time.sleep(POLL_S)
    status = session.read().status
    if status.exit_code is None:
        raise OrderRefused(f"{session.name} is not live and has not ended", f"`tui-trainer resume {session.name}`")
    return status.exit_code


def _newest(session: Session, verdict: str) -> int:
    state = live_state(session.path)
    wanted = [r for r in state.recommendations if (r.verdict == "accepted" if verdict == "undo" else r.is_open)]
    if not wanted:
        raise OrderRefused("no accepted recommendation to undo" if verdict == "undo" else "no recommendation is open")
    return wanted[-1].id

"""Stories at the keys: the real app in a real terminal on a real engine."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import process as p
from tests.warm import WarmTerminal, shared
from tui_trainer.client.live import LiveSource
from tui_trainer.client.orders import live_state
from tui_trainer.client.source import Happened, Link, Snapshot
from tui_trainer.core.state import RunState, fold
from tui_trainer.sessions.journal import read_journal
from tui_trainer.sessions.store import Session

ENDLESS = ("run", *p.TINY, "--max-updates=100000000", "--step-delay=0.1", "--name=a")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def terminal(root: Path, *words: str) -> WarmTerminal:
    return shared().terminal(root, *words)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A sessions directory in which no engine survives the test."""
    yield tmp_path
    for path in tmp_path.iterdir():
        if (path / "session.toml").exists() and (owner := Session.open(path).owner()):
            os.kill(owner.pid, signal.SIGKILL)


def engine_pid(root: Path) -> int:
    owner = Session.open(root / "a").owner()
    assert owner is not None
    return owner.pid


def kinds(root: Path) -> list[str]:
    return [event["type"] for event in p.journal_so_far(root / "a")]


def test_start_checkpoint_pause_leave_and_come_back(root: Path) -> None:
    app = terminal(root, *ENDLESS)
    app.wait_for_any("starting", "running")
    app.wait_for(b"running")
    app.key(b"c")
    app.wait_for(b"manual")
    app.key(b"p")
    app.wait_for(b"paused")  # perhaps the answer, which comes before the fact
    p.wait_for(lambda: live_state(root / "a").status == "paused")
    app.key(b"q")
    app.wait_for(b"waits, paused")
    assert app.exit_code() == 0
    assert live_state(root / "a").status == "paused"

    again = terminal(root, "attach")
    again.wait_for(b"paused")
    again.key(b"p")
    again.wait_for(b"running")
    again.key(b"s")
    again.wait_for(b"end this run?")
    again.press_until(b"y", b"ended")
    again.key(b"q")
    assert again.exit_code() == 0
    assert p.journal(root / "a")[-1]["reason"]["name"] == "user"


@pytest.mark.parametrize("how", ["hang up", "kill -9"])
def test_a_lost_terminal_or_a_killed_view_does_not_hurt_training(root: Path, how: str) -> None:
    app = terminal(root, *ENDLESS)
    app.wait_for(b"running")
    if how == "hang up":
        app.hang_up()
        assert app.exit_code() is not None
    else:
        os.kill(app.pid, signal.SIGKILL)
        app.exit_code()
    before = live_state(root / "a").update
    p.wait_for(lambda: live_state(root / "a").update > before + 5)


def test_a_killed_engine_is_told_with_what_to_do(root: Path) -> None:
    app = terminal(root, *ENDLESS)
    app.wait_for(b"running")
    os.kill(engine_pid(root), signal.SIGKILL)
    app.wait_for(b"resume")
    app.close()


def test_every_view_has_the_state_that_the_journal_folds_to(root: Path) -> None:
    p.train(root, *ENDLESS[1:])

    async def watch() -> list[RunState]:
        return list(await asyncio.gather(follow(0.0), follow(0.3), follow(0.6)))

    async def follow(delay_s: float) -> RunState:
        """Fold what a source tells until update 60, checking that no event is lost or doubled."""
        await asyncio.sleep(delay_s)
        source, state = LiveSource(root / "a", starting=True), RunState()
        async for news in source.news():
            match news:
                case Snapshot(state=told):
                    state = told
                case Happened(events=happened):
                    for event in happened:
                        assert event.seq in (0, state.seq + 1)
                        state = state.apply(event)
                        if event.seq and state.update >= 60:
                            await source.close()
                            return state
                case Link(status="gone", text=text):
                    raise AssertionError(text)
                case _:
                    pass
        raise AssertionError("ended early")

    for state in asyncio.run(watch()):
        journaled = [event for event in read_journal(root / "a" / "events.jsonl").events if event.seq <= state.seq]
        assert state.durable() == fold(journaled).durable()


def test_readonly_gives_no_orders(root: Path) -> None:
    p.train(root, *ENDLESS[1:])
    p.wait_for(lambda: p.so_far(root / "a").count("UpdateFinished") > 2)
    app = terminal(root, "attach", "--readonly")
    app.wait_for(b"running")
    app.key(b"p")
    app.wait_for(b"read-only")
    assert live_state(root / "a").status == "running"
    assert "RunPaused" not in kinds(root)
    app.close()


def test_the_socket_is_made_again_and_attach_works(root: Path) -> None:
    p.train(root, *ENDLESS[1:])
    p.wait_for(lambda: p.so_far(root / "a").count("UpdateFinished") > 2)
    from tui_trainer.sessions.names import socket_path

    socket_path(root / "a").unlink()
    p.wait_for(lambda: socket_path(root / "a").exists())
    app = terminal(root, "attach", "a")
    app.wait_for(b"running")
    app.close()

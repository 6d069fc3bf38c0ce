"""A try in a real engine: two branches from one state, one adopted, all of it executed again to the same bits."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine import process as p
from tui_trainer.client.orders import live_state, new_id, order
from tui_trainer.core import commands
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.store import Session

OVERSHOOTING = (
    *p.TINY,
    "--set=ppo.learning_rate=0.02",
    "--set=ppo.n_epochs=4",
    "--set=manager.evaluation.every_updates=5",
    "--set=continuous.try_updates=7",
    "--step-delay=0.1",
    "--max-updates=70",
    "--name=a",
)
"""Its KL is so high that a smaller learning rate is recommended after three evaluations."""


def tried(root: Path, *words: str) -> Path:
    """A run under way with its first recommendation being tried."""
    p.train(root, *OVERSHOOTING, *words)
    session = root / "a"
    p.wait_for(lambda: "UpdateFinished" in p.so_far(session))
    order(session, commands.Pause(id=new_id(), when="update >= 20"))  # it waits for its answer
    (first, *_) = p.wait_for(lambda: live_state(session).open_recommendations)
    p.wait_for(lambda: live_state(session).status == "paused")
    assert order(session, commands.Answer(id=new_id(), recommendation=first.id, verdict="try")).startswith("tried")
    order(session, commands.Resume(id=new_id()))
    return session


def events_of(session: Path, kind: str) -> list[dict[str, Any]]:
    return [event for event in p.journal_so_far(session) if event["type"] == kind]


def until(session: Path, done: Callable[[], bool]) -> None:
    p.wait_for(lambda: done() or Session.open(session).owner() is None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    session = tried(tmp_path_factory.mktemp("sessions"))
    assert p.run(session.parent, "wait", "a").returncode == 0
    return session


def test_both_branches_are_trained_and_the_answer_follows_the_result(finished: Path) -> None:
    (ended,) = events_of(finished, "TryEnded")
    assert ended["won"] in ("with", "without")
    answers = [e for e in events_of(finished, "RecommendationAnswered") if e["id"] == ended["id"]]
    assert [e["verdict"] for e in answers] == ["accepted" if ended["won"] == "with" else "rejected"]
    (back, *_) = events_of(finished, "TryReturned")
    assert back["branch"] == "start"
    assert Session.open(finished).read().status.update == 70


def test_the_branch_that_was_left_is_kept_and_never_taken_up(finished: Path) -> None:
    store = CheckpointStore(finished)
    (other,) = [m for m in store.manifests() if m.kind == "try"]
    assert other.update == events_of(finished, "TryEnded")[0]["update"]
    assert store.newest_good().manifest.kind != "try"
    store.load(other)


def test_a_rerun_tries_again_and_reaches_the_same_bits(finished: Path) -> None:
    done = p.run(finished.parent, "rerun", "a", "--json", timeout=120)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, rows
    assert all(row["equal"] for row in rows)
    assert rows[-1]["update"] == 70


def test_a_stop_in_the_branch_with_the_change_saves_the_other(tmp_path: Path) -> None:
    session = tried(tmp_path, "--set=continuous.try_updates=40")  # long enough to be met in it
    until(session, lambda: bool(events_of(session, "TryReturned")))
    before = live_state(session)
    owner = Session.open(session).owner()
    assert owner
    os.kill(owner.pid, signal.SIGTERM)
    p.wait_for(lambda: Session.open(session).owner() is None)
    kept = events_of(session, "TryReturned")[0]["to_update"] + 40
    newest = CheckpointStore(session).newest_good().manifest
    assert before.trying is not None
    assert (newest.kind, newest.update) == ("final", kept)
    done = p.run(tmp_path, "resume", "a", "--no-ui")
    assert done.returncode == 0
    assert "was cut off" in (session / "events.jsonl").read_text()
    assert Session.open(session).read().status.update == 70


@pytest.mark.long
@pytest.mark.parametrize("branch", ["without", "with"])
def test_a_kill_in_either_branch_is_taken_up_and_damages_nothing(tmp_path: Path, branch: str) -> None:
    session = tried(tmp_path)
    until(session, lambda: bool(events_of(session, "TryReturned" if branch == "with" else "TryStarted")))
    owner = Session.open(session).owner()
    assert owner
    os.kill(owner.pid, signal.SIGKILL)
    p.wait_for(lambda: Session.open(session).owner() is None)
    done = p.run(tmp_path, "resume", "a", "--no-ui")
    assert done.returncode == 0, done.stderr
    assert Session.open(session).read().status.update == 70
    assert p.run(tmp_path, "sessions", "verify", "a").returncode == 0

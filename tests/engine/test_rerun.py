"""A session is what its seed and decisions lead to: executed again, every checkpoint has the same bits."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.engine import process as p
from tui_trainer.client.orders import live_state, new_id, order
from tui_trainer.core import commands
from tui_trainer.core.values import Difficulty
from tui_trainer.sessions.store import Session


@pytest.fixture(scope="module")
def steered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session with orders, a pause, a kill and a resume in it."""
    root = tmp_path_factory.mktemp("sessions")
    assert p.run(root, "run", "--detach", *p.TINY, "--step-delay=0.03", "--max-updates=80", "--name=a").returncode == 0
    session = root / "a"
    p.wait_for(lambda: (session / "events.jsonl").read_text().count("UpdateFinished") > 10)
    order(session, commands.SetSetting(id=new_id(), key="ppo.learning_rate", value=1e-3))
    order(session, commands.SetDifficulty(id=new_id(), difficulty=Difficulty(level=1)))
    order(session, commands.Pause(id=new_id()))
    order(session, commands.SetSetting(id=new_id(), key="ppo.ent_coef", value=0.02))
    order(session, commands.Resume(id=new_id()))
    before = live_state(session).update
    p.wait_for(lambda: live_state(session).update > before + 12)
    order(session, commands.SetSetting(id=new_id(), key="ppo.learning_rate", value=5e-4))
    owner = Session.open(session).owner()
    assert owner
    os.kill(owner.pid, signal.SIGKILL)
    p.wait_for(lambda: Session.open(session).owner() is None)
    assert p.run(root, "resume", "a", "--no-ui").returncode == 0
    return root


def rerun(root: Path) -> tuple[int, list[dict[str, object]]]:
    done = p.run(root, "rerun", "a", "--json", timeout=120)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_every_checkpoint_of_a_steered_session_is_bit_equal(steered: Path) -> None:
    code, rows = rerun(steered)
    compared = [row for row in rows if row["equal"] is not None]
    assert code == 0
    assert all(row["equal"] for row in compared)
    assert len(compared) >= 5
    assert compared[-1]["update"] == 80


def test_a_decision_that_was_tampered_with_is_found(steered: Path) -> None:
    path = steered / "a" / "events.jsonl"
    text = path.read_text()
    tampered = text.replace('"key":"ppo.learning_rate","value":0.001', '"key":"ppo.learning_rate","value":0.002')
    assert tampered != text
    path.write_text(tampered)
    code, rows = rerun(steered)
    path.write_text(text)
    assert code == 1
    assert rows[0]["equal"] is True
    assert False in [row["equal"] for row in rows]

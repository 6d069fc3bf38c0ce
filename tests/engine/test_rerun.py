"""A session is what its seed and decisions lead to: executed again, every checkpoint has the same bits."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.engine import process as p
from tui_trainer.client.orders import live_state, new_id, order
from tui_trainer.core import commands
from tui_trainer.core.values import Difficulty

DQN = (
    "--algorithm=dqn", "--set=dqn.num_envs=8", "--set=dqn.train_freq=64", "--set=dqn.learning_starts=200",
    "--set=dqn.batch_size=32", "--set=dqn.gradient_steps=2", "--set=dqn.buffer_size=2000", "--set=dqn.hidden=[32]",
    "--set=dqn.exploration_steps=4000",
)  # fmt: skip
SETTINGS = {
    "ppo": ("ppo.learning_rate", "ppo.ent_coef", 0.02, ("--set=manager.evaluation.most_episodes=10",)),
    "dqn": ("dqn.learning_rate", "manager.checkpoints.every_updates", 4, DQN),
}


@pytest.fixture(scope="module", params=SETTINGS)
def steered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of each algorithm with orders, a pause, a kill and a resume in it."""
    root = tmp_path_factory.mktemp(request.param)
    rate, other, value, more = SETTINGS[request.param]
    words = (*p.TINY, *more, "--step-delay=0.1", "--max-updates=80", "--name=a")
    run = p.train(root, *words)
    session = root / "a"
    p.wait_for(lambda: p.so_far(session).count("UpdateFinished") > 10)
    order(session, commands.SetSetting(id=new_id(), key=rate, value=1e-3))
    order(session, commands.SetDifficulty(id=new_id(), difficulty=Difficulty(level=1)))
    order(session, commands.Pause(id=new_id()))
    order(session, commands.SetSetting(id=new_id(), key=other, value=value))
    order(session, commands.Resume(id=new_id()))
    before = live_state(session).update
    p.wait_for(lambda: live_state(session).update > before + 12)
    order(session, commands.SetSetting(id=new_id(), key=rate, value=5e-4))
    run.stop(signal.SIGKILL)
    assert p.run(root, "resume", "a", "--no-ui", "--set=run.step_delay_s=0").returncode == 0
    return root


def rerun(root: Path, name: str = "a") -> tuple[int, list[dict[str, object]]]:
    done = p.run(root, "rerun", name, "--json", timeout=120)
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
    tampered = text.replace('.learning_rate","value":0.001', '.learning_rate","value":0.002')
    assert tampered != text
    path.write_text(tampered)
    code, rows = rerun(steered)
    path.write_text(text)
    assert code == 1
    assert rows[0]["equal"] is True
    assert False in [row["equal"] for row in rows]


def test_a_fork_is_executed_again_from_where_it_began(steered: Path) -> None:
    """Its own orders included; a parent that was steered has taken in orders before."""
    name = f"fork{len(p.names(steered))}"
    until = ("--set=manager.termination.max_updates=110", "--set=run.step_delay_s=0")
    words = ("--at=latest", "--no-ui", f"--name={name}", *until)
    more = ("--set=dqn.learning_rate=1e-4",) if b"dqn" in (steered / "a/session.toml").read_bytes() else ()
    assert p.run(steered, "fork", "a", *words, *more).returncode == 0
    assert p.run(steered, "resume", name, "--no-ui", "--max-updates=120").returncode == 0
    code, rows = rerun(steered, name)
    assert code == 0
    equal = [row["update"] for row in rows if row["equal"]]
    assert (equal[0], equal[-1]) == (80, 120), "80 is the checkpoint that it began from"
    assert all(row["equal"] for row in rows if row["equal"] is not None)


def test_accepted_undone_and_rejected_advice_is_repeated(tmp_path: Path) -> None:
    """Advice comes out of the evaluations, which a rerun plays again; the answers are orders."""
    words = (
        *p.TINY, "--set=ppo.num_envs=64", "--set=ppo.batch_size=512", "--set=manager.evaluation.every_updates=5",
        "--set=manager.evaluation.episodes=40", "--set=continuous.min_confidence=0", "--set=ppo.learning_rate=0.003",
        "--set=continuous.quiet_evaluations=0", "--set=continuous.expires_updates=20000", "--max-updates=100000",
        "--name=a",
    )  # fmt: skip
    run = p.start(tmp_path, "run", "--no-ui", "--json", *words)
    session = tmp_path / "a"
    first = p.until(run, lambda e: e["type"] == "RecommendationRaised")[-1]["id"]
    order(session, commands.Answer(id=new_id(), recommendation=first, verdict="accept"))
    p.until(run, lambda e: e["type"] in ("DifficultyChanged", "SettingChanged"))
    order(session, commands.Answer(id=new_id(), recommendation=first, verdict="undo"))
    p.until(run, lambda e: e["type"] in ("DifficultyChanged", "SettingChanged"))
    second = p.until(run, lambda e: e["type"] == "RecommendationRaised")[-1]["id"]
    order(session, commands.Answer(id=new_id(), recommendation=second, verdict="reject"))
    saved = p.until(run, lambda e: e["type"] == "CheckpointSaved")[-1]
    p.until(run, lambda e: e["type"] == "CheckpointSaved" and e["at_update"] > saved["at_update"])
    assert p.stop(run) == 143
    verdicts = [e["verdict"] for e in p.journal(session) if e["type"] == "RecommendationAnswered" and e["by"] == "user"]
    assert verdicts == ["accepted", "undone", "rejected"]
    code, rows = rerun(tmp_path)
    assert code == 0
    assert len([row for row in rows if row["equal"]]) >= 3
    text = (session / "events.jsonl").read_text()
    (session / "events.jsonl").write_text(text.replace('"verdict":"undo"', '"verdict":"reject"'))
    assert rerun(tmp_path)[0] == 1, "another answer leads to other bits"


def test_an_accepted_rollback_is_repeated(tmp_path: Path) -> None:
    """The learner goes back to the best checkpoint, by a person's order; what follows it has the same bits."""
    words = (*p.TINY, "--task=tests.engine.weary:make", "--set=manager.evaluation.every_updates=2", "--step-delay=0.06")
    assert p.run(tmp_path, "run", "--detach", *words, "--max-updates=110", "--name=a").returncode == 0
    session = tmp_path / "a"
    p.wait_for(lambda: "UpdateFinished" in p.so_far(session))
    order(session, commands.Pause(id=new_id(), when="update >= 80"))
    p.wait_for(lambda: live_state(session).status == "paused")
    advice = next(r for r in live_state(session).open_recommendations if r.raised.rule == "rollback")
    order(session, commands.Answer(id=new_id(), recommendation=advice.id, verdict="accept"))
    order(session, commands.Resume(id=new_id()))
    assert p.run(tmp_path, "wait", "a").returncode == 0
    told = [event["text"] for event in p.journal(session) if event["type"] == "LogWritten"]
    assert told.count("the learner is back at the best checkpoint") == 1
    scores = [(e["update"], e["result"]["value"]) for e in p.journal(session) if e["type"] == "EvaluationFinished"]
    assert [value > 0.5 for update, value in scores if update in (50, 78, 80)] == [False, False, True]
    code, rows = rerun(tmp_path)
    assert code == 0
    assert max(row["update"] for row in rows if row["equal"]) == 110
    assert all(row["equal"] for row in rows)

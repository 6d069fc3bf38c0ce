"""The real program, in processes of its own: resume, kills, signals, orders, views."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.engine import process as p
from tui_trainer.client.orders import live_state
from tui_trainer.errors import OrderRefused
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.store import Session

FINISHED = "UpdateFinished"


def hashes(session: Path) -> dict[int, str]:
    """state_sha256 of every checkpoint by update."""
    return {manifest.update: manifest.state_sha256 for manifest in CheckpointStore(session).manifests()}


def assert_same_bits(a: Path, b: Path, *, end: int) -> None:
    """Every checkpoint that both have is equal, the last one included; a busy disk may have coalesced others."""
    first, second = hashes(a), hashes(b)
    common = first.keys() & second.keys()
    assert end in common
    assert len(common) >= 2
    assert {update: first[update] for update in common} == {update: second[update] for update in common}


def test_json_prints_the_journal_and_nothing_else(tmp_path: Path) -> None:
    done = p.run(tmp_path, "run", "--no-ui", "--json", *p.TINY, "--max-updates=12", "--name=a")
    assert done.returncode == 0
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    journaled = [event for event in printed if event["seq"]]
    assert journaled == p.journal(tmp_path / "a")
    assert [event["seq"] for event in journaled] == list(range(1, len(journaled) + 1))
    assert journaled[-1]["type"] == "RunEnded"


def test_the_same_seed_gives_the_same_bits_in_two_processes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert p.run_cold(tmp_path, "run", "--no-ui", *p.TINY, "--max-updates=12", f"--name={name}").returncode == 0
    assert_same_bits(tmp_path / "a", tmp_path / "b", end=12)


def test_resume_in_a_new_process_continues_bit_exactly(tmp_path: Path) -> None:
    assert p.run_cold(tmp_path, "run", "--no-ui", *p.TINY, "--max-updates=20", "--name=whole").returncode == 0
    assert p.run_cold(tmp_path, "run", "--no-ui", *p.TINY, "--max-updates=7", "--name=split").returncode == 0
    assert p.run_cold(tmp_path, "resume", "split", "--no-ui", "--max-updates=13").returncode == 0
    assert p.run_cold(tmp_path, "resume", "split", "--no-ui", "--max-updates=20").returncode == 0
    assert_same_bits(tmp_path / "whole", tmp_path / "split", end=20)
    seqs = [event["seq"] for event in p.journal(tmp_path / "split")]
    assert seqs == list(range(1, len(seqs) + 1))
    updates = [event["update"] for event in p.journal(tmp_path / "split") if event["type"] == FINISHED]
    assert updates == list(range(1, 21))


def test_a_limit_that_was_not_raised_is_named(tmp_path: Path) -> None:
    p.run(tmp_path, "run", "--no-ui", *p.TINY, "--max-updates=5", "--name=a")
    refused = p.run(tmp_path, "resume", "a", "--no-ui")
    assert refused.returncode == 2
    assert "max_updates = 5" in refused.stderr


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.2])
def test_kill_at_any_moment_leaves_a_session_that_resumes(tmp_path: Path, delay_s: float) -> None:
    process = p.start(tmp_path, "run", "--no-ui", "--json", *p.TINY, "--max-updates=100000", "--name=a")
    acknowledged = p.until(process, lambda e: e["type"] == "CheckpointSaved")[-1]
    time.sleep(delay_s)
    process.kill()
    assert Session.open(tmp_path / "a").owner() is None
    listed = json.loads(p.run(tmp_path, "sessions", "list", "--json").stdout)
    assert listed["state"] == "crashed"
    resumed = p.start(tmp_path, "resume", "a", "--no-ui", "--json")
    event = p.until(resumed, lambda e: e["type"] == "RunResumed")[-1]
    assert event["from_update"] >= acknowledged["at_update"]
    assert p.stop(resumed) == 143


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_ends_with_its_code(tmp_path: Path, number: int, code: int) -> None:
    process = p.start(tmp_path, "run", "--no-ui", "--json", *p.TINY, "--max-updates=100000", "--name=a")
    p.until(process, lambda e: e["type"] == FINISHED and e["update"] > 3)
    began = time.monotonic()
    assert p.stop(process, number) == code
    assert time.monotonic() - began < 30
    last = p.journal(tmp_path / "a")[-1]
    assert last["type"] == "RunEnded"
    newest = CheckpointStore(tmp_path / "a").newest_good()
    assert newest.manifest.update == last["update"]
    assert Session.open(tmp_path / "a").read().status.state == "interrupted"


def test_requeue_asks_the_scheduler_to_run_it_again(tmp_path: Path) -> None:
    words = [*p.TINY, "--set=run.on_term=requeue", "--max-updates=100000", "--name=a"]
    process = p.start(tmp_path, "run", "--no-ui", "--json", *words)
    p.until(process, lambda e: e["type"] == FINISHED)
    assert p.stop(process) == 75


def test_the_second_signal_stops_at_once_and_leaves_the_newest_checkpoint_intact(tmp_path: Path) -> None:
    words = [*p.TINY, "--step-delay=1", "--max-updates=100000", "--name=a"]
    process = p.start(tmp_path, "run", "--no-ui", "--json", *words)
    p.until(process, lambda e: e["type"] == "RunStarted")
    process.send(signal.SIGINT)
    process.send(signal.SIGINT)
    assert process.wait(30) == 130
    assert Session.open(tmp_path / "a").owner() is None


def test_usr1_saves_and_usr2_pauses_and_continues(tmp_path: Path) -> None:
    process = p.start(tmp_path, "run", "--no-ui", "--json", *p.TINY, "--max-updates=100000", "--name=a")
    p.until(process, lambda e: e["type"] == FINISHED)
    process.send(signal.SIGUSR1)
    p.until(process, lambda e: e["type"] == "CheckpointSaved" and e["kind"] == "manual")
    process.send(signal.SIGUSR2)
    p.until(process, lambda e: e["type"] == "RunPaused")
    process.send(signal.SIGUSR2)
    p.until(process, lambda e: e["type"] == "RunContinued")
    assert p.stop(process) == 143


def test_hangup_means_only_that_a_view_is_gone(tmp_path: Path) -> None:
    process = p.start(tmp_path, "run", "--no-ui", "--json", *p.TINY, "--max-updates=100000", "--name=a")
    p.until(process, lambda e: e["type"] == FINISHED)
    process.send(signal.SIGHUP)
    p.until(process, lambda e: e["type"] == FINISHED and e["update"] > 30)
    assert p.stop(process) == 143


def test_a_closed_stdout_does_not_stop_training(tmp_path: Path) -> None:
    process = p.start(tmp_path, "run", "--no-ui", *p.TINY, "--max-updates=40", "--name=a")
    assert process.stdout
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0
    assert p.journal(tmp_path / "a")[-1]["type"] == "RunEnded"


def test_commands_steer_a_detached_run_and_say_why_not(tmp_path: Path) -> None:
    words = [*p.TINY, "--max-updates=1000000", "--name=a"]
    started = p.run(tmp_path, "run", "--detach", *words)
    assert (started.returncode, started.stdout) == (0, "a\n")
    p.wait_for(lambda: "RunStarted" in p.so_far(tmp_path / "a"))
    assert p.run(tmp_path, "pause").returncode == 0
    again = p.run(tmp_path, "pause", "a")
    assert (again.returncode, "paused" in again.stderr) == (6, True)
    assert p.run(tmp_path, "checkpoint", "a").returncode == 0
    assert p.run(tmp_path, "set", "a", "ppo.learning_rate=1e-4").returncode == 0
    nearest = p.run(tmp_path, "set", "a", "ppo.learning_rat=1e-4")
    assert nearest.returncode == 6
    assert "ppo.learning_rate" in nearest.stderr
    assert p.run(tmp_path, "run-for", "a", "3").returncode == 0
    p.wait_for(
        lambda: json.loads(p.run(tmp_path, "sessions", "show", "a", "--json").stdout)["live"]["status"] == "paused"
    )
    in_use = p.run(tmp_path, "resume", "a", "--no-ui")
    assert in_use.returncode == 0
    running = p.run(tmp_path, "resume", "a", "--no-ui")
    assert running.returncode == 3
    assert "pid" in running.stderr
    assert p.run(tmp_path, "stop", "a").returncode == 0
    assert p.run(tmp_path, "wait", "a").returncode == 0
    assert p.run(tmp_path, "pause", "a").returncode == 6
    changed = [e for e in p.journal(tmp_path / "a") if e["type"] == "SettingChanged"]
    assert [(e["key"], e["new"]) for e in changed] == [("ppo.learning_rate", 1e-4)]


def test_an_attached_view_changes_no_bit(tmp_path: Path) -> None:
    """Views on a socket only listen: the final state is the same with two of them as with none."""
    words = [*p.TINY, "--max-updates=60"]
    assert p.run(tmp_path, "run", "--no-ui", *words, "--name=alone").returncode == 0
    process = p.start(tmp_path, "run", "--no-ui", "--json", *words, "--name=watched", "--step-delay=0.05")
    p.until(process, lambda e: e["type"] == "RunStarted")
    process.send(signal.SIGUSR2)  # it waits until it has been looked at
    p.until(process, lambda e: e["type"] == "RunPaused")
    for _ in range(2):
        assert live_state(tmp_path / "watched").status == "paused"
    process.send(signal.SIGUSR2)
    with contextlib.suppress(OrderRefused):  # that may come too late
        for _ in range(3):
            live_state(tmp_path / "watched")
    list(process.events())
    assert process.wait(60) == 0
    assert_same_bits(tmp_path / "alone", tmp_path / "watched", end=60)


def test_files_and_directories_are_private_whatever_the_umask(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", 'umask 0; exec "$@"', "sh", *p.command("run", "--no-ui", *p.TINY, "--max-updates=6", "--name=a")],
        env=p.environment(tmp_path), capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0
    for directory, _, files in os.walk(tmp_path / "a"):
        assert Path(directory).stat().st_mode & 0o077 == 0, directory
        for name in files:
            assert (Path(directory) / name).stat().st_mode & 0o077 == 0, name


def test_a_task_that_prints_to_the_terminal_reaches_only_the_log(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(
        "import os\nfrom tui_trainer.tasks.tictactoe import make as quiet\n"
        "def make(options, num_envs, limit):\n"
        "    os.write(1, b'NOISE\\n')\n    return quiet(options, num_envs, limit)\n"
    )
    words = ["run", "--no-ui", "--json", *p.TINY, "--task=noisy:make", "--max-updates=3", "--name=a"]
    done = p.run(tmp_path, *words, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "NOISE" not in done.stdout
    assert "NOISE" in (tmp_path / "a" / "engine.log").read_text()


def test_a_session_killed_before_its_first_checkpoint_starts_again(tmp_path: Path) -> None:
    words = [*p.TINY, *(f"--set=manager.{each}.every_updates=100000" for each in ("checkpoints", "evaluation"))]
    process = p.start(tmp_path, "run", "--no-ui", "--json", *words, "--max-updates=100000", "--name=a")
    p.until(process, lambda e: e["type"] == FINISHED)
    process.kill()
    assert p.run(tmp_path, "resume", "a", "--no-ui", "--max-updates=6").returncode == 0
    assert p.run(tmp_path, "run", "--no-ui", *words, "--max-updates=6", "--name=b").returncode == 0
    assert hashes(tmp_path / "a")[6] == hashes(tmp_path / "b")[6]


def test_a_setting_given_at_resume_reaches_the_learner_as_an_order(tmp_path: Path) -> None:
    assert p.run(tmp_path, "run", "--no-ui", *p.TINY, "--max-updates=6", "--name=a").returncode == 0
    words = ["--set=ppo.learning_rate=1e-5", "--max-updates=12", "--callback=tests.engine.hooks:Beginnings"]
    assert p.run(tmp_path, "resume", "a", "--no-ui", *words).returncode == 0
    journal = p.journal(tmp_path / "a")
    begun = [e["metrics"]["task/begun_at"] for e in journal if "task/begun_at" in e.get("metrics", {})]
    assert begun == [6.0], "the callback of a resume hears from where it goes on"
    assert [(e["key"], e["new"]) for e in journal if e["type"] == "SettingChanged"] == [("ppo.learning_rate", 1e-5)]
    assert p.run(tmp_path, "rerun", "a").returncode == 0


def test_what_a_resume_was_told_is_remembered_by_the_next(tmp_path: Path) -> None:
    """A limit that was raised and a setting that was changed stay so, in a session that a kill interrupted as well."""
    never = "--set=manager.evaluation.every_updates=100000"
    assert p.run(tmp_path, "run", "--no-ui", *p.TINY, never, "--max-updates=6", "--name=a").returncode == 0
    words = ["--max-updates=100000", "--set=ppo.learning_rate=1e-5", "--set=manager.checkpoints.every_updates=100000"]
    process = p.start(tmp_path, "resume", "a", "--no-ui", "--json", *words)
    p.until(process, lambda e: e["type"] == FINISHED and e["update"] > 20)
    process.kill()
    again = p.start(tmp_path, "resume", "a", "--no-ui", "--json")
    told = p.until(again, lambda e: e["type"] == FINISHED and e["update"] > 20)
    assert p.stop(again) == 143
    assert [(e["key"], e["new"]) for e in told if e["type"] == "SettingChanged"] == [("ppo.learning_rate", 1e-5)]
    (resumed,) = [e for e in told if e["type"] == "RunResumed"]
    assert (resumed["from_update"], resumed["limits"]) == (6, {"max_updates": 100000.0})
    shown = [json.loads(line) for line in p.run(tmp_path, "config", "show", "a", "--json").stdout.splitlines()]
    rows = {row["key"]: row for row in shown}
    assert (rows["manager.termination.max_updates"]["value"], rows["ppo.learning_rate"]["value"]) == (100000, 1e-5)
    assert rows["ppo.learning_rate"]["origin"] == "resume"
    third = p.start(tmp_path, "resume", "a", "--no-ui", "--json")
    told = p.until(third, lambda e: e["type"] == FINISHED)
    assert not [e for e in told if e["type"] == "SettingChanged"], "the checkpoint already holds it"
    assert p.stop(third) == 143
    assert p.run(tmp_path, "rerun", "a").returncode == 0


def test_a_limit_that_a_resume_raised_and_reached_is_named(tmp_path: Path) -> None:
    p.run(tmp_path, "run", "--no-ui", *p.TINY, "--max-updates=5", "--name=a")
    assert p.run(tmp_path, "resume", "a", "--no-ui", "--max-updates=8").returncode == 0
    refused = p.run(tmp_path, "resume", "a", "--no-ui")
    assert (refused.returncode, "max_updates = 8" in refused.stderr) == (2, True)


def test_a_fork_goes_on_exactly_where_its_parent_stood(tmp_path: Path) -> None:
    assert p.run(tmp_path, "run", "--no-ui", *p.TINY, "--max-updates=10", "--name=parent").returncode == 0
    done = p.run(tmp_path, "fork", "parent", "--no-ui", "--name=child", "--set=manager.termination.max_updates=15")
    assert done.returncode == 0, done.stderr
    assert p.run(tmp_path, "resume", "parent", "--no-ui", "--max-updates=15").returncode == 0
    assert hashes(tmp_path / "child")[15] == hashes(tmp_path / "parent")[15]
    assert Session.open(tmp_path / "child").read().lineage["parent"] == "parent"
    state = next(iter((tmp_path / "parent" / "checkpoints").iterdir())) / "state.pt"
    from_file = p.run(
        tmp_path, "fork", str(state), "--no-ui", "--name=bare", "--set=manager.termination.max_updates=12"
    )
    assert from_file.returncode == 0, from_file.stderr
    other = p.run(tmp_path, "fork", "parent", "--no-ui", "--set=run.algorithm=dqn")
    assert other.returncode == 2

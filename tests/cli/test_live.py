"""Commands to runs that are going on: real engines, one for most tests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine import process as p

SLOW = (
    *p.TINY, "--step-delay=0.02", "--set=manager.checkpoints.every_updates=0", "--max-updates=0",
    "--set=continuous.enabled=false",  # advice would come on a machine so busy that a test takes long
)  # fmt: skip


def status(root: Path, name: str) -> str:
    return str(json.loads(p.run(root, "sessions", "show", name, "--json").stdout)["status"]["state"])


def start(root: Path, name: str, *more: str) -> None:
    done = p.run(root, "run", "--detach", *SLOW, f"--name={name}", *more)
    assert (done.returncode, done.stdout) == (0, f"{name}\n"), done.stderr
    p.wait_for(lambda: status(root, name) == "running")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with one live run, `one`."""
    directory = tmp_path_factory.mktemp("live")
    start(directory, "one")
    yield directory
    for name in p.names(directory):
        p.run(directory, "stop", name)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A directory with one run that ended by its limit, `a`, and what it printed with --json."""
    directory = tmp_path_factory.mktemp("finished")
    done = p.run(directory, "run", "--json", *p.TINY, "--max-updates=12", "--name=a")
    assert (done.returncode, done.stderr) == (0, "")
    return directory, done.stdout


@pytest.fixture
def ended(finished: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    shutil.copytree(finished[0] / "a", tmp_path / "a")
    return tmp_path


def refused(root: Path, *words: str, code: int) -> str:
    """The command's one line on stderr."""
    done = p.run(root, *words)
    assert (done.returncode, done.stdout) == (code, ""), done
    assert done.stderr.startswith("tui-trainer: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def applied(root: Path, *words: str) -> str:
    done = p.run(root, *words)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def test_orders_go_to_the_only_live_run_and_print_what_was_applied(root: Path) -> None:
    assert applied(root, "pause")
    p.wait_for(lambda: status(root, "one") == "paused")
    assert applied(root, "resume")
    p.wait_for(lambda: status(root, "one") == "running")
    assert "saved" in applied(root, "checkpoint", "one")


def test_a_live_setting_is_changed_and_others_are_refused(root: Path) -> None:
    assert "ppo.learning_rate" in applied(root, "set", "one", "ppo.learning_rate=0.0005")
    refused(root, "set", "one", "ppo.num_envs=5", code=6)
    refused(root, "set", "one", "ppo.learning_rate=-1", code=6)
    assert "not a number" in refused(root, "set", "one", "ppo.learning_rate=x", code=2)
    assert "difficulty.level" in refused(root, "set", "one", "difficulty.width=1", code=2)


def test_difficulty_is_moved_by_hand(root: Path) -> None:
    assert applied(root, "set", "one", "difficulty.level=1")
    p.wait_for(lambda: "DifficultyChanged" in p.so_far(root / "one"))
    events = p.journal_so_far(root / "one")
    assert [e["new"]["level"] for e in events if e["type"] == "DifficultyChanged"] == [1]
    refused(root, "set", "one", "difficulty.level=99", code=6)


def test_there_is_nothing_to_answer(root: Path) -> None:
    assert "no recommendation is open" in refused(root, "accept", code=6)
    assert "undo" in refused(root, "undo", code=6)
    refused(root, "reject", "--id", "999", code=6)


def test_run_for_pauses_after_so_many_updates(root: Path) -> None:
    assert applied(root, "run-for", "one", "3")
    p.wait_for(lambda: status(root, "one") == "paused")
    paused = [event for event in p.journal_so_far(root / "one") if event["type"] == "RunPaused"]
    assert paused
    applied(root, "resume")
    p.wait_for(lambda: status(root, "one") == "running")


def test_a_live_run_is_neither_deleted_nor_resumed_twice(root: Path) -> None:
    owner = json.loads(applied(root, "sessions", "show", "one", "--json"))["pid"]
    assert str(owner) in refused(root, "sessions", "rm", "one", "--yes", code=3)
    assert str(owner) in refused(root, "resume", "one", "--no-ui", code=3)
    assert (root / "one/session.toml").exists()


def test_the_list_shows_the_live_run_with_its_pid(root: Path) -> None:
    row = json.loads(applied(root, "sessions", "list", "--json").splitlines()[0])
    assert (row["name"], row["state"]) == ("one", "running")
    shown = json.loads(applied(root, "sessions", "show", "one", "--json"))
    assert shown["pid"] == row["pid"]
    assert shown["live"]["update"] > 0
    assert "attach one" in applied(root, "sessions", "list")


@pytest.mark.parametrize("order", ["pause", "resume", "checkpoint", "stop", "accept", "reject", "undo", "wait"])
def test_of_several_live_runs_one_must_be_named(root: Path, order: str) -> None:
    if "two" not in p.names(root):
        start(root, "two")
    assert "several runs are live: " in refused(root, order, code=6)
    assert status(root, "one") == status(root, "two") == "running"


def test_wait_returns_with_the_exit_code_of_the_run(tmp_path: Path) -> None:
    start(tmp_path, "short", "--max-updates=30")
    done = p.run(tmp_path, "wait", "short")
    assert done.returncode == 0
    assert status(tmp_path, "short") == "ended"


def test_a_run_that_reached_its_limit_is_resumed_only_past_it(ended: Path) -> None:
    line = refused(ended, "resume", "a", "--no-ui", code=2)
    assert "max_updates = 12" in line
    assert "--set manager.termination.max_updates=24" in line
    assert p.run(ended, "resume", "a", "--no-ui", "--max-updates=14").returncode == 0
    assert p.journal(ended / "a")[-1]["update"] == 14


def test_detached_with_json_prints_name_and_path(tmp_path: Path) -> None:
    done = p.run(tmp_path, "run", "--detach", "--json", *SLOW, "--max-updates=2")
    facts = json.loads(done.stdout)
    assert facts == {"name": "tictactoe-ppo-1", "path": str(tmp_path / "tictactoe-ppo-1")}
    assert p.run(tmp_path, "wait", facts["name"]).returncode == 0


def test_one_session_a_seed(tmp_path: Path) -> None:
    done = p.run(tmp_path, "run", "--seeds", "3-4", "--name=many", *p.TINY, "--max-updates=2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["many-s3", "many-s4"] == list(p.names(tmp_path))
    starts = [p.journal(tmp_path / name)[0] for name in p.names(tmp_path)]
    assert [event["seed"] for event in starts] == [3, 4]


def test_json_of_a_run_and_of_its_replay_are_the_same_lines(finished: tuple[Path, str]) -> None:
    root, printed = finished
    stored = [line for line in printed.splitlines() if json.loads(line)["seq"]]
    assert stored == applied(root, "replay", "a", "--json").splitlines()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda text: text + '{"type": "Upda', "1 damaged lines"),
        (lambda text: text.replace('"type":"RunStarted"', '"type":"Nonsense"', 1), "1 damaged lines"),
    ],
)
def test_a_damaged_journal_is_replayed_and_the_damage_said(ended: Path, harm: Callable[[str], str], said: str) -> None:
    file = ended / "a/events.jsonl"
    file.write_text(harm(file.read_text()))
    done = p.run(ended, "replay", "a", "--json")
    assert done.returncode == 0
    assert said in done.stderr
    rows: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows[-1]["type"] == "RunEnded"


def test_a_failing_run_says_why_on_stderr_and_stdout_stays_json(tmp_path: Path) -> None:
    done = p.run(tmp_path, "run", "--json", "debug", "--device=cuda:99")
    assert done.returncode == 2
    assert "cuda:99" in done.stderr
    assert done.stderr.count("\n") == 1
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()][-1] == "RunEnded"


def test_eval_prints_a_table_or_one_object_and_keeps_its_expectation(finished: tuple[Path, str]) -> None:
    root, _ = finished
    found = json.loads(applied(root, "eval", "a", "--episodes", "8", "--json"))
    assert found["metric"] == "win_rate"
    assert set(found["by"]) == {"random", "1-ply", "minimax-9"}
    assert {"ci", "mean", "std", "min", "max", "episodes", "baselines", "bound"} <= set(found)
    assert "random" in applied(root, "eval", "a", "--episodes", "8", "--checkpoint", "latest")
    assert applied(root, "eval", "a", "--episodes", "8", "--expect", "win_rate >= 0")
    done = p.run(root, "eval", "a", "--episodes", "8", "--expect", "win_rate > 1")
    assert (done.returncode, done.stderr) == (1, "tui-trainer: expected win_rate > 1\n")
    refused(root, "eval", "a", "--checkpoint", "999", code=2)
    refused(root, "eval", "a", "--expect", "nothing > 1", "--episodes", "8", code=2)


def test_a_worker_that_hangs_in_a_live_run_is_named_and_the_run_goes_on(root: Path, tmp_path: Path) -> None:
    """Two workers of two environments each; one hangs once, and costs its own two episodes and no more."""
    pytest.importorskip("gymnasium")
    done = p.run(
        root, "run", "--json", "--name", "hung", "--seed", "1", "--max-updates", "3",
        *(word for word in p.TINY if not word.startswith(("--task", "--set=ppo.num_envs"))),
        "--task=gym:tests.tasks.toy_faults:HangsOnce-v0", f"--set=task.kwargs.mark={tmp_path / 'mark'}",
        "--set=ppo.num_envs=4", "--set=ppo.n_steps=16", "--set=task.processes=2", "--set=task.step_timeout_s=10",
        timeout=170,
    )  # fmt: skip
    assert (done.returncode, (tmp_path / "mark").exists()) == (0, True), done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    failed = [event for event in events if event["type"] == "EpisodeFailed"]
    assert {event["why"].partition(" did not")[0].partition("-v0: ")[2] for event in failed} <= WORKERS
    assert "did not answer within 10 s" in failed[0]["why"]
    assert (events[-1]["type"], events[-1]["update"]) == ("RunEnded", 3)
    assert "did not answer within 10 s" in applied(root, "replay", "hung", "--no-ui")


WORKERS = {"worker 0 (environments 0 to 1)", "worker 1 (environments 2 to 3)"}

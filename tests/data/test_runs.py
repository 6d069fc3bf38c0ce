"""A run on a person's data examines it first and records what it found; the real program."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.engine import process as p
from tests.tasks.test_trading import write_csv
from tests.warm import Done
from tui_trainer.sessions.files import sealed
from tui_trainer.tasks.market.generator import generate

SMALL = (
    "--max-updates=1", "--set=ppo.num_envs=4", "--set=ppo.n_steps=16", "--set=ppo.batch_size=64",
    "--set=manager.evaluation.final_episodes=0",
)  # fmt: skip


def run(root: Path, *words: str) -> Done:
    return p.run(root / "s", *words)


def events(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    folder = tmp_path / "bars"
    (folder / "metals").mkdir(parents=True)
    for number, (series, _) in enumerate(generate(0, 2, 4096)):
        write_csv(folder / "metals" / f"{number}.csv", series)
    (folder / "broken.csv").write_text("a,b\n")
    return folder


def test_the_report_is_the_event_after_the_start_and_stands_in_the_session(tmp_path: Path, bars: Path) -> None:
    done = run(tmp_path, "run", "trading", "--no-ui", "--json", "--name=d", f"--set=task.data={bars}", *SMALL)
    assert done.returncode == 0, done.stderr
    told = [event for event in events(done) if event["seq"]]
    assert [event["type"] for event in told[:2]] == ["RunStarted", "DataExamined"]
    report = told[1]["report"]
    assert (report["files"], report["used"], report["categories"]) == (3, 2, {"metals": 2})
    assert report["rejects"] == {"broken": 1}
    kept = tomllib.loads((tmp_path / "s" / "d" / "session.toml").read_text())["summary"]["data"]
    assert kept["digest"] == report["digest"]
    again = run(tmp_path, "resume", "d", "--no-ui", "--json", "--max-updates=2")
    assert again.returncode == 0, again.stderr
    assert "DataExamined" not in [event["type"] for event in events(again)]
    assert run(tmp_path, "replay", "d", "--no-ui", "--speed=max").stdout.count("2 of 3 files of") >= 1


def test_an_evaluation_plays_the_split_of_the_session_and_says_where_it_cannot(tmp_path: Path, bars: Path) -> None:
    """A session from before there was a final share; then a file comes into its folder."""
    words = (f"--set=task.data={bars}", "--set=task.final_share=0", *SMALL)
    assert run(tmp_path, "run", "trading", "--no-ui", "--name=d", *words).returncode == 0
    known = judged(tmp_path, "same")
    session = tmp_path / "s" / "d" / "session.toml"
    text, old = session.read_bytes(), b'final_share = "0"\n'
    assert old in text
    session.write_bytes(sealed(text[: text.rindex(b"# sha256")].replace(old, b"")))
    assert judged(tmp_path, "same") == known
    write_csv(bars / "metals" / "9.csv", generate(7, 1, 4096)[0][0])
    assert judged(tmp_path, "another") != known


def judged(root: Path, split: str) -> dict[str, Any]:
    """The results of an evaluation that says that the split was the session's, or `another`."""
    done = run(root, "eval", "d", "--json", "--episodes=8")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found.pop("same_split") == (split == "same")
    assert done.stderr.count("not those that the session was trained on") == (split != "same")
    return found


def test_data_that_cannot_be_used_ends_the_command_before_a_session_is_made(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n")
    done = run(tmp_path, "run", "trading", "--no-ui", f"--set=task.data={tmp_path / 'a.csv'}", *SMALL)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "lacks the column ts" in done.stderr
    assert not (tmp_path / "s").exists()

"""A replay buffer under the real program: exact over resumes and kills, saved once, pruned with its checkpoints."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from tests.engine import process as p
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.verify import verify

WORDS = (
    *(word for word in p.TINY if not word.startswith("--set=ppo.")),
    "--algorithm=dqn", "--set=dqn.buffer_size=1500", "--set=dqn.hidden=[16]", "--set=dqn.batch_size=32",
    "--set=dqn.learning_starts=100", "--set=dqn.gradient_steps=2", "--set=dqn.n_steps=3", "--set=dqn.dueling=true",
    "--set=dqn.prioritized_replay=true",
)  # fmt: skip


def hashes(session: Path) -> dict[int, str]:
    return {manifest.update: manifest.state_sha256 for manifest in CheckpointStore(session).manifests()}


def unneeded(session: Path) -> set[str]:
    """Files of the buffer that no checkpoint names."""
    named = {name for manifest in CheckpointStore(session).manifests() for name in manifest.buffer}
    return set(os.listdir(session / "buffer")) - named


def test_a_resumed_dqn_run_has_the_bits_of_an_uninterrupted_one_and_a_rerun_agrees(tmp_path: Path) -> None:
    assert p.run(tmp_path, "run", "--no-ui", *WORDS, "--max-updates=40", "--name=whole").returncode == 0
    assert p.run(tmp_path, "run", "--no-ui", *WORDS, "--max-updates=23", "--name=split").returncode == 0
    assert p.run(tmp_path, "resume", "split", "--no-ui", "--max-updates=40").returncode == 0
    whole, split = hashes(tmp_path / "whole"), hashes(tmp_path / "split")
    common = whole.keys() & split.keys()
    assert {40} < common
    assert {update: whole[update] for update in common} == {update: split[update] for update in common}
    again = p.run(tmp_path, "rerun", "split", timeout=90)
    assert again.returncode == 0, again.stdout + again.stderr
    assert verify(tmp_path / "split").ok


def test_the_buffer_holds_only_what_checkpoints_name(tmp_path: Path) -> None:
    words = [*WORDS, "--set=manager.checkpoints.keep_last=2", "--max-updates=60", "--name=a"]
    assert p.run(tmp_path, "run", "--no-ui", *words).returncode == 0
    assert unneeded(tmp_path / "a") == set()
    assert len(os.listdir(tmp_path / "a" / "buffer")) < 60 * 80 // 94


@pytest.mark.parametrize("delay_s", [0.0, 0.1])
def test_a_dqn_run_that_was_killed_resumes_with_its_buffer(tmp_path: Path, delay_s: float) -> None:
    process = p.start(tmp_path, "run", "--no-ui", "--json", *WORDS, "--max-updates=100000", "--name=a")
    p.until(process, lambda e: e["type"] == "CheckpointSaved" and e["at_update"] > 20)
    time.sleep(delay_s)
    process.kill()
    manifest = CheckpointStore(tmp_path / "a").newest_good().manifest
    assert manifest.buffer
    resumed = p.start(tmp_path, "resume", "a", "--no-ui", "--json")
    event = p.until(resumed, lambda e: e["type"] == "RunResumed")[-1]
    assert (event["from_update"], event["exact"]) == (manifest.update, True)
    assert p.stop(resumed) == 143


def test_a_fork_of_a_file_in_its_session_takes_the_buffer_and_one_of_a_bare_file_fills_it_anew(tmp_path: Path) -> None:
    assert p.run(tmp_path, "run", "--no-ui", *WORDS, "--max-updates=12", "--name=a").returncode == 0
    newest = CheckpointStore(tmp_path / "a").newest_good()
    beside = tmp_path / "a" / newest.manifest.path / "state.pt"
    bare = shutil.copy(beside, tmp_path / "bare.pt")
    until = ["--no-ui", "--json", "--set", "manager.termination.max_updates=16"]
    whole = p.run(tmp_path, "fork", str(beside), "--name=b", *until)
    assert (whole.returncode, "buffer" in whole.stderr) == (0, False)
    empty = p.run(tmp_path, "fork", str(bare), "--name=c", *until, "--set=dqn.learning_starts=150")
    assert empty.returncode == 0
    assert "its replay buffer (" in empty.stderr
    assert "learns again after 150 steps" in empty.stderr
    assert [learned(whole), learned(empty)] == [[True] * 4, [False, True, True, True]]
    again = p.run(tmp_path, "resume", "c", "--no-ui", "--json", "--max-updates=18")
    assert (again.returncode, learned(again)) == (0, [True, True])
    assert verify(tmp_path / "c").ok


def learned(done: p.Done) -> list[bool]:
    """Of each update, whether there was a gradient step in it."""
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return ["train/loss" in event["metrics"] for event in events if event["type"] == "UpdateFinished"]


def test_a_fork_takes_the_buffer_along(tmp_path: Path) -> None:
    assert p.run(tmp_path, "run", "--no-ui", *WORDS, "--max-updates=25", "--name=a").returncode == 0
    words = ["--name", "b", "--no-ui", "--set", "manager.termination.max_updates=30"]
    assert p.run(tmp_path, "fork", "a", *words).returncode == 0
    assert p.run(tmp_path, "resume", "a", "--no-ui", "--max-updates=30").returncode == 0
    first, second = CheckpointStore(tmp_path / "a").newest_good(), CheckpointStore(tmp_path / "b").newest_good()
    assert first.manifest.buffer == second.manifest.buffer

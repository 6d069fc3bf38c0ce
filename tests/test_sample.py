"""The recorded session that comes with the program: small, whole, free of any machine's paths, and it plays."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tui_trainer.core import events as e
from tui_trainer.core.state import fold
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.journal import read_journal
from tui_trainer.sessions.store import Session

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "sessions/sample"
KEPT = [path for path in sorted(SAMPLE.rglob("*")) if path.is_file() and path.name not in ("lock", "engine.log")]


@pytest.fixture(scope="module")
def history() -> list[e.AnyEvent]:
    read = read_journal(SAMPLE / "events.jsonl")
    assert read.skipped == 0
    return list(read.events)


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in KEPT) < 500_000


def test_it_names_no_machine() -> None:
    for path in KEPT:
        assert not re.search(rb"/(work|home|root|tmp|usr|opt)/", path.read_bytes()), path
    assert Session.open(SAMPLE).read().status.host == "gpu-box"


def test_it_holds_what_a_person_may_want_to_see(history: list[e.AnyEvent]) -> None:
    kinds = {type(event) for event in history}
    assert {e.RunStarted, e.RunPaused, e.RunContinued, e.RecommendationRaised, e.DifficultyChanged, e.RunEnded} <= kinds
    assert any(isinstance(event, e.RecommendationAnswered) and event.verdict == "accepted" for event in history)
    assert any(isinstance(event, e.CheckpointSaved) and event.kind == "manual" for event in history)
    assert [event.seq for event in history] == list(range(1, len(history) + 1))


def test_it_folds_to_the_end_that_session_toml_tells(history: list[e.AnyEvent]) -> None:
    state, file = fold(history), Session.open(SAMPLE).read()
    assert state.ended is not None
    assert state.ended.reason.name == file.status.termination_reason
    assert (state.update, state.global_step) == (file.status.update, file.status.global_step)


def test_its_checkpoints_are_good() -> None:
    store = CheckpointStore(SAMPLE)
    manifests = store.manifests()
    assert [manifest.kind for manifest in manifests] == ["final"]
    for manifest in manifests:
        store.load(manifest)


@pytest.mark.parametrize("words", [["replay"], ["replay", "sample"]])
def test_it_plays_from_anywhere(tmp_path: Path, words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui_trainer", *words, "--no-ui"],
        cwd=tmp_path, env={**os.environ, "TUI_TRAINER_SESSIONS": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "raise the difficulty: random → 1-ply" in done.stdout
    assert "max_updates" in done.stdout

"""W&B, offline: a run's figures reach its file, and a missing library is one line in the log."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.core.history import Tale
from tests.engine import process as p

has_wandb = importlib.util.find_spec("wandb") is not None


@pytest.mark.skipif(has_wandb, reason="wandb is installed")
def test_a_missing_library_is_one_line_in_the_log_and_the_run_goes_on(tmp_path: Path) -> None:
    words = (*p.TINY, "--max-updates=100000", "--set=telemetry.wandb=offline")
    process = p.start(tmp_path, "run", "--no-ui", "--json", "--name=a", *words)
    process.until("LogWritten", level="warning")
    assert p.stop(process) == 143
    said = [e["text"] for e in p.journal(tmp_path / "a") if e["type"] == "LogWritten" and e["level"] == "warning"]
    assert said == [
        "telemetry.wandb failed, training goes on: telemetry.wandb needs wandb; pip install 'tui-trainer[wandb]'"
    ]


@pytest.mark.skipif(not has_wandb, reason="needs wandb")
def test_offline_figures_and_settings_reach_the_runs_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tui_trainer.services.wandb import WandbRun

    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    sink = WandbRun("offline", "tests", "a", {"ppo": {"gamma": 0.99}})
    for event in Tale().start().train(20).evaluate(0.5).end().events:
        sink.take(event)
    sink.close()
    (file,) = tmp_path.glob("wandb/offline-run-*/run-a.wandb")
    wanted = (b"train/loss", b"eval/win_rate", b"termination_reason", b"gamma")
    p.wait_for(lambda: all(text in file.read_bytes() for text in wanted))

"""A normal end leaves results and a report in the session; no other end does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.engine import process as p


def trained(root: Path, *words: str) -> Path:
    few = [word for word in p.TINY if "final_episodes" not in word]
    limit = "--set=manager.termination.max_updates=12"
    done = p.run(root, "run", "--no-ui", *few, limit, "--set=manager.evaluation.final_episodes=4", "--name=a", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "a"


def test_a_normal_end_writes_results_and_the_report(tmp_path: Path) -> None:
    session = trained(tmp_path)
    results = json.loads((session / "results.json").read_text())
    assert (results["format"], results["session"], results["reason"]["name"]) == (1, "a", "max_updates")
    finals = [e for e in p.journal(session) if e["type"] == "EvaluationFinished" and e["suite"] == "final"]
    assert [each["checkpoint"] for each in results["evaluations"]] == [e["checkpoint"] for e in finals]
    assert [each["value"] for each in results["evaluations"]] == [e["result"]["value"] for e in finals]
    assert set(results["evaluations"][0]["baselines"]) == {"1-ply", "minimax-9"}
    assert list((session / "report").glob("*.md"))
    assert [path for path in session.rglob("*") if path.stat().st_mode & 0o077] == [], "others see none of it"
    assert "report" not in p.run(tmp_path, "sessions", "verify", "a").stderr


@pytest.mark.parametrize(
    ("words", "files"),
    [(["--set=report.at_end=false"], ["results.json"]), (["--set=manager.evaluation.final_episodes=0"], [])],
    ids=["no report wanted", "no final evaluation"],
)
def test_what_is_not_wanted_is_not_written(tmp_path: Path, words: list[str], files: list[str]) -> None:
    session = trained(tmp_path, *words)
    assert [name for name in ("results.json", "report") if (session / name).exists()] == files

"""The example package: installed as a user installs it, found by its entry point, checked, trained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "frozen_pond"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A process environment in which the package is installed."""
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "frozen_pond"
    subprocess.run(["cp", "-r", str(EXAMPLE), str(source)], check=True)
    how = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", str(target))
    subprocess.run([sys.executable, "-m", "pip", "install", *how, str(source)], check=True, capture_output=True)
    path = os.pathsep.join([str(target), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def program(environment: dict[str, str], root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tui_trainer", "--sessions", str(root), *words],
        env=environment, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip


def test_the_package_is_listed_and_keeps_every_rule_of_the_kit(environment: dict[str, str], tmp_path: Path) -> None:
    listed = program(environment, tmp_path, "tasks", "list")
    assert "frozen_pond" in listed.stdout
    checked = program(environment, tmp_path, "tasks", "check", "frozen_pond")
    assert checked.returncode == 0, checked.stdout
    assert "rules hold" in checked.stdout


def test_the_package_trains_to_the_goal(environment: dict[str, str], tmp_path: Path) -> None:
    settings = ("ppo.num_envs=32", "ppo.n_steps=32", "ppo.batch_size=256", "ppo.learning_rate=3e-3",
                "manager.termination.intelligent=false", "manager.evaluation.every_updates=30")  # fmt: skip
    chosen = [word for text in settings for word in ("--set", text)]
    done = program(environment, tmp_path, "run", "--task", "frozen_pond", "--no-ui", "--name", "pond",
                   "--max-updates", "60", *chosen)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(program(environment, tmp_path, "eval", "pond", "--episodes", "100", "--json").stdout)
    assert found["by"]["dry"]["win_rate"] > 0.9

"""The example package: installed as a user installs it, found by its entry point, checked, trained."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine import process as p

EXAMPLE = Path(__file__).parents[2] / "examples" / "frozen_pond"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the package is installed."""
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "frozen_pond"
    subprocess.run(["cp", "-r", str(EXAMPLE), str(source)], check=True)
    how = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", str(target))
    subprocess.run([sys.executable, "-m", "pip", "install", *how, str(source)], check=True, capture_output=True)
    return str(target)


def test_the_package_is_listed_and_keeps_every_rule_of_the_kit(site: str, tmp_path: Path) -> None:
    listed = p.run(tmp_path, "tasks", "list", PYTHONPATH=site)
    assert "frozen_pond" in listed.stdout
    checked = p.run(tmp_path, "tasks", "check", "frozen_pond", PYTHONPATH=site)
    assert checked.returncode == 0, checked.stdout
    assert "rules hold" in checked.stdout


def test_the_package_trains_to_the_goal(site: str, tmp_path: Path) -> None:
    settings = ("ppo.num_envs=32", "ppo.n_steps=32", "ppo.batch_size=256", "ppo.learning_rate=3e-3",
                "manager.termination.intelligent=false", "manager.evaluation.every_updates=30")  # fmt: skip
    chosen = [word for text in settings for word in ("--set", text)]
    done = p.run(tmp_path, "run", "--task", "frozen_pond", "--no-ui", "--name", "pond",
                 "--max-updates", "60", *chosen, PYTHONPATH=site)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(p.run(tmp_path, "eval", "pond", "--episodes", "100", "--json", PYTHONPATH=site).stdout)
    assert found["by"]["dry"]["win_rate"] > 0.9

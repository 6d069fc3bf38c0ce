"""`tune` end to end: engines in processes of their own, a storage file beside the sessions."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import optuna
import pytest

from tests.engine import process as p
from tui_trainer.studies.study import open_storage, storage_url
from tui_trainer.studies.watching import Watch

CONFIG = """
[study]
pruner = "{pruner}"
startup_trials = 1
warmup_evaluations = 0
[study.space]
"ppo.learning_rate" = {{ low = 1e-6, high = 1e-2, log = true }}
"ppo.n_epochs" = {{ low = 1, high = 3 }}
"""


def tune(root: Path, *words: str, updates: int = 25, pruner: str = "none") -> list[str]:
    root.mkdir(parents=True, exist_ok=True)
    config = root / "space.toml"
    config.write_text(CONFIG.format(pruner=pruner))
    settings = [word.replace("--task=", "--set=run.task=") for word in p.TINY]
    limit = f"--set=manager.termination.max_updates={updates}"
    return ["tune", str(config), "--json", "--name=s", "--seed=3", *settings, limit, *words]


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def core(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["number"], row["state"], row["value"], row["params"]


def stored(root: Path) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="s", storage=storage_url(root, "s")).trials


def test_two_studies_with_one_seed_are_equal_and_an_interruption_changes_nothing(tmp_path: Path) -> None:
    """Trial by trial: parameters, values and what was pruned; the second is told to go on half way."""
    whole = p.run(tmp_path / "a", *tune(tmp_path / "a", "--trials=3", pruner="median"))
    assert whole.returncode == 0, whole.stderr
    first = p.run(tmp_path / "b", *tune(tmp_path / "b", "--trials=1", pruner="median"))
    second = p.run(tmp_path / "b", *tune(tmp_path / "b", "--trials=3", pruner="median"))
    *one, end = rows(whole.stdout)
    two = rows(first.stdout)[:-1] + rows(second.stdout)[:-1]
    assert [core(row) for row in one] == [core(row) for row in two]
    assert len(one) == end["trials"] == 3
    assert {path.name for path in (tmp_path / "a").glob("s-t*")} == {row["session"] for row in one}
    assert len({row["params"]["ppo.learning_rate"] for row in one}) == 3


def test_a_killed_tune_leaves_no_ghost_and_its_trial_is_taken_up_with_an_equal_result(tmp_path: Path) -> None:
    whole = p.run(tmp_path / "a", *tune(tmp_path / "a", "--trials=1", updates=60))
    slow = "--set=run.step_delay_s=0.1"  # long enough to be killed on its way
    process = p.start(tmp_path / "b", *tune(tmp_path / "b", "--trials=1", slow, updates=60))
    p.wait_for(lambda: list((tmp_path / "b").glob("s-t0000/checkpoints/*/manifest.toml")))
    process.stop(signal.SIGKILL)
    again = p.run(tmp_path / "b", *tune(tmp_path / "b", "--trials=1", slow, updates=60))
    assert again.returncode == 0, again.stderr
    trials = stored(tmp_path / "b")
    assert [trial.state.name for trial in trials] == ["FAIL", "COMPLETE"]
    expected, found = rows(whole.stdout)[0], rows(again.stdout)[-2]
    assert (found["retry_of"], found["session"]) == (0, "s-t0000")
    assert (found["value"], found["params"]) == (expected["value"], expected["params"])


@pytest.mark.long
def test_ctrl_c_stops_the_engines_and_leaves_the_trial_in_the_queue(tmp_path: Path) -> None:
    words = tune(tmp_path, "--trials=1", "--set=run.step_delay_s=0.05", updates=100000)
    process = p.start(tmp_path, *words)
    p.wait_for(lambda: list(tmp_path.glob("s-t0000/checkpoints/*/manifest.toml")))
    assert p.stop(process, signal.SIGINT) == 130
    assert [trial.state.name for trial in stored(tmp_path)] == ["FAIL", "WAITING"]
    assert json.loads(p.run(tmp_path, "sessions", "show", "s-t0000", "--json").stdout).get("pid") is None


@pytest.mark.long
def test_a_killed_engine_is_taken_up_at_once(tmp_path: Path) -> None:
    process = p.start(tmp_path, *tune(tmp_path, "--trials=1", "--set=run.step_delay_s=0.03", updates=60))
    p.wait_for(lambda: list(tmp_path.glob("s-t0000/checkpoints/*/manifest.toml")))
    shown = json.loads(p.run(tmp_path, "sessions", "show", "s-t0000", "--json").stdout)
    os.kill(shown["pid"], signal.SIGKILL)
    done = process.finish(60)
    assert done.returncode == 0, done.stderr
    assert [(row["number"], row["state"]) for row in rows(done.stdout)[:-1]] == [(0, "failed"), (1, "complete")]


@pytest.mark.long
def test_a_narrowed_study_starts_with_the_earlier_best(tmp_path: Path) -> None:
    first = p.run(tmp_path, *tune(tmp_path, "--trials=2", updates=15))
    best = rows(first.stdout)[-1]["best"]["params"]
    second = p.run(tmp_path, *tune(tmp_path, "--trials=2", "--name=t", "--from=s", "--jobs=2", updates=15))
    assert second.returncode == 0, second.stderr
    tried = {row["number"]: row["params"]["ppo.learning_rate"] for row in rows(second.stdout)[:-1]}
    assert tried[0] == best["ppo.learning_rate"]
    assert max(tried.values()) / min(tried.values()) <= 10 ** (4 / 3) * 1.0001


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--set=manager.termination.max_updates=30"], "was begun with another manager.termination.max_updates"),
        (["--seed=4"], "was begun with another seed"),
        (["--from=nobody", "--name=t"], "there is no study nobody"),
        (["--storage=nonsense://x", "--name=t"], "is it an Optuna storage URL?"),
        (["--set=manager.termination.max_updates=0", "--name=t"], "would never end"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path_factory: pytest.TempPathFactory, words: list[str], complaint: str) -> None:
    root = tmp_path_factory.getbasetemp() / "study"
    if not (root / "s.study").exists():
        assert p.run(root, *tune(root, "--trials=1", updates=15)).returncode == 0
    done = p.run(root, *tune(root, "--trials=1", updates=15), *words)
    assert done.returncode in (2, 4)
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_trial_behind_the_others_is_stopped_at_its_evaluation_and_saved(tmp_path: Path) -> None:
    """Beside a trial that scored 2 at once, more than any win rate, the next one has nothing to hope for."""
    words = tune(tmp_path, "--trials=2", "--set=run.step_delay_s=0.03", updates=100000, pruner="median")
    study = optuna.create_study(study_name="s", storage=storage_url(tmp_path, "s"), direction="maximize")
    study.add_trial(optuna.trial.create_trial(value=2.0, intermediate_values={0: 2.0}))
    done = p.run(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    found = rows(done.stdout)[0]
    assert (found["number"], found["state"]) == (1, "pruned")
    first = next(event for event in p.journal(tmp_path / "s-t0001") if event["type"] == "EvaluationFinished")
    assert found["value"] == first["result"]["value"]
    assert p.journal(tmp_path / "s-t0001")[-1]["reason"]["name"] == "user"
    assert p.names(tmp_path / "s-t0001" / "checkpoints")


def test_a_trial_is_judged_by_the_evaluation_at_its_limit(tmp_path: Path) -> None:
    """Evaluations are due after 10 and 20; the limit is 25."""
    done = p.run(tmp_path, *tune(tmp_path, "--trials=1"))
    assert done.returncode == 0, done.stderr
    journal = p.journal(tmp_path / "s-t0000")
    found = [(event["update"], event["result"]["value"]) for event in journal if event["type"] == "EvaluationFinished"]
    assert [update for update, _ in found] == [10, 20, 25]
    assert rows(done.stdout)[0]["value"] == found[-1][1]


def test_a_trial_of_ones_own_is_tried_first_and_on_top_of_those_asked_for(tmp_path: Path) -> None:
    assert p.run(tmp_path, *tune(tmp_path, "--trials=1")).returncode == 0
    own = {"ppo.learning_rate": "1e-3", "ppo.n_epochs": "2"}
    Watch(tmp_path, "s", open_storage(storage_url(tmp_path, "s"))).enqueue(own)
    done = p.run(tmp_path, *tune(tmp_path, "--trials=2"))
    assert done.returncode == 0, done.stderr
    *tried, _ = rows(done.stdout)
    assert [(row["number"], row["by_hand"]) for row in tried] == [(1, True), (2, False)]
    assert tried[0]["params"] == {"ppo.learning_rate": 1e-3, "ppo.n_epochs": 2}


def test_sigterm_stops_the_engines_and_a_second_tune_is_refused_meanwhile(tmp_path: Path) -> None:
    words = tune(tmp_path, "--trials=1", "--set=run.step_delay_s=0.05", updates=100000)
    process = p.start(tmp_path, *words)
    p.wait_for(lambda: list(tmp_path.glob("s-t0000/checkpoints/*/manifest.toml")))
    second = p.run(tmp_path, *words)
    assert (second.returncode, "runs the study s" in second.stderr) == (3, True)
    Watch(tmp_path, "s", open_storage(storage_url(tmp_path, "s"))).stop()
    assert process.wait() == 130
    assert [trial.state.name for trial in stored(tmp_path)] == ["FAIL", "WAITING"]

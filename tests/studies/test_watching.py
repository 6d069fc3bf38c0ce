"""A study from another process: what it reads, what may be put into the queue, who runs it."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import msgspec
import optuna
import pytest

from tui_trainer.core.config import Dimension, Scalar
from tui_trainer.core.study import StudyView, Trial, best_so_far
from tui_trainer.errors import ConfigError, OrderRefused, SessionInUse, UsageError
from tui_trainer.studies.study import open_storage, storage_url
from tui_trainer.studies.watching import ENOUGH, Watch, checked, running

SPACE = {
    "ppo.learning_rate": Dimension(low=1e-4, high=1e-2, log=True),
    "ppo.n_epochs": Dimension(low=1, high=6),
    "ppo.n_steps": Dimension(low=32, high=320, step=32),
    "ppo.hidden": Dimension(choices=("[32]", "[64, 64]")),
}
GOOD: dict[str, Scalar] = {
    "ppo.learning_rate": "0.001", "ppo.n_epochs": "3", "ppo.n_steps": "64", "ppo.hidden": "[64,64]",
}  # fmt: skip


def made(root: Path, trials: int = 0) -> Watch:
    """A study whose score follows the learning rate and nothing else."""
    study = optuna.create_study(study_name="s", storage=storage_url(root, "s"), direction="maximize")
    study.set_user_attr("settings", {"space": msgspec.to_builtins(SPACE)})
    study.set_user_attr("target", trials)
    draw = random.Random(1)
    for _ in range(trials):
        rate, epochs = draw.uniform(1e-4, 1e-2), draw.randint(1, 6)
        kinds: Any = {
            "ppo.learning_rate": optuna.distributions.FloatDistribution(1e-4, 1e-2),
            "ppo.n_epochs": optuna.distributions.IntDistribution(1, 6),
        }
        params = {"ppo.learning_rate": rate, "ppo.n_epochs": epochs}
        study.add_trial(optuna.trial.create_trial(value=rate, params=params, distributions=kinds))
    return Watch(root, "s", open_storage(storage_url(root, "s")))


def test_values_are_read_in_their_kinds() -> None:
    assert checked(GOOD, SPACE) == {
        "ppo.learning_rate": 0.001, "ppo.n_epochs": 3, "ppo.n_steps": 64, "ppo.hidden": "[64, 64]",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ppo.learning_rate": "1"}, "0.0001 to 0.01"),
        ({"ppo.learning_rate": "fast"}, "ppo.learning_rate = fast"),
        ({"ppo.learning_rate": "nan"}, "ppo.learning_rate = nan"),
        ({"ppo.n_epochs": "2.5"}, "ppo.n_epochs = 2.5"),
        ({"ppo.n_steps": "33"}, "in steps of 32"),
        ({"ppo.hidden": "[7]"}, "one of [32], [64, 64]"),
        ({"ppo.n_epoch": "2"}, "did you mean ppo.n_epochs?"),
    ],
)
def test_a_value_outside_the_space_is_named_with_what_it_may_be(change: dict[str, Scalar], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked({**GOOD, **change}, SPACE)
    assert words in str(caught.value)


def test_a_missing_value_is_named() -> None:
    with pytest.raises(ConfigError, match=r"ppo\.hidden: no value"):
        checked({key: value for key, value in GOOD.items() if key != "ppo.hidden"}, SPACE)


def test_what_a_person_puts_in_waits_in_the_queue_and_does_not_count_towards_the_target(tmp_path: Path) -> None:
    watch = made(tmp_path, 2)
    assert "for when the study goes on" in watch.enqueue(GOOD)
    view = watch.read()
    assert (view.target, view.ended, view.count("waiting")) == (2, 2, 1)
    assert (view.trials[-1].by_hand, view.trials[-1].params["ppo.n_epochs"]) == (True, 3)


def test_importance_is_told_from_enough_trials_on_and_finds_what_matters(tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    assert made(tmp_path / "few", ENOUGH - 1).read().importance == {}
    found = made(tmp_path, 40).read().importance
    assert found["ppo.learning_rate"] > 0.9
    assert sum(found.values()) == pytest.approx(1)


def test_one_process_runs_a_study_and_is_seen(tmp_path: Path) -> None:
    watch = made(tmp_path)
    assert watch.read().pid is None
    with running(tmp_path, "s"):
        assert watch.read().pid == os.getpid()
        with pytest.raises(SessionInUse, match="runs the study s"), running(tmp_path, "s"):
            pass
    assert watch.read().pid is None


def test_a_study_that_nobody_runs_cannot_be_stopped_and_one_that_is_none_not_read(tmp_path: Path) -> None:
    with pytest.raises(OrderRefused, match="nobody runs"):
        made(tmp_path).stop()
    with pytest.raises(UsageError, match="no study t"):
        Watch(tmp_path, "t", open_storage(storage_url(tmp_path, "s"))).read()


def trial(number: int, value: float | None, state: str = "complete", **more: Any) -> Trial:
    return Trial(number=number, state=state, value=value, params={}, **more)  # type: ignore[arg-type]


def test_the_best_so_far_never_falls_and_leaves_out_what_did_not_come_to_its_end() -> None:
    trials = (trial(0, 0.2), trial(1, 0.9, "pruned"), trial(2, 0.5), trial(3, None, "failed"), trial(4, 0.4))
    assert best_so_far(StudyView(name="s", trials=trials)) == [(0, 0.2), (2, 0.5), (4, 0.5)]
    assert best_so_far(StudyView(name="s", trials=trials, higher_is_better=False)) == [(0, 0.2), (2, 0.2), (4, 0.2)]


def test_a_killed_trial_counts_by_its_retry() -> None:
    view = StudyView(name="s", trials=(trial(0, None, "failed"), trial(1, 0.3, retry_of=0), trial(2, 0.4)))
    assert (view.ended, view.best) == (2, view.trials[2])

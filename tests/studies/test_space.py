"""[study.space] as written, narrowed, and turned into a trial's settings."""

from __future__ import annotations

from typing import Any

import pytest

from tui_trainer.core.config import Dimension, Layer, resolve, search_space
from tui_trainer.errors import ConfigError
from tui_trainer.studies.space import narrow, require_ends, require_limit, trial_settings

RATE = {"low": 1e-4, "high": 1e-2, "log": True}


def spaced(space: dict[str, Any]) -> dict[str, Dimension]:
    return search_space(resolve([Layer("my.toml", {"study": {"space": space}})]).config)


def test_a_name_with_dots_and_tables_in_tables_are_the_same() -> None:
    assert spaced({"ppo.learning_rate": RATE}) == spaced({"ppo": {"learning_rate": RATE}})
    assert spaced({"ppo.learning_rate": RATE})["ppo.learning_rate"] == Dimension(low=1e-4, high=1e-2, log=True)


@pytest.mark.parametrize(
    ("key", "table", "words"),
    [
        ("ppo.learning_rat", RATE, "did you mean ppo.learning_rate?"),
        ("ppo.learning_rate", {"low": 1e-2, "high": 1e-4}, "is no range"),
        ("ppo.learning_rate", {"low": 1e-4}, "is no range"),
        ("ppo.ent_coef", {"low": 0, "high": 1, "log": True}, "needs low > 0"),
        ("ppo.n_epochs", {"low": 1, "high": 8, "step": 0}, "step that is not above 0"),
        ("ppo.hidden", {"low": 1, "choices": ["[64]"]}, "choices and a range"),
        ("ppo.ent_coef", {"lo": 0, "high": 1}, "`lo`"),
        ("ppo.ent_coef", 3, "my.toml: study.space.ppo.ent_coef"),
    ],
)
def test_a_space_that_makes_no_sense_names_file_and_setting(key: str, table: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        spaced({key: table})
    assert words in str(caught.value)
    assert "my.toml" in str(caught.value)


def test_an_end_that_the_setting_does_not_take_is_an_error() -> None:
    require_ends(spaced({"ppo.learning_rate": RATE, "ppo.batch_size": {"low": 64, "high": 65536}}))
    with pytest.raises(ConfigError, match=r"ppo\.gamma"):
        require_ends(spaced({"ppo.gamma": {"low": 0.9, "high": 1.5}}))


def test_a_log_range_is_narrowed_to_a_third_of_its_decades() -> None:
    """Three decades around 1e-3.5: half a decade each way."""
    found = narrow({"x": Dimension(low=1e-5, high=1e-2, log=True)}, {"x": 10**-3.5})["x"]
    assert (found.low, found.high) == pytest.approx((1e-4, 1e-3))


def test_a_narrowed_range_keeps_its_width_at_the_edge() -> None:
    found = narrow({"x": Dimension(low=0.0, high=0.9)}, {"x": 0.9})["x"]
    assert (found.low, found.high) == pytest.approx((0.6, 0.9))


def test_whole_numbers_stay_whole_and_on_their_grid() -> None:
    found = narrow({"ppo.n_steps": Dimension(low=32, high=320, step=32)}, {"ppo.n_steps": 160})["ppo.n_steps"]
    assert (found.low, found.high) == (96, 224)


def test_choices_and_dimensions_without_a_best_stay() -> None:
    space = {"a": Dimension(choices=("x", "y")), "b": Dimension(low=0, high=1)}
    assert narrow(space, {"a": "x"}) == space


def test_a_trial_is_the_base_with_its_values_in_optuna_mode_and_without_a_study() -> None:
    base = resolve([Layer("my.toml", {"run": {"seed": 5, "name": "mine"}, "study": {"space": {"ppo.gamma": RATE}}})])
    found = trial_settings(base, {"ppo.gamma": 0.5, "ppo.hidden": "[32, 16]"}, "study s trial 3", "a note")
    assert (found.config.ppo.gamma, found.config.ppo.hidden) == (0.5, (32, 16))
    assert (found.config.run.seed, found.config.run.name, found.config.run.note) == (5, "", "a note")
    assert found.config.manager.mode == "optuna"
    assert found.config.study.space == {}
    assert found.origins["ppo.gamma"] == "study s trial 3"


def test_every_float_reaches_the_trial_bit_for_bit() -> None:
    value = 0.1 + 0.2e-16 + 1 / 3
    assert trial_settings(resolve([]), {"ppo.gamma": value}, "t", "").config.ppo.gamma == value


def test_values_that_do_not_go_together_are_an_error() -> None:
    with pytest.raises(ConfigError, match="larger than a rollout"):
        trial_settings(resolve([]), {"ppo.batch_size": 2**20}, "t", "")


def test_trials_need_a_limit_that_does_not_depend_on_time() -> None:
    with pytest.raises(ConfigError, match="no limit"):
        require_limit(resolve([Layer("x", {"manager": {"termination": {"max_hours": 1}}})]).config)

"""Settings: layers, origins, bounds, and errors that name what is right."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_trainer.core.config import (
    Config,
    Layer,
    assignments_layer,
    get,
    known_keys,
    parse_assignment,
    presentable,
    resolve,
    setting_doc,
    to_table,
    without_secrets,
)
from tui_trainer.errors import ConfigError


def failing(table: dict[str, Any], origin: str = "my.toml") -> str:
    with pytest.raises(ConfigError) as caught:
        resolve([Layer(origin, table)])
    return str(caught.value)


def test_without_layers_the_defaults_hold_and_make_sense() -> None:
    assert resolve([]).config == Config()


def test_a_later_layer_wins_and_says_where_it_came_from() -> None:
    resolved = resolve(
        [
            Layer("preset", {"ppo": {"learning_rate": 0.1, "gamma": 0.9}}),
            Layer("--set", {"ppo": {"learning_rate": 0.2}}),
        ]
    )
    assert (resolved.config.ppo.learning_rate, resolved.config.ppo.gamma) == (0.2, 0.9)
    assert resolved.origins == {"ppo.learning_rate": "--set", "ppo.gamma": "preset"}


def test_text_from_a_shell_becomes_what_the_setting_is() -> None:
    config = resolve(
        [
            assignments_layer(
                [
                    "ppo.learning_rate=1e-4",
                    "ppo.n_steps=256",
                    "continuous.auto_accept=true",
                    "ppo.hidden=[64, 32]",
                    "run.note=a = b",
                ]
            )
        ]
    ).config
    assert (config.ppo.learning_rate, config.ppo.n_steps, config.continuous.auto_accept) == (1e-4, 256, True)
    assert config.ppo.hidden == (64, 32)
    assert config.run.note == "a = b"


def test_an_environments_own_arguments_are_what_they_are_written_as() -> None:
    words = [
        "threads=2",
        "clip=false",
        "rate=0.5",
        "sizes=[3, 4]",
        'name="7"',
        "day=2024-05-01",
        "mark=/tmp/a b",
        "empty=",
    ]
    found = resolve([assignments_layer([f"task.kwargs.{word}" for word in words])]).config.task["kwargs"]
    assert found == {
        "threads": 2, "clip": False, "rate": 0.5, "sizes": [3, 4], "name": "7", "day": "2024-05-01",
        "mark": "/tmp/a b", "empty": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("ppo.num_step", "ppo.n_steps"),
        ("ppo.lerning_rate", "ppo.learning_rate"),
        ("manager.termination.max_update", "manager.termination.max_updates"),
        ("run.sede", "run.seed"),
        ("max_hours", "manager.termination.max_hours"),
    ],
)
def test_an_unknown_key_names_file_key_and_the_nearest_right_one(key: str, nearest: str) -> None:
    table: dict[str, Any] = {}
    here = table
    *parents, last = key.split(".")
    for name in parents:
        here = here.setdefault(name, {})
    here[last] = 1
    assert failing(table) == f"my.toml: {key} is not a setting; did you mean {nearest}?"


def test_a_key_that_resembles_nothing_points_to_the_list() -> None:
    assert "config show" in failing({"xyzzy": {"plugh": 1}})


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"run": {"seed": -1}}, "run.seed"),
        ({"run": {"seed": 2**40}}, "run.seed"),
        ({"run": {"seed": "one"}}, "run.seed"),
        ({"run": {"device": "tpu"}}, "run.device"),
        ({"ppo": {"gamma": 1.5}}, "ppo.gamma"),
        ({"ppo": {"learning_rate": 0}}, "ppo.learning_rate"),
        ({"ppo": {"learning_rate": float("nan")}}, "ppo.learning_rate"),
        ({"ppo": {"hidden": []}}, "ppo.hidden"),
        ({"ppo": {"clip_range": float("inf")}}, "ppo.clip_range"),
        ({"ppo": {"batch_size": 10**9}}, "ppo.batch_size"),
        ({"dqn": {"buffer_size": 10}}, "dqn.batch_size"),
        ({"manager": {"termination": {"max_hours": float("nan")}}}, "manager.termination.max_hours"),
        ({"manager": {"termination": {"target": "win_rate"}}}, "manager.termination.target"),
        ({"continuous": {"initial_quality_range": [0.9, 0.2]}}, "continuous.initial_quality_range"),
        ({"continuous": {"initial_quality_range": [0.1]}}, "continuous.initial_quality_range"),
        ({"task": {"x": float("inf")}}, "task.x"),
    ],
)
def test_an_impossible_value_names_its_key(table: dict[str, Any], key: str) -> None:
    assert f"{key}: " in failing(table)


@pytest.mark.parametrize("table", [{"run": {"seed": -1}}, {"manager": {"termination": {"target": "nonsense"}}}])
def test_an_impossible_value_names_its_file(table: dict[str, Any]) -> None:
    assert failing(table).startswith("my.toml: ")


def test_a_table_where_a_value_belongs_and_the_reverse_are_refused() -> None:
    assert "ppo is not a setting" in failing({"ppo": 5})
    assert "run.seed.x is not a setting" in failing({"run": {"seed": {"x": 1}}})


def test_options_of_the_task_are_free_and_may_change_shape_between_layers() -> None:
    config = resolve([Layer("a", {"task": {"x": 1}}), Layer("b", {"task": {"x": {"y": 2}}})]).config
    assert config.task == {"x": {"y": 2}}


def test_what_a_session_recorded_resolves_to_itself() -> None:
    config = resolve([assignments_layer(["ppo.gamma=0.5", "task.size=3", "run.name=a"])]).config
    assert resolve([Layer("session.toml", to_table(config))]).config == config


def test_every_setting_has_a_sentence_and_a_default_within_its_bounds() -> None:
    for key in known_keys():
        assert setting_doc(key).endswith("."), key
        resolve([Layer("x", to_table(Config()))])
        get(Config(), key)


@pytest.mark.parametrize("text", ["", "ppo.gamma", "=3", "  =3"])
def test_an_assignment_needs_a_key_and_a_sign(text: str) -> None:
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        parse_assignment(text)


VALUES = st.one_of(st.integers(), st.floats(), st.text(max_size=5), st.booleans(), st.lists(st.integers(), max_size=2))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(known_keys())), VALUES, max_size=3))
def test_any_values_resolve_to_themselves_or_are_refused(values: dict[str, Any]) -> None:
    with contextlib.suppress(ConfigError):
        config = resolve([Layer("x", values)]).config
        assert resolve([Layer("x", to_table(config))]).config == config


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"curriculum": {"stages": [{"epochs": 10, "level": 1}]}}, "[[curriculum.schedule]]"),
        ({"curriculum": [{"epochs": 10}]}, "[[curriculum.schedule]]"),
        ({"curriculum": {"schedule": [{"epochs": 10, "level": 1}]}}, "[[curriculum.schedule]]"),
        ({"curriculum": {"schedule": [{"when": "update >= 5", "difficulty": 1}]}}, "unknown field `difficulty`"),
        ({"training": {"epochs": 100}}, "[manager.termination]"),
        ({"environment": {"name": "x"}}, "run.task"),
        ({"optuna": {"n_trials": 5}}, "[study]"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_settings_of_older_files_are_told_what_took_their_place(table: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve([Layer("old.toml", table)])
    assert words in str(caught.value)
    assert str(caught.value).startswith("old.toml: ")


def test_a_slip_in_a_known_table_is_still_told_the_nearest_right_name() -> None:
    with pytest.raises(ConfigError, match=r"did you mean curriculum\.schedule"):
        resolve([Layer("x", {"curriculum": {"shedule": []}})])


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://hooks.example.org/services/T0/B0/secret", "https://hooks.example.org/..."),
        ("http://me:secret@example.org:8080?key=secret", "http://example.org:8080/..."),
        ("$TRAINING_HOOK", "$TRAINING_HOOK"),
        ("", ""),
    ],
)
def test_of_an_address_only_the_server_is_shown(address: str, shown: str) -> None:
    assert presentable("notify.webhook", address) == shown
    assert presentable("run.note", address) == address
    assert without_secrets(f"--set=notify.webhook={address}") == f"--set=notify.webhook={shown}"
    assert without_secrets(f'notify={{webhook = "{address}"}}') == f'notify={{webhook = "{shown}"}}'
    assert without_secrets(address) == address

"""Settings from files, presets and the environment."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tui_trainer.core.config import Config, resolve
from tui_trainer.errors import ConfigError, TuiTrainerError
from tui_trainer.sessions.configs import (
    CONFIG_BYTES,
    environment_layer,
    load_config,
    preset,
    preset_names,
    presets_dir,
    read_config,
)

LONG = (pytest.mark.long, pytest.mark.timeout(1200))


def test_a_file_becomes_a_layer_that_names_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("[ppo]\nlearning_rate = 1e-4\n")
    layer = read_config(path)
    assert (layer.origin, layer.table) == (str(path), {"ppo": {"learning_rate": 1e-4}})
    assert load_config(str(path)) == layer


@pytest.mark.parametrize(
    ("text", "line"),
    [(b"a = \n", 1), (b"a = 1\n\n[b\n", 3), (b'a = "x\n', 1), (b"a = 1\nb = \xff\n", 2), (b"a=1\na=2", 2)],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path: Path, text: bytes, line: int) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=f"a.toml, line {line}: ") as refused:
        read_config(path)
    assert refused.value.exit_code == 2


def test_what_is_too_large_too_deep_absent_or_no_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "large.toml").write_bytes(b"#" * (CONFIG_BYTES + 1))
    (tmp_path / "deep.toml").write_bytes(b"a = " + b"[" * 50_000)
    (tmp_path / "dots.toml").write_bytes(b".".join([b"a"] * 2000) + b" = 1")
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "dir.toml").mkdir()
    for name in ("large", "deep", "dots", "pipe", "dir", "absent"):
        with pytest.raises(ConfigError) as refused:
            read_config(tmp_path / f"{name}.toml")
        assert f"{name}.toml" in str(refused.value)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["a.yml", "a.yaml", "a.YAML", "a.json"])
def test_yaml_and_json_are_told_that_toml_replaces_them(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("ppo:\n  learning_rate: 1e-4\n")
    with pytest.raises(ConfigError, match="settings are TOML"):
        read_config(tmp_path / name)


def test_every_preset_resolves() -> None:
    assert presets_dir().name == "configs"
    for name in preset_names():
        assert isinstance(resolve([preset(name)]).config, Config)
        assert load_config(name) == preset(name)


@pytest.mark.parametrize("name", ["no-such", "../pyproject", "a\0b", "\x1b[2J"])
def test_an_unknown_preset_is_refused_in_one_clean_line(name: str) -> None:
    with pytest.raises(ConfigError, match="is no preset") as refused:
        preset(name)
    assert "\x1b" not in str(refused.value)


def test_the_environment_is_a_layer_of_dotted_keys() -> None:
    layer = environment_layer(
        {"TUI_TRAINER_PPO__LEARNING_RATE": "1e-4", "TUI_TRAINER_MANAGER__TERMINATION__MAX_UPDATES": "7",
         "TUI_TRAINER_PPO__HIDDEN": "[32, 16]", "TUI_TRAINER_SESSIONS": "/x", "HOME": "/root"}
    )  # fmt: skip
    config = resolve([layer]).config
    assert config.ppo.learning_rate == 1e-4
    assert config.ppo.hidden == (32, 16)
    assert config.manager.termination.max_updates == 7
    assert resolve([layer]).origins["ppo.learning_rate"] == "environment"


@pytest.mark.parametrize(
    "variable", [{"TUI_TRAINER_SEED": "3"}, {"TUI_TRAINER_A____B": "3"}, {"TUI_TRAINER_PPO__HIDDEN": "[1"}]
)
def test_a_variable_that_cannot_be_meant_is_an_error(variable: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"environment: TUI_TRAINER_"):
        environment_layer(variable)


def complaint(path: Path) -> str:
    """What our own error says, or nothing; any other error ends the test."""
    try:
        resolve([read_config(path)])
    except TuiTrainerError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=LONG)])
def test_no_mutation_of_a_file_makes_anything_but_our_errors(tmp_path: Path, count: int) -> None:
    chance = random.Random(9)
    text = (
        b'[run]\ntask = "connect_four"\nseed = 1\n[ppo]\nlearning_rate = 1e-4\nhidden = [64, 64]\n[task]\nx = {a = 1}\n'
    )
    path = tmp_path / "a.toml"
    for _ in range(count):
        data = bytearray(text)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        assert "\n" not in complaint(path)

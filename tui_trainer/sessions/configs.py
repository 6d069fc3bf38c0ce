"""Settings from outside: files, presets and the environment, each as one layer. TOML only."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from tui_trainer.core.config import Layer
from tui_trainer.errors import ConfigError, DamagedSession
from tui_trainer.sessions.files import read_toml, shown

CONFIG_BYTES = 1 << 18
PREFIX = "TUI_TRAINER_"
RESERVED = ("TUI_TRAINER_SESSIONS",)


def read_config(path: Path) -> Layer:
    """The settings of a file. Raises ConfigError with file and line; a YAML or JSON file is told to become TOML."""
    if path.suffix.lower() in (".yml", ".yaml", ".json"):
        raise ConfigError(
            f"{shown(path)}: settings are TOML; {path.suffix.lower()} files are not read",
            "write `learning_rate: 3e-4` under `ppo:` as `learning_rate = 3e-4` under `[ppo]`, "
            "`tui-trainer config init` makes a file to start from",
        )
    try:
        return Layer(shown(path), read_toml(path, CONFIG_BYTES))
    except DamagedSession as error:
        raise ConfigError(error.message, error.hint) from None


def presets_dir() -> Path:
    """Where the presets lie: in the installed package, or at the top of a checkout."""
    packaged = Path(str(resources.files("tui_trainer"))) / "configs"
    return packaged if packaged.is_dir() else packaged.parent.parent / "configs"


def preset_names() -> list[str]:
    """Every preset, by name."""
    return sorted(path.stem for path in presets_dir().glob("*.toml"))


def preset(name: str) -> Layer:
    """A preset's settings. Raises ConfigError naming the nearest one."""
    names = preset_names()
    if name in names:
        layer = read_config(presets_dir() / f"{name}.toml")
        return Layer(f"preset {name}", layer.table)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(names) or 'none'}"
    raise ConfigError(f"{ascii(name)[1:-1]} is no preset", hint)


def load_config(name_or_path: str) -> Layer:
    """A preset by name, or a file where there is a slash or a suffix."""
    path = Path(name_or_path)
    return read_config(path) if path.suffix or "/" in name_or_path else preset(name_or_path)


def personal_layer(environ: Mapping[str, str]) -> Layer:
    """A person's own [ui], such as [ui.keys], from `$XDG_CONFIG_HOME/tui-trainer/ui.toml`; nothing where there is none.

    Raises ConfigError for any other table: what a run does belongs to the run.
    """
    home = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME", ""), ".config")
    path = Path(home) / "tui-trainer" / "ui.toml"
    if not path.is_file():
        return Layer(shown(path), {})
    layer = read_config(path)
    others = sorted(set(layer.table) - {"ui"})
    if others:
        raise ConfigError(f"{layer.origin}: [{others[0]}] does not belong here", "it is for [ui] and [ui.keys] alone")
    return layer


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """`TUI_TRAINER_A__B=v` as a.b = v. A list is written as in TOML: `[64, 64]`."""
    table: dict[str, Any] = {}
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable not in RESERVED:
            _put(table, variable, environ[variable])
    return Layer("environment", table)


def _put(table: dict[str, Any], variable: str, value: str) -> None:
    *parents, last = variable.removeprefix(PREFIX).lower().split("__")
    if not parents or not all((*parents, last)):
        raise ConfigError(f"environment: {variable} is not a setting", "write a.b as TUI_TRAINER_A__B")
    for name in parents:
        table = table.setdefault(name, {})
    table[last] = _value(variable, value)


def _value(variable: str, text: str) -> Any:
    if not text.lstrip().startswith("["):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        raise ConfigError(f"environment: {variable} is not a list", "write it like [64, 64]") from None

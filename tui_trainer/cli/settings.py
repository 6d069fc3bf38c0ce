"""From words on the command line to the settings of a run."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tui_trainer.core.config import Layer, Resolved, UiSettings, assignments_layer, resolve
from tui_trainer.sessions.configs import environment_layer, personal_layer, preset, preset_names, read_config

MOST_SEEDS = 1000


def resolve_run(
    config: str | None,
    flags: Mapping[str, Any],
    assignments: Sequence[str],
    environ: Mapping[str, str] | None = None,
) -> Resolved:
    """Defaults < preset or file < environment < flags < --set. Raises ConfigError."""
    layers = [
        *chosen(config, flags.get("run.task")),
        environment_layer(os.environ if environ is None else environ),
        *(Layer(f"--{flag_name(key)}", nested(key, value)) for key, value in flags.items() if value is not None),
        assignments_layer(assignments),
    ]
    return resolve(layers)


def view_settings(config: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> UiSettings:
    """[ui] for a view: of the run's settings, then the person's own file, then the environment. Raises ConfigError."""
    surroundings = os.environ if environ is None else environ
    own = environment_layer(surroundings)
    layers = [
        Layer("session.toml", {"ui": dict((config or {}).get("ui", {}))}),
        personal_layer(surroundings),
        Layer(own.origin, {"ui": own.table.get("ui", {})}),
    ]
    settings = resolve(layers).config.ui
    if settings.keys:  # else the tables of the other screens need not be read
        _check_keys(settings)
    return settings


def _check_keys(settings: UiSettings) -> None:
    from tui_trainer.ui import keymap
    from tui_trainer.ui.tables import TABLES

    keymap.check(TABLES, settings.keys)


def chosen(config: str | None, task: str | None) -> list[Layer]:
    """The file or preset that was named, or the preset of the task, or nothing."""
    if config is None:
        return _preset_of(task or "connect_four")
    is_path = config.endswith((".toml", ".yaml", ".yml")) or "/" in config or Path(config).is_file()
    return [read_config(Path(config)) if is_path else preset(config)]


def _preset_of(task: str) -> list[Layer]:
    """The preset that bears the task's name, or, of a family, the first that names this member."""
    wish = re.sub(r"[^A-Za-z0-9]+", "_", task).lower()
    if wish in preset_names():
        return [preset(wish)]
    named = (preset(name) for name in preset_names()) if ":" in task else iter(())
    return [layer for layer in named if layer.table.get("run", {}).get("task") == task][:1]


def flag_name(key: str) -> str:
    """`manager.termination.max_updates` -> `max-updates`."""
    return key.rsplit(".", 1)[-1].removesuffix("_s").replace("_", "-")


def nested(key: str, value: Any) -> dict[str, Any]:
    """`a.b` and 1 -> {a: {b: 1}}."""
    first, _, rest = key.partition(".")
    return {first: nested(rest, value)} if rest else {first: value}


def parse_seeds(text: str) -> list[int]:
    """`0-4` or `1,3,7`, each once. Raises ValueError for anything else."""
    seeds: list[int] = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        found = range(int(low), int(high if dash else low) + 1)
        if not 0 < len(found) <= MOST_SEEDS:
            raise ValueError(part)
        seeds += found
    return list(dict.fromkeys(seeds))

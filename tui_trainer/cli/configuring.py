"""`config show | validate | init`."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import Any

import msgspec

from tui_trainer.cli import find
from tui_trainer.cli.settings import chosen, resolve_run
from tui_trainer.core.config import Resolved, get, known_keys, presentable, resolve, setting_doc, space_tables
from tui_trainer.errors import ConfigError, StorageError, UsageError
from tui_trainer.sessions.configs import preset_names
from tui_trainer.sessions.names import session_names

FILES = (".toml", ".yaml", ".yml")


def show(sessions: str | None, config: str | None, assignments: list[str], *, json: bool) -> None:
    """Every option, its value, where it came from, its sentence."""
    resolved = _of_session(sessions, config) or resolve_run(config, {}, assignments)
    keys = known_keys()
    rows = [(key, presentable(key, get(resolved.config, key)), resolved.origins.get(key, "default")) for key in keys]
    own = resolved.config.algorithm.items()
    rows += [(f"algorithm.{k}", v, resolved.origins.get(f"algorithm.{k}", "default")) for k, v in own]
    rows += [(f"task.{k}", v, resolved.origins.get(f"task.{k}", "default")) for k, v in resolved.config.task.items()]
    for key, dimension in space_tables(resolved.config.study.space):
        key = f"study.space.{key}"
        rows.append((key, dimension, next(o for name, o in resolved.origins.items() if name.startswith(key))))
    if json:
        for key, value, origin in rows:
            sys.stdout.write(msgspec.json.encode({"key": key, "value": value, "origin": origin}).decode() + "\n")
        return
    for key, value, origin in rows:
        print(f"{key:<40} {toml_value(value):<18} {origin:<20} {_doc(key)}".rstrip())


def validate(config: str) -> None:
    """Read, resolve, check the task's options: exit 2 with file and key where anything is wrong."""
    from tui_trainer import algorithms, tasks

    resolved = resolve(chosen(config, None))
    algorithms.check_id(resolved.config.run.algorithm)
    tasks.check_id(resolved.config.run.task)
    tasks.check_options(resolved.config.run.task, resolved.config.task)
    print(f"{config}: good; {resolved.config.run.task} with {resolved.config.run.algorithm}")


def init(path: str, preset: str) -> None:
    """Write every setting, commented out where it is the default. Never overwrites."""
    target = Path(path)
    if preset not in preset_names():
        raise ConfigError(f"{preset!r} is no preset", f"one of {', '.join(preset_names())}")
    if target.exists():
        raise UsageError(f"{path} exists", "name another file")
    try:
        target.write_text(commented(resolve(chosen(preset, None))), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from None
    print(f"wrote {path}; `tui-trainer run {path}` trains with it")


def commented(resolved: Resolved) -> str:
    """A TOML file with every setting, its sentence beside it, defaults commented out."""
    lines: list[str] = ["# tui-trainer settings; a line without # differs from the default"]
    table = ""
    for key in sorted(known_keys(), key=lambda key: key.rpartition(".")[0]):
        parent, _, name = key.rpartition(".")
        if parent != table:
            table = parent
            lines += ["", f"[{parent}]"]
        mark = "" if key in resolved.origins else "# "
        lines.append(f"{mark}{name} = {toml_value(get(resolved.config, key))}  # {_doc(key)}")
    open_tables = {
        "algorithm": resolved.config.algorithm,
        "task": resolved.config.task,
        "study.space": dict(space_tables(resolved.config.study.space)),
        "ui.keys": resolved.config.ui.keys,
    }
    for parent, content in open_tables.items():
        lines += ["", f"[{parent}]", *(f"{toml_value(name)} = {toml_value(value)}" for name, value in content.items())]
    return "\n".join(lines) + "\n"


def toml_value(value: Any) -> str:
    """A value as TOML writes it, on one line."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return "[" + ", ".join(toml_value(item) for item in value) + "]"
        case msgspec.Struct():
            fields = msgspec.structs.asdict(value).items()
            return toml_value({name: inner for name, inner in fields if inner is not None})
        case dict():
            return "{" + ", ".join(f"{toml_value(key)} = {toml_value(item)}" for key, item in value.items()) + "}"
        case _:
            return str(value)


def _of_session(sessions: str | None, name: str | None) -> Resolved | None:
    """A session's settings as started and resumed, when NAME is one and neither a preset nor a file."""
    if name is None or name in preset_names() or name.endswith(FILES) or name not in session_names(find.root(sessions)):
        return None
    file = find.session(sessions, name).read()
    resolved = resolve(file.layers())
    return Resolved(resolved.config, {**resolved.origins, **file.origins, **dict.fromkeys(file.overrides, "resume")})


def _doc(key: str) -> str:
    return setting_doc(key) if key in known_keys() else ""

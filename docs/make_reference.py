"""Writes docs/reference.md from the code: commands, keys, settings, metrics, formats, events ... `make reference`."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import typer

from tui_trainer import errors
from tui_trainer.cli.configuring import toml_value
from tui_trainer.cli.main import app
from tui_trainer.core import commands, events
from tui_trainer.core.config import Config, get, known_keys, setting_choices, setting_doc
from tui_trainer.core.metrics import MEANINGS
from tui_trainer.core.values import EvalResult, PartResult
from tui_trainer.sessions import checkpoints, pack, store
from tui_trainer.telemetry import alerts as a
from tui_trainer.training.health import CHECKS, CLEAR_AFTER
from tui_trainer.ui.tables import markdown as keys_table

PAGE = Path(__file__).with_name("reference.md")

HEAD = """# Reference

Made from the code by `make reference`; a test keeps the two equal. Contents:
[commands](#commands) · [exit codes](#exit-codes) · [keys](#keys) · [settings](#settings) · [metrics](#metrics) ·
[alerts](#alerts) · [formats](#formats) · [events](#events) · [orders](#orders)
"""

EXITS = """## Exit codes

| code | meaning |
|---|---|
| 0 | finished, or stopped by a person with a checkpoint saved; also: the view was left |
| 1 | the run failed; `eval --expect` did not hold; `tasks check` found a broken rule |
| 2 | wrong words, settings or names, or a damaged session |
| 3 | the session is in use by another engine |
| 4 | the disk refused |
| 5 | training diverged: NaN or inf before the optimizer stepped |
| 6 | a live run refused the order, or there was none to take it |
| 75 | saved after SIGTERM and to be queued again, where `run.on_term = "requeue"` |
| 130, 143 | ended by SIGINT or SIGTERM, after saving |
| 129, 143 | a view that SIGHUP or SIGTERM ended; its run goes on |

Errors of ours are one line on stderr, `tui-trainer: what happened; what to do`. They form one tree:

```
%s
```
"""


def page() -> str:
    """The whole page."""
    parts = [
        HEAD,
        "## Commands\n",
        *command_sections(),
        EXITS % tree(),
        "## Keys\n",
        keys_table(),
        *settings(),
        *metrics(),
        *alert_sections(),
        *formats(),
        *facts(),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def tree() -> str:
    """The error tree as errors.py draws it."""
    return inspect.cleandoc(errors.__doc__ or "").partition("\n\n")[2]


# --- commands ------------------------------------------------------------------------------------------------------


def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(words), command
        return
    for name, child in inner.items():
        yield from walk(child, (*words, name))


def command_sections() -> Iterator[str]:
    yield (
        "`--sessions DIR` (or `TUI_TRAINER_SESSIONS`) says where sessions lie, before or after the command; "
        "default `./sessions`.\n"
    )
    for words, command in walk(typer.main.get_command(app), ("tui-trainer",)):
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        usage = " ".join((words, *(argument_word(p) for p in arguments)))
        yield f"### `{usage}`\n\n{(command.help or '').strip()}\n"
        context = command.context_class(command)
        records = [
            p.get_help_record(context)
            for p in command.params
            if p.param_type_name == "option" and "--sessions" not in p.opts
        ]
        rows = [f"| `{cell(words)}` | {plain(text)} |" for words, text in filter(None, records)]
        if rows:
            yield "\n".join(("| option | |", "|---|---|", *rows)) + "\n"


def argument_word(parameter: Any) -> str:
    word = (parameter.metavar or parameter.name.upper()).strip("[]")
    return word if parameter.required else f"[{word}]"


def plain(text: str) -> str:
    """One line of prose that Markdown shows as it stands."""
    return cell(" ".join(text.split())).replace("<", "&lt;")


def cell(text: str) -> str:
    return text.replace("|", "\\|")


# --- settings ------------------------------------------------------------------------------------------------------


def settings() -> Iterator[str]:
    yield "## Settings\n"
    yield (
        "TOML. Later wins: built-in defaults, a preset or file, the environment (`TUI_TRAINER_PPO__GAMMA` is "
        "`ppo.gamma`), flags and `--set`.\n`tui-trainer config show` prints the values in force and where each comes "
        "from. A task's own options stand under `[task]`: `tui-trainer tasks show ID`.\n"
    )
    tables: dict[str, list[str]] = {}
    for key in known_keys():
        tables.setdefault(key.rpartition(".")[0], []).append(key)
    for table, keys in tables.items():
        rows = (
            f"| `{key.rpartition('.')[2]}` | `{toml_value(get(Config(), key))}` | {cell(sentence(key))} |"
            for key in keys
        )
        yield "\n".join((f"### [{table}]\n", "| setting | default | |", "|---|---|---|", *rows)) + "\n"


def sentence(key: str) -> str:
    choices = setting_choices(key)
    return setting_doc(key) + (f" One of: {', '.join(choices)}." if choices else "")


# --- metrics and formats -------------------------------------------------------------------------------------------


def metrics() -> Iterator[str]:
    yield "## Metrics\n"
    yield (
        "In the journal, exports, charts and conditions (`--expect`, `manager.termination.target`, `pause --when`) a "
        "metric has one name. The x axis is `global_step`; wall time and update stand beside it.\n"
    )
    rows = (f"| `{name}` | {cell(text)} |" for name, text in MEANINGS.items())
    yield "\n".join(("| metric | |", "|---|---|", *rows)) + "\n"


def alert_sections() -> Iterator[str]:
    yield "## Alerts\n"
    yield (
        "Raised once, said again when it turns critical, cleared only past a kinder bound. `telemetry.alerts = false` "
        "switches them off. They reach the panel, the log, callbacks (`AlertRaised`), `[notify]` and exports.\n"
    )
    rows = (
        ("memory", f"{a.MEMORY_HIGH:.0%} used", f"{a.MEMORY_CRITICAL:.0%}", f"below {a.MEMORY_OK:.0%}"),
        ("disk", f"{a.DISK_LOW_GIB:g} GiB free", f"{a.DISK_CRITICAL_GIB:g} GiB", f"above {a.DISK_OK_GIB:g} GiB"),
        ("disk_pace", f"full within {minutes(a.DISK_SOON_S)}", minutes(a.DISK_AT_ONCE_S), f"{minutes(a.DISK_LATER_S)}"),
        ("gpu*_hot", f"{a.GPU_HOT_C:g} °C", f"{a.GPU_CRITICAL_C:g} °C", f"below {a.GPU_OK_C:g} °C"),
        ("sps_low", f"SPS below {a.SLOW:.0%} of what was usual", "-", f"above {a.WELL:.0%}"),
        *((key, text, "-", f"after {CLEAR_AFTER} well updates") for key, (_, text) in CHECKS.items()),
    )
    lines = (f"| `{key}` | {cell(raised)} | {critical} | {cleared} |" for key, raised, critical, cleared in rows)
    yield "\n".join(("| alert | raised | critical | cleared |", "|---|---|---|---|", *lines)) + "\n"


def minutes(seconds: float) -> str:
    return f"{seconds / 60:g} min"


def formats() -> Iterator[str]:
    yield "## Formats\n"
    yield (
        "What scripts may rely on. A change that breaks one of these raises its number, and the new version still "
        "reads the old. Files are UTF-8.\n"
    )
    rows = (
        ("`session.toml`", store.FORMAT, "settings as started, status, summary, lineage, provenance; see below"),
        ("`events.jsonl`", "-", "one event a line, [below](#events); never rewritten"),
        ("`checkpoints/<n>-u<update>/manifest.toml`", checkpoints.FORMAT, fields_of(checkpoints.Manifest)),
        ("`checkpoints/<n>-u<update>/state.pt`", checkpoints.FORMAT, STATE),
        (
            "`NAME.tui.zip` (`sessions pack`)",
            pack.FORMAT,
            "`pack.toml` with every file's size and sha256, then the files",
        ),
        ("`replay.idx`", "-", "an index that may be deleted at any time"),
    )
    lines = (f"| {name} | {number} | {cell(text)} |" for name, number, text in rows)
    yield "\n".join(("| file | format | |", "|---|---|---|", *lines)) + "\n"
    yield f"`session.toml` has {fields_of(store.SessionFile)}; in `[status]` {fields_of(store.SessionStatus)}.\n"
    yield f"`sessions list --json` prints one object a line with {fields_of(store.SessionSummary)}.\n"
    result, part = fields_of(EvalResult), fields_of(PartResult)
    yield (
        f"`eval --json` ends with an object of {result}, and `same_split`: whether that was played on what the session "
        f"held out; each entry of `by` has {part}.\n"
    )


STATE = (
    "one dictionary of tensors and plain values, read with `torch.load(..., weights_only=True)`: `learner`, `task`, "
    "`manager`, `rng`, `place`, `environment`; what depends on wall time under `wall`, which `state_sha256` leaves out"
)


PACKED = "`pack.toml` with every file's size and sha256, then the files"


def fields_of(kind: type) -> str:
    return ", ".join(f"`{field.name}`" for field in msgspec.structs.fields(kind))


# --- events and orders ---------------------------------------------------------------------------------------------


def facts() -> Iterator[str]:
    yield "## Events\n"
    yield (
        "`events.jsonl` and `--json` hold one JSON object a line: `type`, `seq` (1, 2, 3 ... without a gap), `time` "
        "(Unix seconds), `update`, `global_step`, and the fields below. A field at its default may be left out. Events "
        "marked *transient* have `seq` 0 and are not in the journal.\n"
    )
    transient = {kind.__name__ for kind in events.TRANSIENT}
    yield struct_table(typing.get_args(events.AnyEvent), set(events.Event.__struct_fields__), transient)
    yield "## Orders\n"
    yield "What a view or a script may send to a live run; each is answered at once (*received*), then as an event.\n"
    yield struct_table(typing.get_args(commands.AnyCommand), {"id"}, set())


def struct_table(kinds: tuple[type, ...], shared: set[str], transient: set[str]) -> str:
    rows = []
    for kind in kinds:
        fields = ", ".join(f"`{f.name}`" for f in msgspec.structs.fields(kind) if f.name not in shared)
        meaning = " ".join(inspect.cleandoc(kind.__doc__ or "").split())
        mark = " *Transient.*" if kind.__name__ in transient else ""
        rows.append(f"| `{kind.__name__}` | {cell(meaning)}{mark} | {fields} |")
    return "\n".join(("| | | fields |", "|---|---|---|", *rows)) + "\n"


KEYS = Path(__file__).with_name("keys.md")
_TABLES = "<!-- tables made from the code -->\n"


def keys_page() -> str:
    """keys.md: what is written by hand, and the tables behind it."""
    return KEYS.read_text(encoding="utf-8").partition(_TABLES)[0] + _TABLES + "\n" + keys_table()


if __name__ == "__main__":
    KEYS.write_text(keys_page(), encoding="utf-8")
    PAGE.write_text(re.sub(r"\n{3,}", "\n\n", page()), encoding="utf-8")

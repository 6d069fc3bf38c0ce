"""`tasks list | show | check`."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

import msgspec

from tui_trainer import tasks
from tui_trainer.cli.configuring import toml_value
from tui_trainer.cli.listing import table
from tui_trainer.core.config import assignments_layer, resolve
from tui_trainer.core.values import DifficultySpace

LIBRARIES = {
    "gym": ("gymnasium",),
    "vector": ("vtracer", "resvg_py", "PIL"),
    "games": ("pyspiel",),
    "pettingzoo": ("pettingzoo",),
}
"""By extra, what it brings."""


def show_tasks(*, json: bool) -> None:
    """Ids, what they are, and the extra that is missing."""
    rows = [(e.id, e.summary, _missing(e.extra)) for e in [*tasks.TASKS.values(), *tasks.installed().values()]]
    if json:
        for name, summary, missing in rows:
            row = {"id": name, "summary": summary, "missing": missing}
            sys.stdout.write(msgspec.json.encode(row).decode() + "\n")
        return
    print(table([("id", "summary", ""), *((n, s, f"needs {m}" if m else "") for n, s, m in rows)]))
    print("\nyour own: --task module:factory; `tui-trainer tasks check ID` examines any of them")


def show_task(task_id: str) -> None:
    """Observation, actions, parts, difficulty, options."""
    task = tasks.make(task_id, {}, 1)
    spec, space, picture = task.spec, task.difficulty_space(), ""
    task.reset(1)
    picture = task.render_text(0)
    task.close()
    facts = [
        ("observation", f"{list(spec.obs_shape)} {spec.obs_dtype}"),
        ("actions", f"{spec.n} {spec.action}{', masked' if spec.masked else ''}"),
        ("players", str(spec.players)),
        ("score", f"{spec.metric}, {'higher' if spec.higher_is_better else 'lower'} is better"),
        ("evaluated on", ", ".join(spec.parts)),
        ("difficulty", _difficulty(space)),
        ("resume", spec.resume),
    ]
    print("\n".join(f"{name:<14}{value}" for name, value in facts))
    print(f"\n{picture}\n")
    options = (*tasks.options_doc(task_id), *tasks.process_options_doc())
    rows = [(f"task.{option.key}", toml_value(option.default), option.description) for option in options]
    print(table([("option", "default", ""), *rows]))


def check_task(task_id: str, assignments: Sequence[str], patience_s: float) -> int:
    """Print every rule of the conformance kit; 1 where one is broken."""
    from tui_trainer.tasks.check import check_task as examine

    options = resolve([assignments_layer([f"task.{text.removeprefix('task.')}" for text in assignments])]).config.task
    tasks.check_id(task_id)
    tasks.check_options(task_id, options)
    findings = []
    for finding in examine(task_id, options, patience_s=patience_s):
        findings.append(finding)
        print(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.rule:<42} {finding.detail}".rstrip(), flush=True)
    broken = sum(not finding.ok for finding in findings)
    print(f"{task_id}: {len(findings) - broken} of {len(findings)} rules hold")
    return 1 if broken else 0


def _difficulty(space: DifficultySpace | None) -> str:
    if space is None:
        return "none: no advice about it, orders are refused"
    ladder = f"levels {' < '.join(space.levels)}" if space.levels else ""
    span = f"range down to {space.floor:g} in steps of {space.step:g} {space.unit}".strip() if space.ranged else ""
    return "; ".join(part for part in (ladder, span) if part)


def _missing(extra: str) -> str:
    """The extra to install, or nothing where its libraries are there."""
    if not extra or all(map(importlib.util.find_spec, LIBRARIES.get(extra, (extra,)))):
        return ""
    return f"tui-trainer[{extra}]"

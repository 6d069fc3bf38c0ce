"""Runs of other tools where sessions are wanted: replay, facts for reports, rows for tables and lists."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from tui_trainer.client.growing import GrowingReplay
from tui_trainer.client.replay import parse_at
from tui_trainer.core.config import Layer, resolve
from tui_trainer.core.text import clean_line
from tui_trainer.errors import UsageError
from tui_trainer.foreign.places import Place
from tui_trainer.foreign.run import STATE, ForeignRun, Growing, open_run, open_soon
from tui_trainer.reports.facts import Facts
from tui_trainer.sessions.configs import environment_layer, personal_layer


def replay_foreign(place: Place, speed: float, at: str | None, *, no_ui: bool, json: bool) -> int:
    """Play the run in the app, or print it; afterwards tell what could not be read."""
    from tui_trainer.cli.running import may_show

    if no_ui or json or not may_show():
        run = open_run(place)
        code, problems = _print(run, json=json), run.problems
    else:
        code, problems = _play(place, speed, at)
    for problem in problems:
        print(f"tui-trainer: {place.name}: {problem}", file=sys.stderr)
    return code


def _play(place: Place, speed: float, at: str | None) -> tuple[int, tuple[str, ...]]:
    """(exit code of the view, what could not be read)."""
    from tui_trainer.cli.running import leave
    from tui_trainer.cli.settings import view_settings
    from tui_trainer.cli.viewing import aids_of_foreign
    from tui_trainer.ui.terminal import require_terminal

    require_terminal()
    moment = parse_at(at) if at else None
    run = open_soon(place)
    growing = Growing(place, is_whole=run.share >= 1.0)
    source = GrowingReplay(run.name, run.events, growing, speed=speed, at=moment, share=run.share, stop=growing.stop)
    from tui_trainer.ui.app import run_app

    code = leave(run_app(source, view_settings(), aids_of_foreign(run)))
    return code, growing.problems or run.problems


def _print(run: ForeignRun, *, json: bool) -> int:
    from tui_trainer.headless.view import HeadlessView

    view = HeadlessView(sys.stdout, json=json, is_terminal=False)
    for event in run.events:
        view.show(event)
    view.close()
    return 0


def foreign_facts(run: ForeignRun) -> Facts:
    """The run as reports and comparisons see it."""
    return Facts(run.name, run.state(), run.settings, STATE, origin=run.place.tool)


def shown_facts(run: ForeignRun) -> dict[str, object]:
    """What `sessions show` tells of it."""
    state = run.state()
    started = state.started
    return {
        "name": run.name,
        "path": str(run.place.path),
        "state": STATE,
        "origin": run.place.tool,
        "files": [clean_line(str(path)) for path in run.place.files],
        "task": started.task if started else "",
        "algorithm": started.algorithm if started else "",
        "update": state.update,
        "global_step": state.global_step,
        "evaluations": len(state.evaluations),
        "metrics": state.metrics,
        "config": run.settings,
        "problems": list(run.problems),
    }


def report_directory(run: ForeignRun) -> Path:
    """Where its report goes: into the working directory, since nothing is written beside another tool's files."""
    return Path(f"{re.sub(r'[^A-Za-z0-9._-]+', '-', run.name).strip('.-') or 'run'}-report")


def folders(also: list[str] | None, environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Folders of other tools' runs that a list shows: those named now, else those of a person's own `ui.also`."""
    own = environment_layer(environ)
    layers = [personal_layer(environ), Layer(own.origin, {"ui": own.table.get("ui", {})})]
    found = [Path(text).expanduser() for text in also or resolve(layers).config.ui.also]
    for path in found:
        if "\0" in str(path) or not path.is_dir():
            raise UsageError(
                f"{clean_line(str(path))}: no such folder", "--also and ui.also name folders of other runs"
            )
    return tuple(found)

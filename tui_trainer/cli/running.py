"""`run`, `attach`, `resume`: start engines and open views."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tui_trainer.cli import find
from tui_trainer.cli.settings import parse_seeds, resolve_run
from tui_trainer.core.config import Layer, Resolved, assignments_layer, get, resolve
from tui_trainer.errors import SessionInUse, UsageError
from tui_trainer.launch.spawn import spawn
from tui_trainer.sessions.names import default_name
from tui_trainer.sessions.provenance import collect
from tui_trainer.sessions.store import Session

if TYPE_CHECKING:
    from tui_trainer.ui.app import Outcome


class Start(msgspec.Struct):
    """What `run` was told."""

    config: str | None
    flags: Mapping[str, Any]
    assignments: list[str]
    callbacks: list[str]
    sessions: str | None
    no_ui: bool = False
    json: bool = False
    detach: bool = False


class Resume(msgspec.Struct):
    """What `resume` was told."""

    sessions: str | None
    name: str | None
    assignments: list[str]
    no_ui: bool = False
    json: bool = False
    detach: bool = False


def start(wish: Start, seeds: str | None, jobs: int) -> int:
    """`run`: returns the exit code."""
    if seeds is not None:
        return _start_seeds(wish, seeds, jobs)
    if not (wish.no_ui or wish.detach):
        _require_terminal()
    resolved = resolve_run(wish.config, wish.flags, wish.assignments)
    _check_task_options(resolved)
    session = _create(wish.sessions, resolved)
    if wish.no_ui:
        return run_foreground(session, [], wish.callbacks, json=wish.json)
    process = spawn(session, callbacks=wish.callbacks)
    if wish.detach:
        print(session.name)
        return 0
    del process  # it is the engine's own session now; the view finds it by its socket
    return _view(session, starting=True)


def attach_view(sessions: str | None, name: str | None, readonly: bool) -> int:
    """`attach`: the view's exit code."""
    _require_terminal()
    session = find.live_session(sessions, name)
    if session.owner() is None:
        raise UsageError(f"{session.name} is not live", f"`tui-trainer resume {session.name}` or `replay` it")
    return _view(session, readonly=readonly)


def resume_session(wish: Resume) -> int:
    """`resume`: orders a paused run on, or executes the session from its newest good checkpoint."""
    session = find.live_session(wish.sessions, wish.name)
    owner = session.owner()
    if owner is not None:
        return _resume_live(session, owner.pid)
    require_room(session, wish.assignments)
    if not (wish.no_ui or wish.detach):
        _require_terminal()
    if wish.no_ui:
        return run_foreground(session, wish.assignments, [], json=wish.json)
    session.write_status("starting")
    spawn(session, assignments=wish.assignments)
    if wish.detach:
        print(session.name)
        return 0
    return _view(session, starting=True)


def require_room(session: Session, assignments: Sequence[str]) -> None:
    """An end by a limit that was not raised: exit 2 naming it. Damaged beyond use: exit 2, too."""
    file = session.read()
    layers = [Layer("session.toml", file.config), assignments_layer(assignments)]
    config = resolve(layers).config
    reason = file.status.termination_reason
    done = {"max_updates": file.status.update, "max_steps": file.status.global_step}
    if reason not in done:
        return
    key = f"manager.termination.{reason}"
    limit = get(config, key)
    if limit and done[reason] >= limit:
        raise UsageError(f"{session.name} ended by {reason} = {limit:g}", f"raise it: --set {key}={2 * limit:g}")


def run_foreground(session: Session, assignments: Sequence[str], callbacks: Sequence[str], *, json: bool) -> int:
    """The engine in this process, told line by line."""
    from tui_trainer.engine.main import TextHook, redirect_output, run_engine
    from tui_trainer.headless.view import HeadlessView

    is_terminal = sys.stdout.isatty()
    out = redirect_output(session.log_path)
    view = HeadlessView(out, json=json, is_terminal=is_terminal)

    class Hook(TextHook):
        def before_stop(self) -> None:
            view.close()

    try:
        return run_engine(
            session,
            overrides=assignments_layer(assignments),
            callbacks=callbacks,
            listeners=[lambda event, line: view.show(event)],
            on_stop=Hook(),
        )
    finally:
        view.close()


def _resume_live(session: Session, pid: int) -> int:
    from tui_trainer.client.orders import live_state, new_id, order
    from tui_trainer.core.commands import Resume as ResumeCommand

    if live_state(session.path).status != "paused":
        raise SessionInUse(f"{session.name} is running, pid {pid}", f"`tui-trainer attach {session.name}` shows it")
    print(order(session.path, ResumeCommand(id=new_id())))
    return 0


def _start_seeds(wish: Start, text: str, jobs: int) -> int:
    """One detached session a seed, `jobs` at a time; returns when all have started and, past `jobs`, ended."""
    try:
        seeds = parse_seeds(text)
    except ValueError:
        raise UsageError(f"--seeds {text!r} is no list of seeds", "write 0-4 or 1,3,7") from None
    resolved = [resolve_run(wish.config, {**wish.flags, "run.seed": seed}, wish.assignments) for seed in seeds]
    sessions = [_create(wish.sessions, each, suffix=f"-s{seed}") for each, seed in zip(resolved, seeds, strict=True)]
    waiting, worst = list(sessions), 0
    running: list[subprocess.Popen[bytes]] = []
    while waiting or running:
        while waiting and len(running) < jobs:
            session = waiting.pop(0)
            running.append(spawn(session, callbacks=wish.callbacks))
            print(session.name, flush=True)
        if not waiting and wish.detach:
            return 0
        worst = max(worst, running.pop(0).wait())
    return worst


def _create(sessions: str | None, resolved: Resolved, suffix: str = "") -> Session:
    root, config = find.root(sessions), resolved.config
    name = config.run.name + suffix if config.run.name else default_name(root, config.run.task, config.run.algorithm)
    return Session.create(root, name, resolved, collect(sys.argv, Path.cwd()))


def _check_task_options(resolved: Resolved) -> None:
    """Wrong options of the task are told before anything is created; a preset's own are known to be right, so nothing is imported for them."""
    from tui_trainer import tasks

    tasks.check_id(resolved.config.run.task)
    if any(key.startswith("task.") and not origin.startswith("preset") for key, origin in resolved.origins.items()):
        tasks.check_options(resolved.config.run.task, resolved.config.task)


def _require_terminal() -> None:
    """Before anything is created."""
    from tui_trainer.ui.terminal import require_terminal

    require_terminal()


def _view(session: Session, *, readonly: bool = False, starting: bool = False) -> int:
    from tui_trainer.client.live import LiveSource
    from tui_trainer.core.config import UiSettings
    from tui_trainer.ui.app import run_app

    settings = msgspec.convert(session.read().config.get("ui", {}), UiSettings)
    return leave(run_app(LiveSource(Path(session.path), readonly=readonly, starting=starting), settings))


def leave(outcome: Outcome) -> int:
    """Say how the view was left; its exit code is the run's where the run ended in it."""
    print(outcome.text)
    return outcome.exit_code or 0

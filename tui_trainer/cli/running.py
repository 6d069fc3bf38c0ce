"""`run`, `attach`, `resume`: start engines and open views."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from tui_trainer.cli import find
from tui_trainer.cli.settings import parse_seeds, resolve_run, view_settings
from tui_trainer.core.config import Resolved, assignments_layer, get
from tui_trainer.core.events import AnyEvent, RunEnded
from tui_trainer.errors import OrderRefused, SessionInUse, TuiTrainerError, UsageError
from tui_trainer.launch.spawn import spawn
from tui_trainer.sessions.names import check_name, default_name
from tui_trainer.sessions.provenance import collect
from tui_trainer.sessions.store import Session

if TYPE_CHECKING:
    from tui_trainer.telemetry.world import World
    from tui_trainer.ui.outcome import Outcome

_POLL_S = 0.02


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
    callbacks: list[str]
    no_ui: bool = False
    json: bool = False
    detach: bool = False


def start(wish: Start, seeds: str | None, jobs: int) -> int:
    """`run`: returns the exit code."""
    if (place := _place()) is not None:
        return _be_a_rank(wish, place)
    if seeds is not None:
        return _start_seeds(wish, seeds, jobs)
    wish.no_ui = wish.no_ui or not (wish.detach or wish.json or may_show())
    if not (wish.no_ui or wish.detach or wish.json):
        require_app_terminal()
    resolved = resolve_run(wish.config, wish.flags, wish.assignments)
    _check(resolved, wish.callbacks)
    session = _create(wish.sessions, resolved)
    if not wish.detach and (wish.no_ui or wish.json):
        return in_foreground(session, [], wish.callbacks, json=wish.json)
    process = spawn(session, callbacks=wish.callbacks)
    if wish.detach:
        return _tell_started(session, process, json=wish.json)
    del process  # it is the engine's own session now; the view finds it by its socket
    return _view(session, starting=True)


def attach_view(sessions: str | None, name: str | None, readonly: bool) -> int:
    """`attach`: the view's exit code."""
    if name is not None and find.is_study(sessions, name):
        from tui_trainer.cli.tuning import view_study

        require_app_terminal()
        return view_study(find.root(sessions), name)
    if name is not None and (place := find.foreign_place(sessions, name)) is not None:
        from tui_trainer.cli.foreign import replay_foreign

        return replay_foreign(place, 1.0, "end", no_ui=False, json=False)
    in_lines = not may_show()
    if not in_lines:
        require_app_terminal()
    session = find.live_session(sessions, name)
    if session.owner() is None:
        ours = f"`tui-trainer resume {session.name}` or `replay` it"
        script = f"start its script again, or `tui-trainer replay {session.name}`"
        raise UsageError(f"{session.name} is not live", script if session.read().is_guest else ours)
    if in_lines:
        from tui_trainer.cli.following import follow_in_lines

        return follow_in_lines(session)
    return _view(session, readonly=readonly)


def resume_session(wish: Resume) -> int:
    """`resume`: orders a paused run on, or executes the session from its newest good checkpoint."""
    from tui_trainer.sessions.checkpoints import CheckpointStore

    place = _place()
    if place is not None and place.rank:
        from tui_trainer.engine.main import follow_leader

        return follow_leader(place)
    session = find.live_session(wish.sessions, wish.name)
    owner = session.owner()
    if owner is not None:
        if wish.callbacks:
            raise SessionInUse(f"{session.name} is live, pid {owner.pid}", "callbacks are called from a run's start on")
        return _resume_live(session, owner.pid)
    require_own_loop(session)
    for name in wish.callbacks:
        _check_callback(name)
    require_room(session, wish.assignments)
    CheckpointStore(session.path).require_good()
    _require_beginning(session)
    wish.no_ui = wish.no_ui or not (wish.detach or wish.json or may_show())
    if not (wish.no_ui or wish.detach or wish.json):
        require_app_terminal()
    if place is not None:
        return run_foreground(session, wish.assignments, wish.callbacks, json=wish.json)
    return go_on(session, wish.assignments, wish.callbacks, no_ui=wish.no_ui, detach=wish.detach, json=wish.json)


def go_on(
    session: Session,
    assignments: Sequence[str],
    callbacks: Sequence[str] = (),
    *,
    no_ui: bool,
    detach: bool,
    json: bool,
) -> int:
    """Execute a session from its newest checkpoint: here, detached, or detached with the app on it."""
    if not detach and (no_ui or json):
        return in_foreground(session, assignments, callbacks, json=json)
    session.write_status("starting")
    process = spawn(session, assignments=assignments, callbacks=callbacks)
    if detach:
        return _tell_started(session, process, json=json)
    return _view(session, starting=True)


def _tell_started(session: Session, process: subprocess.Popen[bytes], *, json: bool) -> int:
    """The name, for the script that started it, once the run can be waited for."""
    while session.owner() is None and process.poll() is None:
        time.sleep(_POLL_S)
    facts = {"name": session.name, "path": str(session.path)}
    print(msgspec.json.encode(facts).decode() if json else session.name, flush=True)
    return 0


def require_own_loop(session: Session) -> None:
    """A guest's loop is in its script: exit 2, saying how it goes on."""
    file = session.read()
    if file.is_guest:
        command = " ".join(str(word) for word in file.provenance.get("command", ()))
        raise UsageError(
            f"{session.name} is trained by a script of its own, which alone can go on with it",
            f"start it again with guest({session.name!r}, resume=True), where run.restored() gives back what it saved"
            + (f": {command}" if command else ""),
        )


def _require_beginning(session: Session) -> None:
    """A fork that was killed before it had its first checkpoint would train from nothing under its parent's name."""
    from tui_trainer.sessions.checkpoints import CheckpointStore

    lineage = session.read().lineage
    if "state_sha256" in lineage and not CheckpointStore(session.path).manifests():
        origin = f"{lineage.get('parent') or ''} {lineage.get('checkpoint')}".strip()
        raise UsageError(
            f"{session.name} was to begin from {origin}, and was interrupted before it had that",
            f"tui-trainer sessions rm {session.name}, then fork again",
        )


def require_room(session: Session, assignments: Sequence[str]) -> None:
    """An end by a limit that was not raised: exit 2 naming it. Damaged beyond use: exit 2, too."""
    file = session.read()
    config = file.settings(assignments_layer(assignments))
    reason = file.status.termination_reason
    done = {"max_updates": file.status.update, "max_steps": file.status.global_step}
    if reason not in done:
        return
    key = f"manager.termination.{reason}"
    limit = get(config, key)
    if limit and done[reason] >= limit:
        raise UsageError(f"{session.name} ended by {reason} = {limit:g}", f"raise it: --set {key}={2 * limit:g}")


def in_foreground(session: Session, assignments: Sequence[str], callbacks: Sequence[str], *, json: bool) -> int:
    """The engine in this process, or its ranks below it, told line by line."""
    config = session.read().settings(assignments_layer(assignments))
    if config.run.nproc == 1:
        return run_foreground(session, assignments, callbacks, json=json)
    from tui_trainer.launch.ranks import launch

    code = launch(session, assignments, callbacks, "--json" if json else "--lines")
    if code in FAILURES and not sys.stdout.isatty():
        print(f"tui-trainer: {session.name} ended with exit code {code}; see {session.log_path}", file=sys.stderr)
    return code


def _place() -> World | None:
    """Which rank torchrun started this process as; None where it did not."""
    if not {"RANK", "WORLD_SIZE"} <= os.environ.keys():
        return None
    from tui_trainer.telemetry.world import die_with_parent, world

    die_with_parent()
    return world()


def _be_a_rank(wish: Start, place: World) -> int:
    """What torchrun started: rank 0 makes the session, or takes it up after a restart; the others follow it."""
    if place.rank:
        from tui_trainer.engine.main import follow_leader

        return follow_leader(place)
    if not (wish.no_ui or wish.json):
        raise UsageError("torchrun starts no app", "add --no-ui; `tui-trainer attach` shows the run from elsewhere")
    resolved = resolve_run(wish.config, wish.flags, wish.assignments)
    _check(resolved, wish.callbacks)
    name = resolved.config.run.name or place.run_id
    if not place.restarts:
        session = _create(wish.sessions, resolved, name=name)
    elif not name:
        raise UsageError("a restart cannot tell which session it belongs to", "give torchrun's command --name NAME")
    else:
        session = find.session(wish.sessions, name)
        status = session.read().status
        if status.exit_code is not None:
            return status.exit_code  # it came to an end; to begin again would not change that
    return run_foreground(session, [], wish.callbacks, json=wish.json)


def run_foreground(session: Session, assignments: Sequence[str], callbacks: Sequence[str], *, json: bool) -> int:
    """The engine in this process, told line by line."""
    from tui_trainer.client.replay import fold_all
    from tui_trainer.engine.main import TextHook, redirect_output, run_engine
    from tui_trainer.headless.view import HeadlessView

    is_terminal = sys.stdout.isatty()
    complaints = os.fdopen(os.dup(2), "w", errors="replace")
    out = redirect_output(session.log_path)
    view = HeadlessView(
        out, json=json, is_terminal=is_terminal, state=fold_all(session.journal_path), complaints=complaints
    )
    ends: list[RunEnded] = []

    class Hook(TextHook):
        def before_stop(self) -> None:
            view.rest()

    def listen(event: AnyEvent, line: bytes) -> None:
        view.show(event)
        if isinstance(event, RunEnded):
            ends.append(event)

    try:
        code = run_engine(
            session,
            overrides=assignments_layer(assignments),
            callbacks=callbacks,
            listeners=[listen],
            on_stop=Hook(),
        )
    except TuiTrainerError:
        os.dup2(complaints.fileno(), 2)  # such as another engine being faster: it is for the person, not for the log
        raise
    finally:
        view.close()
    if code in FAILURES and ends and not is_terminal:
        _complain_of(ends[-1], complaints)
    return code


FAILURES = (1, 2, 4, 5)
"""Exit codes that a script wants explained on stderr; a person reads it in the last lines."""


def _complain_of(end: RunEnded, stderr: TextIO) -> None:
    with contextlib.suppress(OSError):
        print(f"tui-trainer: {end.reason.name}: {end.reason.evidence}", file=stderr, flush=True)


def _resume_live(session: Session, pid: int) -> int:
    from tui_trainer.client.orders import live_state, new_id, order
    from tui_trainer.core.commands import Resume as ResumeCommand

    try:
        status: str = live_state(session.path).status
    except OrderRefused:
        status = "starting"  # its engine holds the session and does not answer yet
    if status != "paused":
        raise SessionInUse(f"{session.name} is {status}, pid {pid}", f"`tui-trainer attach {session.name}` shows it")
    print(order(session.path, ResumeCommand(id=new_id())))
    return 0


def _start_seeds(wish: Start, text: str, jobs: int) -> int:
    """One detached session a seed, `jobs` at a time; returns when all have started and, past `jobs`, ended."""
    try:
        seeds = parse_seeds(text)
    except ValueError:
        raise UsageError(f"--seeds {text!r} is no list of seeds", "write 0-4 or 1,3,7") from None
    first = resolve_run(wish.config, wish.flags, wish.assignments)
    _check(first, wish.callbacks)
    resolved = [
        resolve_run(wish.config, {**wish.flags, **_on_device(first, index), "run.seed": seed}, wish.assignments)
        for index, seed in enumerate(seeds)
    ]
    sessions = [_create(wish.sessions, each, suffix=f"-s{seed}") for each, seed in zip(resolved, seeds, strict=True)]
    waiting, worst = list(sessions), 0
    running: list[subprocess.Popen[bytes]] = []
    while waiting or running:
        while waiting and len(running) < jobs:
            session = waiting.pop(0)
            running.append(spawn(session, callbacks=wish.callbacks))
            _tell_started(session, running[-1], json=wish.json)
        if not waiting and wish.detach:
            return 0
        worst = max(worst, running.pop(0).wait())
    return worst


def _on_device(resolved: Resolved, index: int) -> dict[str, Any]:
    """The `index`-th seed's device: of run.devices in turn, unless each run's own ranks share those."""
    run = resolved.config.run
    return {"run.device": run.devices[index % len(run.devices)]} if run.devices and run.nproc == 1 else {}


def _create(sessions: str | None, resolved: Resolved, suffix: str = "", name: str = "") -> Session:
    root, config = find.root(sessions), resolved.config
    name = (
        name or config.run.name + suffix
        if config.run.name
        else default_name(root, config.run.task, config.run.algorithm)
    )
    check_name(name)
    return Session.create(root, name, resolved, collect(sys.argv, Path.cwd()))


def _check(resolved: Resolved, callbacks: Sequence[str]) -> None:
    """What is wrong with algorithm, task or callbacks is told before anything is created.

    A built-in task with a preset's options is known to be right: nothing is imported for it. Where a task's module
    is, its numpy must find the threads pinned.
    """
    from tui_trainer import algorithms, tasks
    from tui_trainer.engine.threads import pin_threads

    config = resolved.config
    algorithms.check_id(config.run.algorithm)
    if config.continuous.rules:  # else nothing of theirs is loaded: it would cost the first frame a tenth
        from tui_trainer.engine.callbacks import check_rules

        check_rules(config)
    for path in callbacks:
        _check_callback(path)
    pin_threads(config.run.threads)
    tasks.check_id(config.run.task)
    if any(key.startswith("task.") and not origin.startswith("preset") for key, origin in resolved.origins.items()):
        tasks.check_options(config.run.task, config.task)


def _check_callback(name: str) -> None:
    """A registered name, or `module:object` of a module that is there; imported by the engine alone."""
    from tui_trainer.engine.callbacks import path_of

    module, colon, attribute = path_of(name).partition(":")
    if not (module and colon and attribute):
        raise UsageError(f"--callback {name!r} is not module:object")
    top = module.partition(".")[0]
    if importlib.util.find_spec(top) is None:
        raise UsageError(f"--callback {name}: there is no module {top}", "is it in this directory or installed?")


def may_show() -> bool:
    """False, and said so, where the terminal is one that can only print lines."""
    if os.environ.get("TERM", "") not in ("dumb", ""):
        return True
    term = os.environ.get("TERM") or "(not set)"
    print(f"tui-trainer: TERM={term} cannot show the app: lines instead", file=sys.stderr)
    return False


def require_app_terminal() -> None:
    """Before anything is created."""
    from tui_trainer.ui.terminal import require_terminal

    require_terminal()


def _view(session: Session, *, readonly: bool = False, starting: bool = False) -> int:
    from tui_trainer.cli.viewing import aids_of
    from tui_trainer.client.live import LiveSource
    from tui_trainer.ui.app import run_app

    settings = view_settings(session.read().config)
    source = LiveSource(Path(session.path), readonly=readonly, starting=starting)
    outcome = run_app(source, settings, aids_of(session))
    code = leave(outcome)
    return _do_next(session, outcome.then) if outcome.then else code


def _do_next(session: Session, words: Sequence[str]) -> int:
    """What the person chose after the end: one more command, on the same session."""
    from tui_trainer.cli.main import execute

    verb, *others = words
    where = ["--sessions", str(session.path.parent)] if verb == "fork" else []
    return execute([verb, os.path.join(session.path.parent, session.path.name), *others, *where])


def leave(outcome: Outcome) -> int:
    """Say how the view was left; its exit code is the run's where the run ended in it."""
    print(outcome.text)
    return outcome.exit_code or 0

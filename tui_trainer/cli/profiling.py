"""`profile` and `doctor --calibrate`: short runs of the real engine in a session that is deleted afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from tui_trainer.cli import find
from tui_trainer.cli.listing import table
from tui_trainer.cli.settings import resolve_run
from tui_trainer.core.config import Config, Layer, Resolved, resolve, to_table
from tui_trainer.core.format import percent, si
from tui_trainer.sessions.oslayer import REAL, make_directories, storage_errors
from tui_trainer.sessions.provenance import collect
from tui_trainer.sessions.store import Session
from tui_trainer.studies.calibration import Trial, calibrate
from tui_trainer.studies.profile import OTHER, PHASES, Profile, advice, measure
from tui_trainer.telemetry.sampler import available_cores


class Wish(msgspec.Struct):
    """What `profile` was told."""

    config: str | None
    flags: Mapping[str, str | None]
    assignments: list[str]
    sessions: str | None
    seconds: float
    json: bool = False


def profile(wish: Wish) -> int:
    """Print the phases of a short run, and what would help."""
    resolved = resolve_run(wish.config, wish.flags, wish.assignments)
    busy = _busy()
    found = _measured(resolved.config, wish.sessions, wish.seconds)
    hints = (*busy, *advice(found, resolved.config))
    if wish.json:
        facts = {**msgspec.to_builtins(found), "sps": found.sps, "advice": hints}
        sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")
    else:
        print("\n".join(summary(found, resolved.config, hints)))
    return 0


def summary(found: Profile, config: Config, hints: tuple[str, ...]) -> list[str]:
    """A table of phases and a line for each piece of advice."""
    run = config.run
    rows = [("phase", "share", "ms an update"), *(_row(found, name) for name in (*PHASES, OTHER))]
    beside = f"; {found.saves} saves took {1000 * found.save_s:.0f} ms each beside training" if found.saves else ""
    return [
        f"{run.task} · {run.algorithm} · {run.threads} thread{'s' * (run.threads > 1)}: {si(found.sps)} steps/s, "
        f"{found.updates} updates in {found.seconds:.1f} s",
        "",
        table(rows),
        "",
        f"{found.evaluations} evaluations{beside}",
        *(f"→ {text}" for text in hints),
    ]


def _row(found: Profile, name: str) -> tuple[str, ...]:
    return name, percent(found.share(name)), f"{1000 * found.phases.get(name, 0.0) / found.updates:.3f}"


def calibrate_machine(sessions: str | None, config: str | None, seconds: float, *, json: bool) -> int:
    """Print how fast each number of environments and threads is here, and the settings of the fastest."""
    base = resolve_run(config, {}, []).config
    trials = []
    if not json:
        print("".join(f"→ {text}\n" for text in _busy()), end="")
    for trial in calibrate(base, available_cores(), lambda settings: _measured(settings, sessions, seconds).sps):
        trials.append(trial)
        print(msgspec.json.encode(trial).decode() if json else _told(trial), flush=True)
    best, first = max(trials, key=lambda trial: trial.sps), trials[0]
    if not json:
        print(f"\nfastest here: {_settings(best)} ({best.sps / first.sps:.2f}x of the settings as they are)")
        print("num_envs changes what is learned, too: compare with `tui-trainer ab` before you keep it")
    return 0


def _busy() -> tuple[str, ...]:
    """A word where others use the machine, so that nobody tunes for their load."""
    load, cores = os.getloadavg()[0], available_cores()
    if load < 0.5 * cores:
        return ()
    return (f"others use this machine (load {load:.1f} on {cores} cores): speeds are too low, and shaky",)


def _told(trial: Trial) -> str:
    return f"{si(trial.sps):>8} steps/s  {_settings(trial)}"


def _settings(trial: Trial) -> str:
    return " ".join(f"--set {key}={value}" for key, value in trial.settings.items())


def _measured(config: Config, sessions: str | None, seconds: float) -> Profile:
    with _passing_session(config, sessions, seconds) as session:
        return measure(session)


@contextlib.contextmanager
def _passing_session(config: Config, sessions: str | None, seconds: float) -> Iterator[Session]:
    """A session of so many seconds that leaves nothing behind."""
    root = find.root(sessions)
    with storage_errors(root):
        make_directories(REAL, root)
        directory = Path(tempfile.mkdtemp(prefix=".profile-", dir=root))
    try:
        yield Session.create(directory, "profile", _limited(config, seconds), collect(sys.argv, Path.cwd()))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _limited(config: Config, seconds: float) -> Resolved:
    """The same settings, with no end but this many seconds."""
    limits = {"max_updates": 0, "max_episodes": 0, "max_steps": 0, "max_hours": seconds / 3600}
    termination = {**limits, "target": "", "intelligent": False}
    table = {"manager": {"termination": termination, "evaluation": {"final_episodes": 0}}, "run": {"name": ""}}
    return resolve([Layer("config", to_table(config)), Layer("profile", table)])

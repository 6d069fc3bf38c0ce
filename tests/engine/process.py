"""Drives the real program in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.patience import PATIENCE_S
from tui_trainer.sessions.store import Session

if TYPE_CHECKING:
    from tests.warm import Done, Program

TINY = (
    "--task=tictactoe",
    "--set=ppo.num_envs=8",
    "--set=ppo.n_steps=8",
    "--set=ppo.batch_size=32",
    "--set=ppo.n_epochs=1",
    "--set=manager.evaluation.every_updates=10",
    "--set=manager.evaluation.episodes=4",
    "--set=manager.evaluation.final_episodes=0",
    "--set=manager.checkpoints.every_updates=5",
    "--set=manager.checkpoints.every_minutes=0",
    "--set=manager.checkpoints.keep_last=50",
    "--set=manager.termination.intelligent=false",
    "--set=run.log_every_updates=1",
    "--set=telemetry.interval_s=60",
)


def environment(root: Path) -> dict[str, str]:
    return {**os.environ, **overrides(root)}


def overrides(root: Path) -> dict[str, str]:
    return {"TUI_TRAINER_SESSIONS": str(root), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "tui_trainer", *words]


def run(root: Path, *words: str, timeout: float = PATIENCE_S, typed: str = "", **environ: str) -> Done:
    """A command to its end, `typed` its stdin; forked from a process that has the libraries loaded."""
    from tests.warm import shared

    return shared().run(root, *words, timeout=timeout, typed=typed, **environ)


def start(root: Path, *words: str, **environ: str) -> Program:
    """A command under way, its stdout readable; forked as by `run`."""
    from tests.warm import shared

    return shared().start(root, *words, **environ)


def train(root: Path, *words: str) -> Program:
    """A run under way that answers orders and that nobody reads; as `run --detach`, but forked."""
    program = start(root, "run", "--no-ui", *words)
    wait_for(lambda: (root / "a/session.toml").exists() and Session.open(root / "a").owner())
    return program


def run_cold(root: Path, *words: str, timeout: float = PATIENCE_S, **more: Any) -> subprocess.CompletedProcess[str]:
    """A command to its end, by an interpreter of its own: where its start is the point."""
    return subprocess.run(
        command(*words), env=environment(root), capture_output=True, text=True, timeout=timeout, check=False, **more
    )


def start_cold(root: Path, *words: str) -> subprocess.Popen[str]:
    """A command under way, started by an interpreter of its own: where it is looked for by its command line."""
    return subprocess.Popen(
        command(*words), env=environment(root), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until(process: Program, holds: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Events up to and including the first for which `holds`."""
    seen = []
    for event in process.events():
        seen.append(event)
        if holds(event):
            return seen
    raise AssertionError(f"ended first: {seen[-3:]}, {process.stderr.read()}")


def journal(session: Path) -> list[dict[str, Any]]:
    """Of a run that has ended: every line must be whole."""
    return [json.loads(line) for line in (session / "events.jsonl").read_text().splitlines()]


def journal_so_far(session: Path) -> list[dict[str, Any]]:
    """Of a run that goes on: its last line may be under way, and before its start there is none."""
    path = session / "events.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def so_far(session: Path) -> str:
    """The text of that journal."""
    path = session / "events.jsonl"
    return path.read_text() if path.exists() else ""


def wait_for(holds: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
    """The first true value of `holds`."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.02)
    raise AssertionError("did not happen in time")


def stop(process: Program, number: int = signal.SIGTERM) -> int:
    return process.stop(number)


def names(directory: Path) -> Sequence[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []

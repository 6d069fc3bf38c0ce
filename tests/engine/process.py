"""Drives the real program in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

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


def run(root: Path, *words: str, timeout: float = 60, **more: Any) -> subprocess.CompletedProcess[str]:
    """A command to its end."""
    return subprocess.run(
        command(*words), env=environment(root), capture_output=True, text=True, timeout=timeout, check=False, **more
    )


def start(root: Path, *words: str, **more: Any) -> subprocess.Popen[str]:
    """A command under way, its stdout readable."""
    return subprocess.Popen(
        command(*words), env=environment(root), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more
    )


def events_of(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """JSON lines of a `--json` run as they come."""
    assert process.stdout
    for line in process.stdout:
        yield json.loads(line)


def until(process: subprocess.Popen[str], holds: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Events up to and including the first for which `holds`."""
    seen = []
    for event in events_of(process):
        seen.append(event)
        if holds(event):
            return seen
    raise AssertionError(f"ended first: {seen[-3:]}, {process.stderr.read() if process.stderr else ''}")


def journal(session: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (session / "events.jsonl").read_text().splitlines()]


def wait_for(holds: Callable[[], Any], within_s: float = 30.0) -> Any:
    """The first true value of `holds`."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.02)
    raise AssertionError("did not happen in time")


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
    process.send_signal(number)
    return process.wait(30)


def names(directory: Path) -> Sequence[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []

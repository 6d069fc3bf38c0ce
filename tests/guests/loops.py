"""Small scripts whose loop is their own, and orders given to them while they run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.engine import process as p
from tui_trainer.client.orders import new_id, order
from tui_trainer.core import commands
from tui_trainer.core.commands import AnyCommand
from tui_trainer.guests import Guest, guest
from tui_trainer.sessions.store import Session

QUIET = {"telemetry.interval_s": 60.0, "run.log_every_updates": 1}


def make(root: Path, name: str = "a", config: object = None, **more: Any) -> Guest:
    """A guest whose session lies in `root` and whose every boundary is in the journal."""
    settings = {**QUIET, **more.pop("settings", {})}
    return guest(name, config, sessions=str(root), settings=settings, **more)


def steps(run: Guest, per_update: int = 10) -> Iterator[int]:
    """The loop: one update a turn, until the run says stop."""
    step = run.global_step
    while not run.should_stop:
        step += per_update
        run.log(step, {"train/loss": 1.0 / step})
        yield step


def while_looping(run: Guest, work: Callable[[], Any]) -> Any:
    """What `work`, another terminal, came to while the script's loop went on; its exception where it raised."""
    came: list[Any] = []

    def work_on() -> None:
        try:
            came.append(work())
        except Exception as error:
            came.append(error)

    other = threading.Thread(target=work_on)
    other.start()
    step = run.global_step
    while other.is_alive():
        step += 10
        run.log(step, {"train/loss": 1.0 / step})
        other.join(0.005)
    return came[0]


def ordered(run: Guest, root: Path, command: Callable[[str], AnyCommand]) -> Any:
    """The answer to an order that came over the socket while the loop went on."""
    return while_looping(run, lambda: order(root / run.name, command(new_id())))


def kinds(root: Path, name: str = "a") -> list[str]:
    return [event["type"] for event in p.journal(root / name)]


def told(root: Path, kind: str, name: str = "a") -> list[dict[str, Any]]:
    return [event for event in p.journal(root / name) if event["type"] == kind]


def status(root: Path, name: str = "a") -> Any:
    return Session.open(root / name).read().status


__all__ = ["commands", "kinds", "make", "ordered", "status", "steps", "told", "while_looping"]

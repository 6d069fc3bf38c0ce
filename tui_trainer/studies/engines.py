"""One engine of many: start it, read its journal as it grows, stop it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import msgspec

from tui_trainer.client.orders import new_id, order
from tui_trainer.core.commands import Stop
from tui_trainer.core.events import AnyEvent, EvaluationFinished, RunResumed, decode
from tui_trainer.errors import OrderRefused
from tui_trainer.launch.spawn import spawn
from tui_trainer.sessions.store import Session

LIMITS = ("max_updates", "max_episodes", "max_steps")
"""Ends after which there is nothing left to do."""
POLL_S = 0.05


class Follower:
    """A session's engine and what it has told so far. A session that is done already is only read."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._offset = 0
        self._process: subprocess.Popen[bytes] | None = None
        if not is_done(session):
            settle(session)
            session.write_status("starting")
            self._process = spawn(session)

    @property
    def has_ended(self) -> bool:
        """The process is gone; `news` then tells the rest."""
        return self._process is None or self._process.poll() is not None

    @property
    def exit_code(self) -> int:
        """The engine's, once it has ended; negative where a signal killed it."""
        return 0 if self._process is None else self._process.wait()

    @property
    def reason(self) -> str:
        """Why the run ended, as its session says; empty where it could not say so."""
        return self.session.read().status.termination_reason

    def news(self) -> Iterator[AnyEvent]:
        """Events since the last call. A torn line waits for its end; a damaged one is skipped."""
        with self.session.journal_path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            try:
                yield decode(line)
            except msgspec.MsgspecError:
                continue

    def stop(self) -> None:
        """The order that `tui-trainer stop` gives; returns when the engine has saved and left."""
        while not self.has_ended and not stop_engine(self.session):
            time.sleep(POLL_S)  # it was started a moment ago and does not hold its session yet
        if self._process is not None:
            self._process.wait()


def is_done(session: Session) -> bool:
    """Whether the run reached a hard limit."""
    status = session.read().status
    return status.exit_code == 0 and status.termination_reason in LIMITS


def settle(session: Session) -> None:
    """End an engine that outlived whoever started it, so that this session can be taken up."""
    stop_engine(session)
    while session.owner() is not None:
        time.sleep(POLL_S)


def stop_engine(session: Session) -> bool:
    """Order it to save and end, as soon as it listens; False where no engine holds the session."""
    while session.owner() is not None:
        try:
            order(session.path, Stop(id=new_id()))
            return True
        except OrderRefused:
            time.sleep(POLL_S)
    return False


class Curve:
    """The reference evaluations of a run by update: what a resume went back behind does not count."""

    def __init__(self) -> None:
        self.points: dict[int, tuple[int, float]] = {}
        """update -> (global_step, score)"""

    def take(self, event: AnyEvent) -> bool:
        """Whether the event was an evaluation not seen before."""
        match event:
            case RunResumed(from_update=update):
                self.points = {at: point for at, point in self.points.items() if at <= update}
            case EvaluationFinished(suite="reference", update=update, global_step=step, result=result):
                is_new = update not in self.points
                self.points[update] = (step, result.value)
                return is_new
            case _:
                pass
        return False

    @property
    def last(self) -> float | None:
        """The newest score."""
        return self.points[max(self.points)][1] if self.points else None

    def at_step(self, step: int) -> float | None:
        """The newest score at or before a step."""
        found = [point for point in self.points.values() if point[0] <= step]
        return max(found)[1] if found else None

    @property
    def steps(self) -> int:
        """Step of the newest evaluation; 0 before the first."""
        return max((step for step, _ in self.points.values()), default=0)

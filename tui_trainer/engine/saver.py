"""Checkpoints are written by a thread of their own: training stops only for the copy in memory.

At most one save is under way and one waits. A waiting regular save gives way to a newer one; every other kind makes
the loop wait for its turn, so that none is skipped. A refused save is tried again until the disk takes it.
"""

from __future__ import annotations

import threading
from typing import Protocol

import msgspec

from tui_trainer.core.values import CheckpointKind, Metrics
from tui_trainer.engine.inbox import Inbox, SaveDone, SaveFailed, StorageBack
from tui_trainer.errors import TuiTrainerError

RETRY_S = 1.0


class Written(msgspec.Struct, frozen=True):
    """What the store says of a finished save."""

    number: int
    path: str
    size: int
    state_sha256: str
    seconds: float
    pruned: tuple[str, ...]


class SaveJob(msgspec.Struct, frozen=True):
    """A frozen state and what its manifest says."""

    frozen: object
    kind: CheckpointKind
    update: int
    global_step: int
    metrics: Metrics
    score: float | None
    exact: bool


class Writer(Protocol):
    """Writes one job to the disk; raises OSError or StorageError where the disk refuses."""

    def __call__(self, job: SaveJob) -> Written: ...


class Saver:
    """The thread. Results arrive in the inbox."""

    def __init__(self, write: Writer, inbox: Inbox) -> None:
        self._write = write
        self._inbox = inbox
        self._changed = threading.Condition()
        self._waiting: SaveJob | None = None
        self._busy = False
        self._stopped = False
        self._refused = False
        self._thread = threading.Thread(target=self._main, name="saver", daemon=True)
        self._thread.start()

    def submit(self, job: SaveJob) -> None:
        """Queue a save; blocks only while a save that must not be skipped is waiting."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is None or self._waiting.kind == "regular" or self._refused)
            self._waiting = job
            self._changed.notify_all()

    def finish(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing is queued or under way; False when that did not happen in time or the disk refuses."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_idle or self._refused, timeout_s)
            return self._is_idle

    def stop(self) -> None:
        """Take no further job; one under way completes or is discarded whole."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def is_refused(self) -> bool:
        """True while the disk refuses a waiting save."""
        return self._refused

    @property
    def _is_idle(self) -> bool:
        return self._waiting is None and not self._busy

    def _main(self) -> None:
        while (job := self._next()) is not None:
            self._attempt(job)

    def _next(self) -> SaveJob | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._stopped)
            if self._stopped:
                return None
            job, self._waiting = self._waiting, None
            self._busy = True
            self._changed.notify_all()
            return job

    def _attempt(self, job: SaveJob) -> None:
        """Write `job`, again and again while the disk refuses and nothing newer waits."""
        while True:
            try:
                written = self._write(job)
            except (OSError, TuiTrainerError) as error:
                if not self._retry(job, error):
                    return
            else:
                self._done(job, written)
                return

    def _retry(self, job: SaveJob, error: Exception) -> bool:
        """Report the refusal once, wait a little; False when the job is given up for a newer one or for the end."""
        with self._changed:
            first, self._refused = not self._refused, True
            if first:
                self._inbox.put(SaveFailed(job.kind, _reason(error)))
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._stopped, RETRY_S)
            newer = self._waiting is not None and job.kind == "regular"
            if self._stopped or newer:
                self._busy = False
                self._changed.notify_all()
                return False
            return True

    def _done(self, job: SaveJob, written: Written) -> None:
        self._inbox.put(
            SaveDone(
                number=written.number,
                kind=job.kind,
                path=written.path,
                update=job.update,
                global_step=job.global_step,
                size=written.size,
                state_sha256=written.state_sha256,
                score=job.score,
                seconds=written.seconds,
                exact=job.exact,
                pruned=written.pruned,
            )
        )
        with self._changed:
            self._busy = False
            if self._refused:
                self._refused = False
                self._inbox.put(StorageBack())
            self._changed.notify_all()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        where = f" in {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{where}"
    return str(error)

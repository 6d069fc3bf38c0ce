"""Worker processes for foreign libraries: what panics, dies or hangs there is a failed job, never the caller's end.

Each worker imports one function and calls it for one job after another. It ends when its caller does: at the end of
the pipe, and on Linux by the kernel's signal, even amid a job.
"""

from __future__ import annotations

import collections
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

START_S = 30.0
"""A worker's first answer may take this much longer: it imports its libraries."""
_POLL_S = 5.0


class Failed(NamedTuple):
    """A job that gave no result."""

    why: str


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, function: str) -> None:
        ours, theirs = socket.socketpair()
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "OMP_NUM_THREADS": "1",
            "RUST_BACKTRACE": "0",
        }
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tui_trainer.data.worker", str(theirs.fileno()), str(os.getpid()), function],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
            )
        self.connection = Connection(ours.detach())
        self.is_new = True
        self.job = -1
        self.since = 0.0

    def give(self, number: int, job: object) -> None:
        self.job, self.since = number, time.monotonic()
        self.connection.send(job)

    def is_late(self, limit_s: float) -> bool:
        return time.monotonic() - self.since > limit_s + (START_S if self.is_new else 0.0)

    def close(self) -> None:
        """The pipe's end lets it go; a worker amid a job is killed."""
        self.connection.close()
        if self.job >= 0:
            self.process.kill()
        try:
            self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Workers:
    """Up to `count` processes that call `function` (`module:name`); started when there is work for them."""

    def __init__(self, function: str, count: int, timeout_s: float) -> None:
        self._function, self._count, self._timeout_s = function, max(1, count), timeout_s
        self._workers: list[_Worker] = []

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the processes that live now."""
        return tuple(worker.process.pid for worker in self._workers)

    def map(self, jobs: Sequence[Any]) -> list[Any]:
        """A result or a `Failed` for each job, in order. Jobs and results are pickled."""
        results: list[Any] = [Failed("not done")] * len(jobs)
        waiting = collections.deque(range(len(jobs)))
        busy: list[_Worker] = []
        while waiting or busy:
            while waiting and len(busy) < self._count:
                if (worker := self._started(busy, jobs, waiting, results)) is not None:
                    busy.append(worker)
            for worker in self._ready(busy):
                busy.remove(worker)
                number = worker.job
                results[number] = self._outcome(worker)
        return results

    def _started(
        self, busy: list[_Worker], jobs: Sequence[Any], waiting: collections.deque[int], results: list[Any]
    ) -> _Worker | None:
        """An idle worker with the next job; None where it died on taking it."""
        idle = [worker for worker in self._workers if worker not in busy]
        worker = idle[0] if idle else self._new()
        number = waiting.popleft()
        try:
            worker.give(number, jobs[number])
        except OSError:
            results[number] = Failed(self._died(worker))
            return None
        return worker

    def _new(self) -> _Worker:
        worker = _Worker(self._function)
        self._workers.append(worker)
        return worker

    def _ready(self, busy: list[_Worker]) -> Iterable[_Worker]:
        """Those that have answered, died, or are late."""
        shortest = min(self._timeout_s, _POLL_S)
        ready = wait([worker.connection for worker in busy], shortest)
        return [worker for worker in busy if worker.connection in ready or worker.is_late(self._timeout_s)]

    def _outcome(self, worker: _Worker) -> Any:
        if not worker.connection.poll():
            self._drop(worker)
            return Failed(f"no answer within {self._timeout_s:g} s")
        try:
            done, value = worker.connection.recv()
        except (EOFError, OSError):
            return Failed(self._died(worker))
        worker.is_new, worker.job = False, -1
        return value if done else Failed(value)

    def _died(self, worker: _Worker) -> str:
        self._drop(worker)
        return f"the worker process ended with {worker.process.returncode}"

    def _drop(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.close()

    def close(self) -> None:
        """End every process; a later `map` starts new ones."""
        for worker in self._workers:
            worker.close()
        self._workers.clear()

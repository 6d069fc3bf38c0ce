"""The engine's end of a worker process: orders with a time limit."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from typing import Any

from tui_trainer import errors
from tui_trainer.core.protocols import Policy
from tui_trainer.core.text import clean_line
from tui_trainer.errors import TuiTrainerError

START_S = 60.0
"""A worker's first answer may take this much longer: it imports its libraries."""

PREPARE_S = 600.0
"""What a task keeps for its final evaluation may take this much longer until it is ready: baselines are played."""


class Lost(Exception):
    """The worker died or did not answer in time; the message tells which."""


class EnvironmentRaised(Exception):
    """What an environment raised in its worker."""


class Process:
    """One worker with a share of the environments. `who` names them in messages."""

    def __init__(self, who: str, timeout_s: float, recipe: tuple[Any, ...]) -> None:
        self.who, self._timeout_s, self._recipe = who, timeout_s, recipe
        self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tui_trainer.tasks.remote.worker", str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
            )
        self._connection = Connection(ours.detach())
        self.send("make", *self._recipe)
        self.facts = self._answer(self._timeout_s + START_S, None)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def restart(self) -> None:
        """Kill it and begin with a new one."""
        self.close()
        self._start()

    def send(self, method: str, *given: Any) -> None:
        """Give an order; `receive` waits for what becomes of it."""
        try:
            self._connection.send((method, given))
        except OSError:
            raise Lost(self._died()) from None

    def receive(self) -> Any:
        """The order's result. Raises Lost, what our own code raised there, and EnvironmentRaised."""
        return self._answer(self._timeout_s, None)

    def call(self, method: str, *given: Any, policy: Policy | None = None, patience_s: float = 0.0) -> Any:
        """An order and its result; the first answer may take `patience_s` longer than a step."""
        self.send(method, *given)
        return self._answer(self._timeout_s + patience_s, policy)

    def _answer(self, limit_s: float, policy: Policy | None) -> Any:
        """What comes within the limit, and after that within a step's."""
        while True:
            if not self._connection.poll(limit_s):
                raise Lost(f"{self.who} did not answer within {limit_s:g} s")
            try:
                kind, name, value = self._connection.recv()
            except (EOFError, OSError):
                raise Lost(self._died()) from None
            match kind:
                case "done":
                    return value
                case "ask":
                    self._connection.send(getattr(policy, name)(*value))
                    limit_s = self._timeout_s
                case "refused":
                    raise _ours(name)(*value)
                case _:
                    raise EnvironmentRaised(clean_line(f"{name}: {value}"))

    def _died(self) -> str:
        code = self._process.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
        return f"{self.who} {how}"

    def close(self) -> None:
        """End it, whatever it does."""
        self._connection.close()
        self._process.kill()
        self._process.wait()


def _ours(name: str) -> type[TuiTrainerError]:
    found = getattr(errors, name, TuiTrainerError)
    return found if isinstance(found, type) and issubclass(found, TuiTrainerError) else TuiTrainerError

"""A worker process: `python -m tui_trainer.tasks.remote.worker FD PARENT`. Carries out a task's methods."""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing.connection import Connection
from typing import Any

from tui_trainer import tasks
from tui_trainer.core.protocols import HasBound, HasFinal, HasSplit, Judge, Task
from tui_trainer.data.worker import die_with
from tui_trainer.errors import TuiTrainerError
from tui_trainer.tasks.arrays import Array, Bool, Float


class AskedPolicy:
    """The engine's policy, asked through the pipe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def act(self, obs: Array, mask: Bool | None) -> Array:
        """Greedy actions."""
        found: Array = self._ask("act", obs, mask)
        return found

    def probabilities(self, obs: Array, mask: Bool | None) -> Float:
        """Probabilities (N, n)."""
        found: Float = self._ask("probabilities", obs, mask)
        return found

    def value(self, obs: Array) -> Float:
        """Values (N,)."""
        found: Float = self._ask("value", obs)
        return found

    def _ask(self, what: str, *seen: Any) -> Any:
        self._connection.send(("ask", what, seen))
        return self._connection.recv()


def main() -> None:
    """Carry out one order after the other, until the pipe ends."""
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    die_with(parent)
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(name, signal.SIG_IGN)  # sent to the whole group: the engine decides
    os.dup2(2, 1)  # what an environment prints goes where the engine's complaints go
    connection = Connection(descriptor)
    task: Task | None = None
    while True:
        try:
            method, given = connection.recv()
        except (EOFError, OSError):
            return
        try:
            if method == "make":
                task = tasks.make(*given)
                answer: object = (task.spec, task.difficulty_space(), task.baselines())
            else:
                assert task is not None
                answer = _carried_out(task, method, given, connection)
        except TuiTrainerError as error:
            connection.send(("refused", type(error).__name__, (error.message, error.hint)))
        except Exception as error:  # the boundary to somebody else's environment
            connection.send(("raised", type(error).__name__, str(error)))
        else:
            connection.send(("done", "", answer))


def _carried_out(task: Task, method: str, given: Any, connection: Connection) -> object:
    if method == "evaluate":
        part, episodes, seed, is_final = given
        judge = _final(task) if is_final else task
        return judge.evaluate(AskedPolicy(connection), part=part, episodes=episodes, seed=seed)
    if method == "final_facts":
        judge = _final(task)
        return judge.baselines(), judge.bound() if isinstance(judge, HasBound) else None
    if method == "recall_split":
        return task.recall_split(*given) if isinstance(task, HasSplit) else True
    return getattr(task, method)(*given)


def _final(task: Task) -> Judge:
    return task.final() if isinstance(task, HasFinal) else task


if __name__ == "__main__":
    main()

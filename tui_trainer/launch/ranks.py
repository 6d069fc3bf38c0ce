"""Starts the ranks of a run on this machine and stays with them: torchrun runs them and begins anew where one is lost.

`python -m tui_trainer.launch.ranks SESSION`, or the same call in the foreground process. Signals go on to rank 0, which
saves and ends all; whoever of launcher, torchrun and ranks is killed takes the others with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from tui_trainer.core.config import assignments_layer
from tui_trainer.errors import TuiTrainerError
from tui_trainer.sessions import lock as locks
from tui_trainer.sessions import words
from tui_trainer.sessions.oslayer import storage_errors
from tui_trainer.sessions.store import Session
from tui_trainer.telemetry.world import die_with_parent

POLL_S = 0.2
GRACE_S = 600
"""What torchrun gives the ranks to save before it kills them."""
_LAST = (signal.SIGTERM, signal.SIGINT)


def launch(session: Session, assignments: Sequence[str], callbacks: Sequence[str], *how: str) -> int:
    """Run the session on `run.nproc` ranks to its end; returns the run's exit code, 1 where too many were lost.

    `how` says what rank 0 prints, as `cli.rank` takes it.
    """
    run = session.read().settings(assignments_layer(assignments)).run
    with session.launcher_lock():
        session.write_status("starting")
        torchrun = [
            sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={run.nproc}",
            f"--max-restarts={run.max_restarts}", f"--shutdown-timeout={GRACE_S}", "-m", "tui_trainer.cli.rank",
        ]  # fmt: skip
        keeper = Keeper(session)
        keeper.install()
        keeper.stay_with([*torchrun, *words.written(session.path, assignments, callbacks), *how], run.threads)
        return _exit_code(session.path)


def _exit_code(path: Path) -> int:
    """What the run said last; where it said nothing, that it is lost."""
    session = Session.open(path)
    status = session.read().status
    if status.exit_code is None:
        session.write_status("crashed", exit_code=1)
        return 1
    return status.exit_code


class Keeper:
    """Holds torchrun as a child and passes signals on."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: signal.Signals | None = None
        self._told = 0

    def install(self) -> None:
        """Take over this process's handlers."""
        for number in (*_LAST, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, self._handle)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def stay_with(self, command: Sequence[str], threads: int) -> None:
        """Until torchrun has ended."""
        with storage_errors(self._session.path):
            log = os.open(self._session.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_parent,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"},
        )
        os.close(log)
        while self._process.poll() is None:
            self._wait()

    def _wait(self) -> None:
        """An order to end that reached no rank 0, or one that died of it, holds for the next."""
        assert self._process is not None
        try:
            self._process.wait(POLL_S)
        except subprocess.TimeoutExpired:
            pid = self._rank_zero()
            if self._asked is not None and pid not in (0, self._told):
                self._send(pid, self._asked)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        asked = signal.Signals(number)
        pid = self._rank_zero()
        if pid:
            self._send(pid, asked)
        if asked in _LAST:
            if self._asked is not None and self._process is not None:
                self._process.kill()  # a second time: at once
            self._asked = asked

    def _send(self, pid: int, number: signal.Signals) -> None:
        if number in _LAST:
            self._told = pid
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return

    def _rank_zero(self) -> int:
        """The process that holds the session; 0 while none does."""
        owner = locks.owner(self._session.lock_path)
        return owner.pid if owner else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry of the detached launcher."""
    args = words.parser("tui_trainer.launch.ranks").parse_args(argv)
    try:
        return launch(Session.open(args.session), args.assignments, args.callbacks)
    except TuiTrainerError as error:
        print(f"tui-trainer: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    raise SystemExit(main())

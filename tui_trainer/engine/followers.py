"""The other ranks of a rerun: processes on this machine that follow this one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

GRACE_S = 60
"""What they have to end in once they were let go."""


class Followers:
    """Ranks 1 to size - 1; none where size is 1. Leaving the context lets none of them stay."""

    def __init__(self, session: Path, size: int, threads: int) -> None:
        self._session, self._size, self._threads = session, size, threads
        self._processes: list[subprocess.Popen[bytes]] = []
        self._cores = os.sched_getaffinity(0) if sys.platform == "linux" else set()

    @contextmanager
    def meeting(self) -> Iterator[None]:
        """Start them; within, this process is rank 0 by its environment and may join the group."""
        if self._size == 1:
            yield
            return
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(self._size)}
        place |= {"LOCAL_WORLD_SIZE": str(self._size), "OMP_NUM_THREADS": str(self._threads)}
        self._processes = [self._started(rank, place) for rank in range(1, self._size)]
        before = dict(os.environ)
        os.environ.update(place, RANK="0", LOCAL_RANK="0")
        with ExitStack() as unless_met:
            unless_met.callback(self._kill)
            try:
                yield
            finally:
                os.environ.clear()
                os.environ.update(before)
            unless_met.pop_all()

    def _started(self, rank: int, place: dict[str, str]) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "tui_trainer.cli.rank", os.path.abspath(self._session)]
        env = {**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=env)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            with suppress(subprocess.TimeoutExpired):
                for process in self._processes:
                    process.wait(GRACE_S)
        self._kill()
        if self._cores:
            os.sched_setaffinity(0, self._cores)  # as one of several ranks this process kept to its part

    def _kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])

"""The view's end of a duel: starts the process that holds the policy, asks it, and ends it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Protocol

import msgspec

from tui_trainer.core import duel as d
from tui_trainer.core.text import clean_line
from tui_trainer.errors import (
    Diverged,
    OrderRefused,
    SessionInUse,
    StorageError,
    TuiTrainerError,
    UsageError,
)

_ERRORS: Mapping[int, type[TuiTrainerError]] = {
    kind.exit_code: kind for kind in (UsageError, SessionInUse, StorageError, Diverged, OrderRefused)
}
_PATIENCE_S = 2.0


class DuelLine(Protocol):
    """What a view needs of a duel."""

    @property
    def opened(self) -> d.Opened: ...

    def ask(self, question: d.Question) -> d.Position | d.Declined:
        """One question, one answer; blocks. Raises a TuiTrainerError once the duel is over."""
        ...

    def close(self) -> None: ...


class DuelProcess:
    """The child process. Made in the main thread: on Linux the child dies with the thread that started it."""

    def __init__(self, wish: d.Open) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the child does
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tui_trainer.engine.duel", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        try:
            answer = self._exchange(wish)
        except BaseException:
            self.close()
            raise
        assert isinstance(answer, d.Opened)
        self.opened = answer

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._child.pid

    def ask(self, question: d.Question) -> d.Position | d.Declined:
        """See DuelLine."""
        answer = self._exchange(question)
        assert isinstance(answer, d.Position | d.Declined)
        return answer

    def _exchange(self, question: d.Question) -> d.Opened | d.Position | d.Declined:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write(d.encode(question))
            self._child.stdin.flush()
            line = self._child.stdout.readline()
            answer = d.decode_answer(line) if line else None
        except (BrokenPipeError, ConnectionResetError, msgspec.MsgspecError):
            answer = None
        if answer is None:
            raise TuiTrainerError(f"the process that plays is gone: {self._last_words()}")
        if isinstance(answer, d.Failed):
            raise _ERRORS.get(answer.exit_code, TuiTrainerError)(answer.message, answer.hint)
        return answer

    def _last_words(self) -> str:
        """The last line that it wrote to stderr, or how it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(_PATIENCE_S)
        self._errors.seek(0)
        lines = [line for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        return clean_line(lines[-1]) if lines else f"it ended with {self._child.returncode}"

    def close(self) -> None:
        """End of input ends it; one that does not listen is killed."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.close()
        try:
            self._child.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()  # only now: another thread may have been reading
        self._errors.close()

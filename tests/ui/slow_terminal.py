"""A terminal at the end of a slow line: it reads so many bytes a second, and tells when it is asked how far it is."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tests.ui.pty_terminal import PtyTerminal
from tui_trainer.ui.line import ANSWER, QUESTION


class SlowTerminal(PtyTerminal):
    """`rate` bytes a second; None reads as fast as it can."""

    def __init__(
        self,
        command: list[str],
        width: int,
        height: int,
        environ: Mapping[str, str] = {},
        *,
        rate: int | None = None,
    ) -> None:
        super().__init__(command, width, height, environ)
        self._rate = rate
        self.CHUNK = 50 if rate is not None else self.CHUNK
        self._tail = b""

    def hear(self, data: bytes) -> None:
        """Answer other questions in what has come, which stand before those."""

    def read(self, timeout_s: float) -> bytes:
        """What has come by now, a sip of it on a slow line; questions in it are answered."""
        data = super().read(timeout_s)
        self.hear(data)
        if self._rate is not None and data:
            time.sleep(len(data) / self._rate)
        seen = self._tail + data
        for _ in range(seen.count(QUESTION.encode())):
            self.key(ANSWER.encode())
        self._tail = seen.rpartition(QUESTION.encode())[2][-len(QUESTION) + 1 :]
        return data

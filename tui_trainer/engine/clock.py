"""The run's clock: monotonic seconds in which the time spent stopped (SIGTSTP, a suspended machine) does not count."""

from __future__ import annotations

import time


class SteadyClock:
    """Callable: seconds. `skip` takes out a gap that was noticed from outside."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def __call__(self) -> float:
        return time.monotonic() - self._skipped

    def skip(self, seconds: float) -> None:
        """Leave a gap out of every later reading."""
        self._skipped += max(0.0, seconds)

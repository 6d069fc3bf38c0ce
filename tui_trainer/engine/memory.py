"""`run.memory_limit_gib`: when the run must save and pause. Pure."""

from __future__ import annotations

SHARE = 0.95
"""Of the limit, from which on the run pauses."""
EASED = 0.90
"""Of the limit, below which it is as if it had never been reached."""


class MemoryLimit:
    """Watches the resident memory of the engine and its children. Tells once, and again for each further 5 %, so that
    a person may let the run go on."""

    def __init__(self, limit_gib: float) -> None:
        """0 = no limit."""
        self._limit = limit_gib
        self._bound = SHARE * limit_gib

    def exceeded(self, rss_gib: float) -> str:
        """Why the run pauses, in one sentence; empty while it need not."""
        if not self._limit:
            return ""
        if rss_gib < EASED * self._limit:
            self._bound = SHARE * self._limit
        if rss_gib < self._bound:
            return ""
        self._bound = rss_gib + (1 - SHARE) * self._limit
        return (
            f"{rss_gib:.2f} GiB of memory in use, run.memory_limit_gib is {self._limit:g}: resume, or stop and raise it"
        )

"""When the disk will be full at its present pace. Pure: time and bytes come in as arguments."""

from __future__ import annotations

from collections import deque

WINDOW_S = 600.0
"""The pace is that of the last ten minutes."""
EVERY_S = 5.0
SPAN_S = 180.0
"""No forecast before this much has been seen."""
FARTHEST_S = 30 * 86400.0
"""Beyond a month there is nothing to say."""
SHARE = 0.6


class DiskPace:
    """Watches free bytes. One large file is no pace: a quantile of all slopes counts (after Theil 1950, Sen 1968)."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self._slope = 0.0

    def observe(self, now: float, free: int) -> float | None:
        """Seconds until nothing is free; None while it does not shrink, or shrinks too slowly to matter."""
        if not self._seen or now - self._seen[-1][0] >= EVERY_S:
            self._note(now, free)
        if self._slope >= 0:
            return None
        left = free / -self._slope
        return left if left < FARTHEST_S else None

    def _note(self, now: float, free: int) -> None:
        self._seen.append((now, free))
        while now - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        is_long = self._seen[-1][0] - self._seen[0][0] >= SPAN_S
        self._slope = _slope(list(self._seen)) if is_long else 0.0


def _slope(points: list[tuple[float, int]]) -> float:
    """Bytes a second: what three in five of all pairs fall by at least. One step reaches half of them at most."""
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1 :])
    return slopes[int(SHARE * len(slopes))]

"""Measures the loop: SPS, seconds by phase, and which updates are worth a line in the journal."""

from __future__ import annotations

from collections.abc import Callable

from tui_trainer.core.events import UpdateFinished
from tui_trainer.core.reports import CollectReport, UpdateReport
from tui_trainer.core.values import Metrics

LINES_PER_S = 2.0
"""Journal lines a second aimed at when the interval is chosen; at most five are promised."""
CHOOSE_AFTER_S = 1.0
CHOOSE_AFTER_UPDATES = 2


class Meter:
    """Sums up updates. `every` is fixed once, from the first second of training, and recorded with the session."""

    def __init__(self, every: int, clock: Callable[[], float]) -> None:
        self.every = every
        self._clock = clock
        self._began = clock()
        self._since = clock()
        self._updates = 0
        self._seen = 0
        self._last = 1
        self._steps = 0
        self._waited = 0.0
        self._seconds: dict[str, float] = {}
        self._metrics: Metrics = {}

    def add(self, phase: str, seconds: float) -> None:
        """Time spent in a phase; no more than has passed on the run's clock, which a stopped process does not move."""
        spent = max(0.0, min(seconds, self._clock() - self._since))
        if phase:
            self._seconds[phase] = self._seconds.get(phase, 0.0) + spent
        if phase == "wait":
            self._waited += spent

    def collected(self, report: CollectReport) -> None:
        """A slice of a rollout."""
        self._steps += report.steps
        self._note(report.metrics, report.seconds)

    def learned(self, report: UpdateReport) -> None:
        """A finished update, or several handed over at once."""
        self._updates += report.updates
        self._seen += report.updates
        self._last = report.updates
        self._note(report.metrics, report.seconds)

    def told(self, metrics: Metrics) -> None:
        """Numbers from outside: they stand in the next event."""
        self._metrics.update(metrics)

    def summary(self, episodes: int, elapsed_s: float) -> UpdateFinished | None:
        """The event for the updates since the last one, when one is due."""
        if not self.every:
            self._choose()
        return self.flush(episodes, elapsed_s) if self._is_due() else None

    def flush(self, episodes: int, elapsed_s: float) -> UpdateFinished | None:
        """As `summary`, due or not; None when there was no update."""
        if not self._updates:
            return None
        now = self._clock()
        busy = now - self._since - self._waited
        event = UpdateFinished(
            updates=self._updates,
            metrics={name: _short(value) for name, value in self._metrics.items()},
            sps=round(self._steps / busy, 1) if busy > 0 else 0.0,
            seconds={name: round(value, 5) for name, value in self._seconds.items()},
            episodes=episodes,
            elapsed_s=round(elapsed_s, 3),
        )
        self._since, self._updates, self._steps, self._waited = now, 0, 0, 0.0
        self._seconds, self._metrics = {}, {}
        return event

    def _is_due(self) -> bool:
        if self.every:
            return self._seen // self.every > (self._seen - self._last) // self.every
        return self._clock() - self._since >= 1.0 / LINES_PER_S

    def _choose(self) -> None:
        elapsed = self._clock() - self._began
        if elapsed >= CHOOSE_AFTER_S and self._seen >= CHOOSE_AFTER_UPDATES:
            self.every = max(1, round(self._seen / elapsed / LINES_PER_S))

    def _note(self, metrics: Metrics, seconds: dict[str, float]) -> None:
        self._metrics.update(metrics)
        for name, value in seconds.items():
            self.add(name, value)


def _short(value: float | None) -> float | None:
    """Six significant digits; None where the value is not finite."""
    if value is None or value != value or value in (float("inf"), float("-inf")):
        return None
    return float(f"{value:.6g}")

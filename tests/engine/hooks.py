"""Callbacks that are named on the command line."""

from __future__ import annotations

from tui_trainer import Callback
from tui_trainer.core.events import RunResumed, RunStarted


class Beginnings(Callback):
    """Tells from which update a run goes on."""

    def on_start(self, event: RunStarted | RunResumed) -> dict[str, float]:
        return {"begun_at": event.from_update if isinstance(event, RunResumed) else 0.0}

"""What is due after an update."""

from __future__ import annotations

from tui_trainer.core.config import CheckpointSettings


def evaluation_due(update: int, every_updates: int) -> bool:
    """After every n-th update."""
    return update > 0 and update % every_updates == 0


def regular_save_due(
    settings: CheckpointSettings, update: int, since_save_s: float, *, wall_clock: bool, updates: int = 1
) -> bool:
    """By updates or, where the mode looks at the clock, by minutes of running since the last save.

    `updates`: how many were done since this was asked before.
    """
    if settings.every_updates and update // settings.every_updates > (update - updates) // settings.every_updates:
        return True
    return wall_clock and settings.every_minutes > 0 and since_save_s >= 60 * settings.every_minutes

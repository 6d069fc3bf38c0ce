"""The modes as one table of their differences."""

from __future__ import annotations

import msgspec

from tui_trainer.core.commands import AnyCommand, Pause, Resume, SaveCheckpoint, Stop


class Mode(msgspec.Struct, frozen=True, kw_only=True):
    """What a mode allows. Nothing else in the manager asks for a mode's name."""

    name: str
    wall_clock: bool
    """max_hours and every_minutes count."""
    intelligent: bool
    """Plateau and degradation may end the run."""
    subjects: tuple[str, ...] | None
    """Subjects of advice; None = all."""
    accepts_by_itself: bool
    """Advice is applied at the evaluation boundary without a person."""
    orders: tuple[type, ...] | None
    """Orders that people may give; None = all."""
    is_judged: bool
    """After a hard limit the last parameters play the reference evaluation, where they have not yet."""
    marks_touched: bool
    """An order from a person marks the run as touched, since it may no longer equal its twin."""

    def allows(self, command: AnyCommand) -> bool:
        """Whether a person may give this order."""
        return self.orders is None or isinstance(command, self.orders)


MODES = {
    mode.name: mode
    for mode in (
        Mode(
            name="production",
            wall_clock=True,
            intelligent=True,
            subjects=None,
            accepts_by_itself=False,
            orders=None,
            is_judged=False,
            marks_touched=False,
        ),
        Mode(
            name="optuna",
            wall_clock=False,
            intelligent=False,
            subjects=("difficulty",),
            accepts_by_itself=True,
            orders=(Pause, Resume, SaveCheckpoint, Stop),
            is_judged=True,
            marks_touched=True,
        ),
    )
}

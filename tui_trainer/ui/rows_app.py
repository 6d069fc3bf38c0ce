"""What the smaller apps share: one view of rows, keys that go to one table, a picture made anew after each."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from textual.app import App, ReturnType
from textual.screen import Screen

from tui_trainer.charts.span import Row
from tui_trainer.core.config import UiSettings
from tui_trainer.ui.driver import TerminalDriver
from tui_trainer.ui.look import Look, look_for
from tui_trainer.ui.view import Pointed, RunScreen, RunView


class RowsApp(App[ReturnType], inherit_bindings=False):
    """Subclasses draw `picture` and take keys in `press`."""

    CSS = """
    RunScreen, RunView { background: ansi_default; color: ansi_default; overflow: hidden; }
    RunView { width: 100%; height: 100%; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[Any]] = []

    def __init__(self, settings: UiSettings, look: Look | None = None) -> None:
        super().__init__(driver_class=None if os.environ.get("TEXTUAL_DRIVER") else TerminalDriver, ansi_color=True)
        self.look = look or look_for(settings, os.environ)

    def get_default_screen(self) -> Screen[Any]:
        return RunScreen(self._pressed, self.paint, self._pointed)

    def picture(self, width: int, height: int) -> list[Row]:
        """The whole screen."""
        raise NotImplementedError

    def press(self, name: str, character: str | None) -> None:
        """A key."""
        raise NotImplementedError

    def point(self, pointed: Pointed) -> None:
        """The mouse."""

    def paint(self) -> None:
        """Show the picture; unchanged cells cost nothing."""
        view = next(iter(self.screen_stack[0].query(RunView)), None) if self.screen_stack else None
        if view is not None:
            view.show([self.look.printable(row) for row in self.picture(*view.size)], self.look)

    def _pressed(self, name: str, character: str | None) -> None:
        self.press(name, character)
        self.paint()

    def _pointed(self, pointed: Pointed) -> None:
        self.point(pointed)
        self.paint()

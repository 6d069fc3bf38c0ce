"""What the apps share: one view of rows, keys that go to one table, a picture made anew after each."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import msgspec
from textual.app import App, ReturnType
from textual.screen import Screen

from tui_trainer.charts.span import Row
from tui_trainer.core.config import UiSettings
from tui_trainer.errors import AskedToEnd
from tui_trainer.ui.driver import TerminalDriver
from tui_trainer.ui.look import Look, asks_ground, look_for
from tui_trainer.ui.view import Pointed, RunScreen, RunView


class RowsApp(App[ReturnType], inherit_bindings=False):
    """Subclasses draw `picture` and take keys in `press`."""

    CSS = """
    RunScreen, RunView { background: ansi_default; color: ansi_default; overflow: hidden; }
    RunView { width: 100%; height: 100%; }
    CommandPalette SearchIcon { display: none; }
    """
    ENABLE_COMMAND_PALETTE = False
    SUSPENDS: ClassVar[bool] = True
    """ctrl+z goes back to the shell; an app with a key of its own for that does not want it taken."""
    BINDINGS: ClassVar[list[Any]] = []

    def __init__(self, settings: UiSettings, look: Look | None = None) -> None:
        super().__init__(driver_class=None if os.environ.get("TEXTUAL_DRIVER") else TerminalDriver, ansi_color=True)
        self.look = look or look_for(settings, os.environ)
        if look is None and asks_ground(settings, os.environ):
            self.ground_told = self._ground_told
            """The driver asks the terminal, and calls this with the answer."""

    def run(self, **options: Any) -> ReturnType | None:
        """Show the app until the person leaves. Raises AskedToEnd where a signal ended it, or the terminal went."""
        result = super().run(**options)
        if isinstance(self._driver, TerminalDriver) and self._driver.ended_by is not None:
            raise AskedToEnd(self._driver.ended_by)
        return result

    def get_default_screen(self) -> Screen[Any]:
        return RunScreen(self._pressed, self.paint, self._pointed)

    def on_mount(self) -> None:
        """Textual calls this one and the subclass's own."""
        self.app_resume_signal.subscribe(self, self._redraw)

    def _ground_told(self, light: bool) -> None:
        """Colours for this background."""
        if light != self.look.light:
            self.look = msgspec.structs.replace(self.look, light=light)
            self.paint()
            self._redraw()

    def picture(self, width: int, height: int) -> list[Row]:
        """The whole screen."""
        raise NotImplementedError

    def press(self, name: str, character: str | None) -> None:
        """A key."""
        raise NotImplementedError

    def point(self, pointed: Pointed) -> None:
        """The mouse."""

    def paint(self) -> None:
        """Show the picture, where the terminal keeps up; unchanged cells cost nothing."""
        view = self.view
        if view is not None and view.may_show():
            view.show([self.look.printable(row) for row in self.picture(*view.size)], self.look)

    @property
    def view(self) -> RunView | None:
        """The one widget, once it is there."""
        base = self.screen_stack[0] if self.screen_stack else None
        return next(iter(base.query(RunView)), None) if base is not None else None

    def _redraw(self, _: object = None) -> None:
        """Every cell anew: the terminal was somebody else's for a while."""
        for screen in self.screen_stack:
            screen.refresh(layout=True)
            for view in screen.query(RunView):
                view.redraw(self.look)

    def _pressed(self, name: str, character: str | None) -> None:
        if name == "ctrl+z" and self.SUSPENDS:
            self.action_suspend_process()
        else:
            self.press(name, character)
        self.paint()

    def _pointed(self, pointed: Pointed) -> None:
        self.point(pointed)
        self.paint()

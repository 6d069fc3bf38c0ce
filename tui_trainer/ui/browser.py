"""The list of sessions as an app: it is read anew every two seconds, and ends with a choice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from tui_trainer.charts.span import Row
from tui_trainer.core.config import UiSettings
from tui_trainer.errors import TuiTrainerError
from tui_trainer.ui.form import START, Form, Settle, new_form, pressed
from tui_trainer.ui.keymap import bound
from tui_trainer.ui.look import Look
from tui_trainer.ui.rows import help_scrolled
from tui_trainer.ui.rows_app import RowsApp
from tui_trainer.ui.shelf import FRAME, KEYS, ORDERS, Choice, SessionRow, Shelf, choice_of, draw, keys_told, refusal
from tui_trainer.ui.terminal import require_terminal
from tui_trainer.ui.typed import edited
from tui_trainer.ui.view import Pointed

RELOAD_S = 2.0
_LEAVING = ("open", "resume", "replay", "fork", "compare", "report")


class Cupboard(Protocol):
    """What the list is made of, and what can be done to it. Every call may read or write the disk."""

    def load(self) -> Sequence[SessionRow]: ...

    def delete(self, name: str) -> None:
        """Put a session aside. Raises TuiTrainerError."""
        ...

    def restore(self, name: str) -> None:
        """Bring it back. Raises TuiTrainerError."""
        ...

    @property
    def settle(self) -> Settle:
        """KEY=VALUE words to the settings of a run."""
        ...

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """Known words of settings that take any."""
        ...


class BrowserApp(RowsApp[Choice]):
    """Shows the list and ends with a choice."""

    def __init__(
        self,
        cupboard: Cupboard,
        settings: UiSettings,
        *,
        look: Look | None = None,
        clock: Callable[[], float] = time.time,
        note: str = "",
    ) -> None:
        super().__init__(settings, look)
        self._cupboard = cupboard
        self._clock = clock
        self.shelf = Shelf(now=clock(), keys=settings.keys, note=note)

    def on_mount(self) -> None:
        self.run_worker(self._follow(), name="sessions", exit_on_error=True)

    async def _follow(self) -> None:
        while True:
            await self._read()
            await asyncio.sleep(RELOAD_S)

    async def _read(self) -> None:
        rows = await asyncio.to_thread(self._cupboard.load)
        self._change(rows=tuple(rows), now=self._clock())
        self.paint()

    def picture(self, width: int, height: int) -> list[Row]:
        return draw(self.shelf, width, height, self.look)

    def _change(self, **changes: object) -> None:
        self.shelf = msgspec.structs.replace(self.shelf, **changes)

    # --- keys ------------------------------------------------------------------------------------------------

    def press(self, name: str, character: str | None = None) -> None:
        """A key."""
        self._change(note="")
        if self.shelf.form is not None:
            self._in_form(self.shelf.form, name, character)
        elif not (self._answered(name) or self._typed(name, character)):
            self._act(bound(KEYS, self.shelf.keys, name))

    def _answered(self, name: str) -> bool:
        """The question and the help take every key."""
        shelf = self.shelf
        if shelf.asking:
            self._change(asking="")
            if name in ("d", "y", "enter"):
                self.run_worker(self._delete(shelf.asking), name="delete", exit_on_error=True)
            return True
        if shelf.help:
            rows = keys_told(shelf, self.size.width, self.look)
            scroll = help_scrolled(shelf.help_scroll, name, rows, self.size.height - FRAME)
            self._change(help=scroll is not None, help_scroll=scroll or 0)
            return True
        return False

    def _typed(self, name: str, character: str | None) -> bool:
        if not self.shelf.filtering:
            return False
        if name in ("enter", "escape"):
            self._change(filtering=False, filter=self.shelf.filter if name == "enter" else "")
        else:
            self._change(filter=edited(self.shelf.filter, name, character, 60))
        return True

    def _act(self, action: str) -> None:
        why = refusal(action, self.shelf) if action else ""
        if why:
            self._change(note=why)
        elif action in _LEAVING:
            self.exit(choice_of(action, self.shelf))
        elif action in ("up", "down", "home", "end", "page_up", "page_down"):
            self._move(action)
        else:
            self._arrange(action)

    def _arrange(self, action: str) -> None:
        shelf = self.shelf
        match action:
            case "quit":
                self.exit(None)
            case "new":
                self._change(form=new_form(self._cupboard.settle, self._cupboard.choices))
            case "filter":
                self._change(filtering=True, filter="")
            case "order":
                self._change(order=ORDERS[(ORDERS.index(shelf.order) + 1) % len(ORDERS)])
            case "tree":
                self._change(tree=not shelf.tree)
            case "help":
                self._change(help=True)
            case "back":
                self._change(filter="", marked=() if not shelf.filter else shelf.marked)
            case _:
                self._on_session(action)

    def _on_session(self, action: str) -> None:
        shelf, row = self.shelf, self.shelf.row
        if action == "restore":
            self.run_worker(self._restore(shelf.deleted[-1]), name="restore", exit_on_error=True)
        elif action == "mark" and row is not None:
            marked = tuple(name for name in shelf.marked if name != row.name)
            self._change(marked=marked if row.name in shelf.marked else (*marked, row.name))
            self._move("down")
        elif action == "delete" and row is not None:
            self._change(asking=row.name)

    def _move(self, action: str) -> None:
        shown = self.shelf.shown
        if not shown or self.shelf.row is None:
            return
        at = shown.index(self.shelf.row)
        steps = {"up": at - 1, "down": at + 1, "page_up": at - 10, "page_down": at + 10, "home": 0}
        to = steps.get(action, len(shown) - 1)
        self._change(chosen=shown[max(0, min(len(shown) - 1, to))].name)

    # --- the form --------------------------------------------------------------------------------------------

    def _in_form(self, form: Form, name: str, character: str | None) -> None:
        if name == "ctrl+c" or (name == "escape" and not form.editing):
            self._change(form=None)
        elif name == "enter" and form.chosen == START and not form.editing:
            self.exit(Choice("run", "", form.words))
        else:
            self._change(form=pressed(form, name, character, self._cupboard.settle))

    # --- the disk --------------------------------------------------------------------------------------------

    async def _delete(self, name: str) -> None:
        if await self._tried(self._cupboard.delete, name):
            self._change(deleted=(*self.shelf.deleted, name), note=f"{name} deleted: u brings it back")
        await self._read()

    async def _restore(self, name: str) -> None:
        if await self._tried(self._cupboard.restore, name):
            rest = tuple(each for each in self.shelf.deleted if each != name)
            self._change(deleted=rest, chosen=name, note=f"{name} is back")
        await self._read()

    async def _tried(self, do: Callable[[str], None], name: str) -> bool:
        try:
            await asyncio.to_thread(do, name)
        except TuiTrainerError as error:
            self._change(note=str(error))
            return False
        return True

    # --- the mouse -------------------------------------------------------------------------------------------

    def point(self, pointed: Pointed) -> None:
        """The wheel walks through the list."""
        if pointed.deed == "wheel" and self.shelf.form is None:
            self._move("up" if pointed.step < 0 else "down")


def run_browser(cupboard: Cupboard, settings: UiSettings, note: str = "") -> Choice | None:
    """Show the sessions (read every two seconds, on a thread); None when the person quits."""
    require_terminal()
    return BrowserApp(cupboard, settings, note=note).run(mouse=settings.mouse)

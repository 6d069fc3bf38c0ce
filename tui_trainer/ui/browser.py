"""The list of sessions as a screen: what lives, what ended, and what to do with each."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import msgspec
from textual.app import App
from textual.screen import Screen

from tui_trainer.charts.span import Row, Span, cells, cut, fit
from tui_trainer.core.config import UiSettings
from tui_trainer.core.format import ago, count, si, size
from tui_trainer.ui.driver import TerminalDriver
from tui_trainer.ui.look import Look, look_for
from tui_trainer.ui.rows import block, box, centred, ends, plain
from tui_trainer.ui.terminal import require_terminal
from tui_trainer.ui.view import RunScreen, RunView

Verb: TypeAlias = Literal["run", "attach", "resume", "replay"]

RELOAD_S = 2.0
_SIGNS = {"running": ("●", "good"), "paused": ("‖", "warn"), "starting": ("◌", "warn"), "ended": ("■", "dim"),
          "interrupted": ("◆", "warn"), "crashed": ("✗", "bad")}  # fmt: skip


class SessionRow(msgspec.Struct, frozen=True):
    """One session as the list shows it. `changed` is Unix time, `size` bytes; a `live` one has an engine."""

    name: str
    state: str
    task: str
    algorithm: str
    update: int
    global_step: int
    best: float | None
    changed: float
    size: int
    live: bool


class Choice(msgspec.Struct, frozen=True):
    """What the person wants next; `run` has no name."""

    verb: Verb
    name: str = ""


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of the list."""

    rows: tuple[SessionRow, ...] | None = None
    """None before the first reading."""
    now: float = 0.0
    chosen: str = ""
    filter: str = ""
    filtering: bool = False
    note: str = ""

    @property
    def shown(self) -> tuple[SessionRow, ...]:
        """Those that hold every word of the filter, live ones first; `status:running` filters by state."""
        words = self.filter.casefold().split()
        return tuple(row for row in self.rows or () if all(_holds(row, word) for word in words))

    @property
    def row(self) -> SessionRow | None:
        """The one under the mark."""
        shown = self.shown
        return next((row for row in shown if row.name == self.chosen), shown[0] if shown else None)


def _holds(row: SessionRow, word: str) -> bool:
    if word.startswith("status:"):
        return row.state.startswith(word.removeprefix("status:"))
    return any(word in text.casefold() for text in (row.name, row.state, row.task, row.algorithm))


# --- the picture -------------------------------------------------------------------------------------------------


def draw(shelf: Shelf, width: int, height: int, look: Look) -> list[Row]:
    """The whole screen."""
    if height < 3:
        return block([], width, height)
    title: Row = (Span("Sessions", "title"), Span(f" ─ {_summary(shelf)}", "dim"))
    inside = (width - 4, height - 5) if width >= 30 else (width, height - 3)
    table = _table(shelf, max(0, inside[0]), max(0, inside[1]))
    body = box(title, table, width, height - 3, "frame") if width >= 30 else block(table, width, height - 3)
    rows = [_head(width), *body, _status(shelf), _footer(shelf)]
    return [look.printable(fit(row, width, "…")) for row in rows][:height]


def _head(width: int) -> Row:
    return ends((Span(" tui-trainer", "brand"), Span("  trains agents in the terminal", "dim")), (), width)


def _summary(shelf: Shelf) -> str:
    rows = shelf.rows or ()
    live = sum(row.live for row in rows)
    return f"{len(rows)}, {live} live" if rows else "none"


def _table(shelf: Shelf, width: int, height: int) -> list[Row]:
    if shelf.rows is None:
        return centred([plain("reading sessions", "dim")], width, height)
    if not shelf.shown:
        text = f"no session with “{shelf.filter}”" if shelf.rows else "no sessions yet: n starts one on connect_four"
        return centred([plain(text, "dim")], width, height)
    names = max(12, min(40, max(cells(row.name) for row in shelf.shown)))
    lines = [_line(shelf, row, names, width) for row in shelf.shown]
    at = next((i for i, row in enumerate(shelf.shown) if row is shelf.row), 0)
    first = max(0, min(at - (height - 1) // 2, len(lines) - (height - 1)))
    return [_columns(names, width), *lines[first : first + max(0, height - 1)]]


def _columns(names: int, width: int) -> Row:
    task, changed, size_ = _extras(names, width)
    wide = f"  {'task':<16}{'algorithm':<10}" if task else ""
    age = f"{'changed' if changed else '':>{12 * changed}}{'size' if size_ else '':>{11 * size_}}"
    return (Span(f"    {'name':<{names}}  {'state':<12}{wide}{'update':>9}{'steps':>8}{'best':>8}{age}", "dim"),)


def _extras(names: int, width: int) -> tuple[bool, bool, bool]:
    """Is there room for task and algorithm, for the age, for the size?"""
    room = width - names - 43
    task = room >= 28
    changed = room - 28 * task >= 12
    return task, changed, room - 28 * task - 12 >= 11


def _line(shelf: Shelf, row: SessionRow, names: int, width: int) -> Row:
    here = row is shelf.row
    sign, style = _SIGNS.get(row.state, ("?", "warn"))
    name = cut(row.name, names)
    best = "-" if row.best is None else f"{row.best:.3f}"
    task, changed, size_ = _extras(names, width)
    wide = f"  {cut(row.task, 15):<16}{row.algorithm:<10}" if task else ""
    age = f"{ago(max(0.0, shelf.now - row.changed)):>12}" if changed else ""
    age += f"{size(row.size):>11}" if size_ else ""
    return (
        Span("▸ " if here else "  ", "key"), Span(f"{sign} ", style),
        Span(name + " " * (names - cells(name)), "focus" if here else "bold" if row.live else ""),
        Span(f"  {row.state:<12}", style),
        Span(f"{wide}{count(row.update):>9}{si(row.global_step):>8}{best:>8}"), Span(age, "dim"),
    )  # fmt: skip


def _status(shelf: Shelf) -> Row:
    if shelf.filtering:
        return (
            Span(" filter: ", "key"),
            Span(shelf.filter),
            Span("_", "key"),
            Span("  enter keeps it, esc clears", "dim"),
        )
    return (Span(f" {shelf.note or (f'filter: {shelf.filter}' if shelf.filter else '')}", "warn"),)


def _footer(shelf: Shelf) -> Row:
    row = shelf.row
    keys = [("n", "new run", True), ("enter", "attach" if row and row.live else "replay", row is not None),
            ("r", "resume", row is not None and not row.live), ("p", "replay", row is not None),
            ("/", "filter", True), ("q", "quit", True)]  # fmt: skip
    return tuple(
        span
        for key, label, can in keys
        for span in (Span(" "), Span(key, "key" if can else "dim"), Span(f" {label} ", "" if can else "dim"))
    )


# --- the app -----------------------------------------------------------------------------------------------------


class BrowserApp(App[Choice], inherit_bindings=False):
    """Shows the list, reads it anew every two seconds, and ends with a choice."""

    CSS = """
    RunScreen, RunView { background: ansi_default; color: ansi_default; overflow: hidden; }
    RunView { width: 100%; height: 100%; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[Any]] = []

    def __init__(
        self,
        load: Callable[[], Sequence[SessionRow]],
        settings: UiSettings,
        *,
        look: Look | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(driver_class=None if os.environ.get("TEXTUAL_DRIVER") else TerminalDriver, ansi_color=True)
        self._load = load
        self._look = look or look_for(settings, os.environ)
        self._clock = clock
        self.shelf = Shelf(now=clock())

    def get_default_screen(self) -> Screen[Any]:
        return RunScreen(self.press, self._paint)

    def on_mount(self) -> None:
        self.run_worker(self._follow(), name="sessions", exit_on_error=True)

    async def _follow(self) -> None:
        while True:
            rows = await asyncio.to_thread(self._load)
            self._change(rows=tuple(sorted(rows, key=lambda row: (not row.live, -row.changed))), now=self._clock())
            self._paint()
            await asyncio.sleep(RELOAD_S)

    def _change(self, **changes: object) -> None:
        self.shelf = msgspec.structs.replace(self.shelf, **changes)

    def _paint(self) -> None:
        view = next(iter(self.screen_stack[0].query(RunView)), None) if self.screen_stack else None
        if view is not None:
            view.show(draw(self.shelf, *view.size, self._look), self._look)

    def press(self, name: str, character: str | None = None) -> None:
        """A key."""
        self._change(note="")
        if not self._typed(name, character):
            self._acted(name)
        self._paint()

    def _typed(self, name: str, character: str | None) -> bool:
        if not self.shelf.filtering:
            return False
        if name in ("enter", "escape"):
            self._change(filtering=False, filter=self.shelf.filter if name == "enter" else "")
        elif name == "backspace":
            self._change(filter=self.shelf.filter[:-1])
        elif character is not None and character.isprintable():
            self._change(filter=(self.shelf.filter + character)[:60])
        return True

    def _acted(self, name: str) -> None:
        row = self.shelf.row
        match name:
            case "q" | "ctrl+c":
                self.exit(None)
            case "n":
                self.exit(Choice("run"))
            case "slash":
                self._change(filtering=True, filter="")
            case "escape":
                self._change(filter="")
            case "up" | "down" | "home" | "end":
                self._move(name)
            case "enter" | "r" | "p" if row is not None:
                self._choose(name, row)

    def _move(self, name: str) -> None:
        shown = self.shelf.shown
        if not shown or self.shelf.row is None:
            return
        at = shown.index(self.shelf.row)
        to = {"up": at - 1, "down": at + 1, "home": 0, "end": len(shown) - 1}[name]
        self._change(chosen=shown[max(0, min(len(shown) - 1, to))].name)

    def _choose(self, name: str, row: SessionRow) -> None:
        if name == "r" and row.live:
            self._change(note=f"{row.name} is live: enter attaches to it")
        elif name == "r":
            self.exit(Choice("resume", row.name))
        else:
            self.exit(Choice("attach" if name == "enter" and row.live else "replay", row.name))


def run_browser(load: Callable[[], Sequence[SessionRow]], settings: UiSettings) -> Choice | None:
    """Show the sessions that `load` reads (called every two seconds, in a thread); None when the person quits."""
    require_terminal()
    return BrowserApp(load, settings).run(mouse=False)

"""The comparison as an app: keys and mouse move the lens, choose sessions, pin a baseline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec

from tui_trainer.charts.span import Row
from tui_trainer.core.config import UiSettings
from tui_trainer.errors import TuiTrainerError
from tui_trainer.ui import contrast as c
from tui_trainer.ui import lens as lenses
from tui_trainer.ui.contrast import Contrast, Desk
from tui_trainer.ui.keymap import bound
from tui_trainer.ui.look import Look
from tui_trainer.ui.rows import help_scrolled
from tui_trainer.ui.rows_app import RowsApp
from tui_trainer.ui.terminal import require_terminal
from tui_trainer.ui.view import Pointed

Judge = Callable[[str], Contrast]
"""Compares for one metric (empty: the score). Reads the disk; raises TuiTrainerError."""
LOOK_S = 3.0
"""Between two looks at whether what is compared has grown."""
SHARE = 10
"""So many times as long as reading took it rests at least."""


class CompareApp(RowsApp[None]):
    """Shows what `judge` finds; reads it on a thread."""

    def __init__(
        self,
        judge: Judge,
        settings: UiSettings,
        *,
        look: Look | None = None,
        baseline: str = "",
        has_grown: Callable[[], bool] = lambda: False,
        look_s: float = LOOK_S,
    ) -> None:
        super().__init__(settings, look)
        self._judge, self._has_grown = judge, has_grown
        self._look_s, self._rest_until = look_s, 0.0
        self._is_reading = False
        self.desk = Desk(look=self.look, baseline=baseline, keys=settings.keys)

    def on_mount(self) -> None:
        self.run_worker(self._read(""), name="compare", exit_on_error=True)
        self.set_interval(self._look_s, self._look)

    async def _read(self, metric: str) -> None:
        began, self._is_reading = time.monotonic(), True
        try:
            found = await asyncio.to_thread(self._judge, metric)
        except TuiTrainerError as error:
            self._change(note=str(error))
        else:
            self._change(contrast=found, note="")
        finally:
            self._is_reading = False
        ended = time.monotonic()
        self._rest_until = ended + SHARE * (ended - began)
        self.paint()

    def _look(self) -> None:
        """Compare again when there is more to compare."""
        if time.monotonic() >= self._rest_until and not self._is_reading and self.desk.contrast is not None:
            self.run_worker(self._grow(self.desk.contrast.metric), name="compare", exclusive=True)

    async def _grow(self, metric: str) -> None:
        if await asyncio.to_thread(self._has_grown):
            await self._read(metric)

    def picture(self, width: int, height: int) -> list[Row]:
        return c.draw_desk(self.desk, width, height)

    def _change(self, **changes: object) -> None:
        self.desk = msgspec.structs.replace(self.desk, **changes)

    def press(self, name: str, character: str | None) -> None:
        """A key of the table."""
        action = bound(c.KEYS, self.desk.keys, name)
        if self.desk.help and action != "leave":
            rows = c.keys_told(self.desk, self.size.width)
            scroll = help_scrolled(self.desk.help_scroll, name, rows, self.size.height - c.FRAME)
            self._change(help=scroll is not None, help_scroll=scroll or 0)
        elif action:
            self._act(action)

    def _act(self, action: str) -> None:
        match action:
            case "leave":
                self.exit(None)
            case "back":
                self._back()
            case "help":
                self._change(help=True)
            case "large":
                self._change(large=not self.desk.large)
            case "means":
                self._change(means=not self.desk.means)
            case _ if self.desk.contrast is not None:
                self._on_sessions(action, self.desk.contrast)

    def _back(self) -> None:
        if self.desk.large:
            self._change(large=False)
        elif self.desk.lens.cross is not None:
            self._change(lens=msgspec.structs.replace(self.desk.lens, cross=None))
        else:
            self.exit(None)

    def _on_sessions(self, action: str, contrast: Contrast) -> None:
        chosen = contrast.entries[self.desk.chosen].name
        match action:
            case "up" | "down":
                step = 1 if action == "down" else -1
                self._change(chosen=(self.desk.chosen + step) % len(contrast.entries))
            case "baseline":
                self._change(baseline="" if self.desk.baseline == chosen else chosen)
            case "hide":
                self._change(hidden=self.desk.hidden ^ {chosen})
            case "next_metric" | "previous_metric":
                self._next_metric(contrast, 1 if action == "next_metric" else -1)
            case _:
                self._change(lens=lenses.steered(self.desk.lens, action, c.newest(self.desk), "log"))

    def _next_metric(self, contrast: Contrast, step: int) -> None:
        names = contrast.metrics
        at = names.index(contrast.metric) if contrast.metric in names else 0
        self.run_worker(self._read(names[(at + step) % len(names)]), name="compare", exclusive=True)

    def point(self, pointed: Pointed) -> None:
        """A press sets the crosshair, the wheel zooms."""
        laid = c.chart_plan(self.desk, *self.size)
        x = laid.x_at(pointed.x - 2) if laid is not None else None
        if x is None:
            return
        lens, last = self.desk.lens, c.newest(self.desk)
        if pointed.deed == "wheel":
            self._change(lens=lenses.zoomed(lens, last, 2.0 ** (0.5 * pointed.step), x))
        else:
            self._change(lens=msgspec.structs.replace(lens, cross=max(0.0, min(last, x))))


def run_compare(judge: Judge, settings: UiSettings, has_grown: Callable[[], bool], baseline: str = "") -> None:
    """Show the comparison until the person leaves. Raises UsageError where there is no terminal."""
    require_terminal()
    CompareApp(judge, settings, baseline=baseline, has_grown=has_grown).run(mouse=settings.mouse)

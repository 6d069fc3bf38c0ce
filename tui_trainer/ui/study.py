"""The app on a study: reads it once a second, shows it, and puts in or stops what the keys say."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

import msgspec

from tui_trainer.charts.span import Row
from tui_trainer.core.config import UiSettings
from tui_trainer.core.study import StudyView
from tui_trainer.core.text import clean_line
from tui_trainer.errors import TuiTrainerError
from tui_trainer.ui.look import Look
from tui_trainer.ui.rows_app import RowsApp
from tui_trainer.ui.terminal import require_terminal
from tui_trainer.ui.trials import Deed, StudyScene, as_words, draw, from_words, key_named, refusal

RELOAD_S = 1.0
_MOST_TYPED = 400


class StudySource(Protocol):
    """Where the study comes from and where orders go. Every call may take a while and raise TuiTrainerError."""

    def read(self) -> StudyView: ...

    def enqueue(self, params: Mapping[str, str]) -> str:
        """Returns what became of it, in words."""
        ...

    def stop(self) -> str:
        """The same."""
        ...


class StudyApp(RowsApp[str]):
    """Ends with the name of a session to open, or with nothing."""

    def __init__(
        self, source: StudySource, view: StudyView, settings: UiSettings, *, chosen: int = -1, look: Look | None = None
    ) -> None:
        super().__init__(settings, look)
        self._source = source
        self._busy = asyncio.Lock()
        self.scene = StudyScene(view=view, look=self.look, chosen=chosen)

    def on_mount(self) -> None:
        self.title = f"tui-trainer {self.scene.view.name}"
        self.run_worker(self._follow(), name="study", exit_on_error=True)

    async def _follow(self) -> None:
        while True:
            await self._reload()
            await asyncio.sleep(RELOAD_S)

    async def _reload(self) -> None:
        try:
            async with self._busy:
                view = await asyncio.to_thread(self._source.read)
            self._change(view=view, problem="")
        except TuiTrainerError as error:
            self._change(problem=clean_line(str(error)))
        self.paint()

    def _change(self, **changes: object) -> None:
        self.scene = msgspec.structs.replace(self.scene, **changes)

    def picture(self, width: int, height: int) -> list[Row]:
        return draw(self.scene, width, height)

    # --- keys ------------------------------------------------------------------------------------------------

    def press(self, name: str, character: str | None = None) -> None:
        """A key."""
        self._change(note="")
        if not (self._typed(name, character) or self._answered(name)):
            key = key_named(name)
            if key is not None:
                self._act(key.deed)

    def _typed(self, name: str, character: str | None) -> bool:
        """A key while values are written: it is text."""
        text = self.scene.typed
        if text is None:
            return False
        match name:
            case "enter":
                self._change(typed=None)
                self._order("enqueue", text)
            case "escape" | "ctrl+c":
                self._change(typed=None)
            case "backspace":
                self._change(typed=text[:-1])
            case "ctrl+u":
                self._change(typed="")
            case _ if character is not None and character.isprintable():
                self._change(typed=(text + character)[:_MOST_TYPED])
        return True

    def _answered(self, name: str) -> bool:
        if not self.scene.asking:
            return False
        self._change(asking=False)
        if name in ("s", "y", "enter"):
            self._order("stop")
        return True

    def _act(self, deed: Deed) -> None:
        why, trial = refusal(deed, self.scene), self.scene.trial
        if why:
            self._change(note=why, note_style="warn")
            return
        match deed:
            case "leave":
                self.exit(None)
            case "open":
                self.exit(trial.session if trial else None)
            case "enqueue":
                self._change(typed=as_words(trial.params) if trial else "")
            case "stop":
                self._change(asking=True)
            case "up" | "down":
                self._move(-1 if deed == "up" else 1)

    def _move(self, step: int) -> None:
        shown, trial = self.scene.shown, self.scene.trial
        if trial is not None:
            at = max(0, min(len(shown) - 1, shown.index(trial) + step))
            self._change(chosen=shown[at].number)

    def _order(self, deed: Deed, text: str = "") -> None:
        self._change(note=f"{deed} sent", note_style="sent")
        self.run_worker(self._deliver(deed, text), name=deed, exit_on_error=True)

    async def _deliver(self, deed: Deed, text: str) -> None:
        try:
            async with self._busy:
                if deed == "stop":
                    told = await asyncio.to_thread(self._source.stop)
                else:
                    told = await asyncio.to_thread(self._source.enqueue, from_words(text))
            self._change(note=told, note_style="good")
        except TuiTrainerError as error:
            self._change(note=clean_line(str(error)), note_style="bad")
        await self._reload()


def run_study(source: StudySource, view: StudyView, settings: UiSettings) -> str | None:
    """Show the study until the person leaves; a session's name where they want to see that. Needs a terminal."""
    require_terminal()
    return StudyApp(source, view, settings).run(mouse=False)

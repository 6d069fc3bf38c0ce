"""The app of `watch` and `play`: keys become questions to the duel, its answers become the picture."""

from __future__ import annotations

import asyncio

import msgspec

from tui_trainer.charts.span import Row
from tui_trainer.client.duel import DuelLine
from tui_trainer.core import duel as d
from tui_trainer.core.config import UiSettings
from tui_trainer.errors import TuiTrainerError
from tui_trainer.ui.board import BoardScene, Deed, Kind, draw, key_named, refusal, with_result
from tui_trainer.ui.look import Look
from tui_trainer.ui.rows_app import RowsApp
from tui_trainer.ui.terminal import require_terminal
from tui_trainer.ui.typed import edited

_ANSWER_S = 0.4
"""The learner's answer to a person waits so long, so that it is seen to come."""
_DELAYS = (0.05, 20.0)
_MOST_TYPED = 20


class DuelApp(RowsApp[TuiTrainerError]):
    """One table. Ends with the error that ended the duel, or with nothing."""

    def __init__(
        self,
        line: DuelLine,
        kind: Kind,
        name: str,
        settings: UiSettings,
        *,
        delay_s: float = 0.7,
        answer_s: float = _ANSWER_S,
        look: Look | None = None,
    ) -> None:
        super().__init__(settings, look)
        self._line, self._answer_s = line, answer_s
        self._questions: asyncio.Queue[d.Question | None] = asyncio.Queue()
        """What the keys ask for; None: only look again at how long to wait."""
        self.scene = BoardScene(
            kind=kind,
            name=name,
            label=line.opened.label,
            look=self.look,
            delay_s=delay_s,
        )

    def on_mount(self) -> None:
        self.title = f"tui-trainer {self.scene.name}"
        self._questions.put_nowait(d.NewGame())
        self.run_worker(self._converse(), name="duel", exit_on_error=True)

    async def on_unmount(self) -> None:
        await asyncio.to_thread(self._line.close)

    # --- the conversation ------------------------------------------------------------------------------------

    async def _converse(self) -> None:
        """One question after the other; the engine's own moves are asked for when their time has come."""
        try:
            while True:
                question = await self._next()
                if question is not None:
                    self._take(await asyncio.to_thread(self._line.ask, question))
        except TuiTrainerError as error:
            self.exit(error)

    async def _next(self) -> d.Question | None:
        try:
            return await asyncio.wait_for(self._questions.get(), self._wait_s())
        except TimeoutError:
            return d.Go()

    def _wait_s(self) -> float | None:
        """Seconds until the next move is made without a key; None: never."""
        scene, position = self.scene, self.scene.position
        if position is None or position.ended or position.player == d.PERSON:
            return None
        if scene.kind == "play":
            return self._answer_s
        return scene.delay_s if scene.playing else None

    def _take(self, answer: d.Position | d.Declined) -> None:
        if isinstance(answer, d.Declined):
            self._change(note=answer.why)
        else:
            note = "n begins another game, sides changed" if answer.ended else ""
            self._change(position=answer, note=note, results=with_result(self.scene.results, answer))
        self.paint()

    def picture(self, width: int, height: int) -> list[Row]:
        return draw(self.scene, width, height)

    def _change(self, **changes: object) -> None:
        self.scene = msgspec.structs.replace(self.scene, **changes)

    # --- keys ------------------------------------------------------------------------------------------------

    def press(self, name: str, character: str | None = None) -> None:
        """A key."""
        self._change(note="")
        if not self._typed(name, character):
            key = key_named(self.scene.kind, name)
            if key is not None:
                why = refusal(key.deed, self.scene)
                if why:
                    self._change(note=why)
                else:
                    self._act(key.deed, name)

    def _typed(self, name: str, character: str | None) -> bool:
        """A key while a move is typed: it is text, not an order."""
        typed = self.scene.typed
        if typed is None or name == "ctrl+c":
            return False
        if name in ("enter", "escape"):
            self._change(typed=None)
            if name == "enter" and typed:
                self._ask(d.Play(move=typed))
        else:
            self._change(typed=edited(typed, name, character, _MOST_TYPED))
        return True

    def _act(self, deed: Deed, name: str) -> None:
        match deed:
            case "leave":
                self.exit(None)
            case "move":
                self._ask(d.Play(move=name))
            case "type":
                self._change(typed="")
            case "hint":
                self._change(hint=not self.scene.hint)
            case "back":
                self._ask(d.TakeBack())
            case "new":
                self._ask(d.NewGame())
            case _:
                self._pace(deed)

    def _pace(self, deed: Deed) -> None:
        """How a watched game goes on."""
        low, high = _DELAYS
        match deed:
            case "pause":
                self._change(playing=not self.scene.playing)
            case "slower":
                self._change(delay_s=min(high, self.scene.delay_s * 2))
            case "faster":
                self._change(delay_s=max(low, self.scene.delay_s / 2))
            case _:
                self._change(playing=False)
                self._ask(d.Go())
                return
        if deed != "pause":
            self._change(note=f"a move every {self.scene.delay_s:.2g} s")
        self._questions.put_nowait(None)

    def _ask(self, question: d.Question) -> None:
        self._questions.put_nowait(question)


def run_duel(line: DuelLine, kind: Kind, name: str, settings: UiSettings, delay_s: float) -> None:
    """Show the game until the person leaves. Raises what ended the duel, and UsageError without a terminal."""
    require_terminal()
    app = DuelApp(line, kind, name, settings, delay_s=delay_s)
    error = app.run(mouse=False)
    if error is not None:
        raise error
    if app.return_code:
        raise TuiTrainerError("the view failed")

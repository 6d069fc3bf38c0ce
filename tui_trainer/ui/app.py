"""The app on one run, live or replayed: folds the source's news, paints at most `fps` times a second, sends orders."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, assert_never, cast

import msgspec
from textual.app import SystemCommand
from textual.screen import Screen
from textual.timer import Timer

from tui_trainer.client.source import Happened, Link, News, Player, Position, Received, RunSource, Snapshot
from tui_trainer.client.written import order_of
from tui_trainer.core.commands import Answer, AnyCommand, Pause, Resume, SaveCheckpoint, Stop, describe
from tui_trainer.core.config import UiSettings
from tui_trainer.core.events import AnyEvent, CommandRefused
from tui_trainer.core.state import LogLine, Mark, RunState
from tui_trainer.core.text import clean_line
from tui_trainer.core.values import Difficulty
from tui_trainer.errors import AskedToEnd, OrderRefused, TuiTrainerError
from tui_trainer.ui import charting, looking, orders, transport
from tui_trainer.ui.aids import Aids
from tui_trainer.ui.bell import Bell
from tui_trainer.ui.clipboard import sequence
from tui_trainer.ui.driver import TerminalDriver
from tui_trainer.ui.frame import compose, panel_text, place_under, places_of, text_of
from tui_trainer.ui.hints import SHOWN_S, teaches
from tui_trainer.ui.keys import (
    AFTER,
    ORDERS,
    SETTLE_S,
    Action,
    further,
    has_broken,
    key_named,
    keys_for,
    label_of,
    refusal,
)
from tui_trainer.ui.layout import Place
from tui_trainer.ui.look import Look
from tui_trainer.ui.outcome import Outcome, outcome_of
from tui_trainer.ui.panels import NUMBERED, PAGES, PANELS, footer, log, timeline
from tui_trainer.ui.panels.texts import chosen_index
from tui_trainer.ui.rows_app import RowsApp
from tui_trainer.ui.scene import Notice, Overlay, Scene
from tui_trainer.ui.terminal import require_terminal
from tui_trainer.ui.typed import edited
from tui_trainer.ui.view import Pointed, RunView

NOTICE_S = 5.0
AIDED_S = 20.0
"""A path is read more slowly than a word."""
_EAGER_S = 0.3
"""How long after a transport key its answers are painted at once."""
DOUBLE_CLICK_S = 0.4
SCROLLED = ("log", "decisions", "checkpoints")
_BATCH = 400


class _Card(NamedTuple):
    """How far the recommendation on the screen has come: painted in picture `show`, then written, then arrived."""

    number: int = -1
    show: int = 0
    written_at: float | None = None
    arrived: bool = False


class TrainerApp(RowsApp[Outcome]):
    """One view of one run."""

    ENABLE_COMMAND_PALETTE = True
    SUSPENDS = False

    def __init__(
        self,
        source: RunSource,
        settings: UiSettings,
        *,
        look: Look | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sender: str = "",
        aids: Aids | None = None,
    ) -> None:
        super().__init__(settings, look)
        self._source = source
        self._aids = aids or Aids()
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._sender = sender or uuid.uuid4().hex[:8]
        self._bell = Bell(source.name, settings.bell, os.environ, monotonic)
        self._sent = 0
        self.painted_at = float("-inf")
        self._timer: Timer | None = None
        self._notice_timer: Timer | None = None
        self._eager_until = float("-inf")
        self._card = _Card()
        self._clicked: tuple[str, float] = ("", 0.0)
        self._failed: set[str] = set()
        self._asked = False
        self.scene = Scene(
            state=RunState(),
            now=clock(),
            look=self.look,
            name=source.name,
            kind=source.kind,
            readonly=source.readonly,
            keys=settings.keys,
            broke=self._aids.broke,
            learned=self._aids.learned,
            hints_until=clock() + SHOWN_S if settings.hints and self._aids.learn else 0.0,
        )

    # --- start and end ---------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        self.title = f"tui-trainer {self._source.name}"
        self.run_worker(self._converse(), name="news", exit_on_error=True)

    async def on_unmount(self) -> None:
        await self._source.close()

    def _leave(self) -> None:
        self.exit(self.outcome())

    def outcome(self) -> Outcome:
        """What to say once the screen is gone."""
        return outcome_of(self.scene)

    # --- news ------------------------------------------------------------------------------------------------

    async def _converse(self) -> None:
        """The conversation with the engine: every piece of news, in order, until the source is closed."""
        try:
            async for news in self._source.news():
                await self._take(news)
        except TuiTrainerError as error:
            self._change(link=Link("gone", clean_line(str(error))))
            self.paint()

    async def _take(self, news: News) -> None:
        match news:
            case Happened(events=happened):
                await self._fold(happened)
            case Snapshot(state=state):
                self._change(state=state, orders=(), marks=_farthest(self.scene, state.marks))
                self._repaint_soon(urgent=self.scene.kind == "live")
            case Received(id=id):
                self._change(orders=orders.received(self.scene.orders, id))
                self._repaint_soon(urgent=True)
            case Link():
                self._change(link=news)
                self._ask_last_words()
                self._repaint_soon(urgent=True)
            case Position():
                self._change(position=news)
                self._ask_last_words()
                self._repaint_soon()
            case _:
                assert_never(news)

    async def _fold(self, happened: tuple[AnyEvent, ...]) -> None:
        for start in range(0, len(happened), _BATCH):
            state = self.scene.state
            urgent = False
            for event in happened[start : start + _BATCH]:
                state = state.apply(event)
                urgent |= self._answered(event) or (self.scene.kind == "live" and orders.shows_effect(event))
                self._ring(event)
            self._change(state=state, marks=_farthest(self.scene, state.marks), scroll=self._stood_still(state))
            self._ask_last_words()
            self._repaint_soon(urgent=urgent)
            if len(happened) > _BATCH:
                await asyncio.sleep(0)

    def _stood_still(self, state: RunState) -> int:
        """A log that is scrolled back stays at its lines while others come in."""
        scroll = self.scene.scroll_of("log")
        if self.scene.focus != "log" or not scroll:
            return self.scene.scroll
        return scroll + len(log.lines(self.scene, _since(self.scene.state.log, state.log)))

    def _answered(self, event: AnyEvent) -> bool:
        """Does the event answer an order of ours? Then its mark goes, and a refusal is read out."""
        answer = orders.answer_in(self.scene.orders, event)
        if answer is None:
            return False
        self._change(orders=orders.without(self.scene.orders, answer.id))
        if isinstance(answer, CommandRefused):
            self._say(f"{answer.order} refused: {answer.why}", "bad")
        return True

    def _ring(self, event: AnyEvent) -> None:
        """Tell the terminal of news of a live run."""
        sequence = self._bell.ring(event) if self.scene.kind == "live" else ""
        if sequence and self._driver is not None:
            self._driver.write(sequence)
            self._driver.flush()

    def _ask_last_words(self) -> None:
        """What a run that broke left behind is read once, when it has."""
        if has_broken(self.scene) and not self._asked and self._aids.last_words is not None:
            self._asked = True
            self.run_worker(self._hear(self._aids.last_words), name="last words", exit_on_error=True)

    async def _hear(self, last_words: Callable[[], tuple[str, ...]]) -> None:
        self._change(last_words=await asyncio.to_thread(last_words))
        self.paint()

    def _ground_told(self, light: bool) -> None:
        self._change(look=msgspec.structs.replace(self.scene.look, light=light))
        super()._ground_told(light)

    # --- painting --------------------------------------------------------------------------------------------

    def _change(self, **changes: object) -> None:
        self.scene = msgspec.structs.replace(self.scene, **changes)

    def _repaint_soon(self, *, urgent: bool = False) -> None:
        """Paint now if it is urgent or due; else once, when it is due."""
        now = self._monotonic()
        wait = self.painted_at + 1 / self._settings.fps - now
        if urgent or wait <= 0 or now < self._eager_until:
            self.paint()
        elif self._timer is None:
            self._timer = self.set_timer(wait, self.paint)

    def paint(self) -> None:
        """The picture of this moment, and when the next one may come."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        view = self.view
        if view is None or not view.may_show():
            return
        self.painted_at = self._monotonic()
        self._change(now=self._clock())
        picture = compose(self.scene, *view.size)
        view.show(picture.rows, self.scene.look, picture.first)
        self._note_card(view)
        for failure in set(picture.failures) - self._failed:
            self._failed.add(failure)
            self.log.error(failure)

    def _is_behind(self) -> bool:
        """Does the person perhaps not see yet what was painted? A slow line tells."""
        return isinstance(self._driver, TerminalDriver) and self._driver.is_behind

    def _note_card(self, view: RunView) -> None:
        """Follow the recommendation to the person's eyes: painted, written (on a slow line row by row), arrived."""
        place = self._card_place()
        number = self.scene.card.id if self.scene.card is not None and place is not None else -1
        if number != self._card.number:
            self._card = _Card(number, view.shows)
        if self._card.written_at is not None:
            arrived = not (isinstance(self._driver, TerminalDriver) and self._driver.is_asking)
            self._card = self._card._replace(arrived=self._card.arrived or arrived)
        elif place is not None and view.stands_since(self._card.show, range(place.y, place.y + place.height)):
            self._card = self._card._replace(written_at=self._monotonic())

    def _card_settled(self) -> bool:
        """Has the card stood before the person long enough to be read?"""
        written_at, arrived = self._card.written_at, self._card.arrived or not self._is_behind()
        return written_at is not None and arrived and self._monotonic() - written_at >= SETTLE_S

    def _card_place(self) -> Place | None:
        """Where the recommendation is on the screen; None also where something lies over it."""
        if self.scene.overlay is not None:
            return None
        return next((place for place in places_of(self.scene, *self.size) if place.panel == "recommendation"), None)

    def _say(self, text: str, style: str = "warn", seconds: float = NOTICE_S) -> None:
        """One line for a few seconds."""
        self._change(notice=Notice(clean_line(text), style))
        if self._notice_timer is not None:
            self._notice_timer.stop()
        self._notice_timer = self.set_timer(seconds, self._hush)

    def _hush(self) -> None:
        self._change(notice=None)
        self.paint()

    # --- keys ------------------------------------------------------------------------------------------------

    def press(self, name: str, character: str | None = None) -> None:
        """A key on the run's screen."""
        if not (self._wrote(name, character) or self._typed(name, character) or self._answered_overlay(name)):
            key = key_named(self.scene.kind, name, self.scene.keys)
            if key is not None:
                self.act(key.action, name)

    def act(self, action: Action, name: str = "") -> None:
        """Do what a key of the table stands for, or say why not."""
        self._note_use(action)
        why = refusal(action, self.scene)
        if why:
            self._say(why)
        elif action in ORDERS:
            self._order(action)
        elif self.scene.page and self._on_list(action):
            pass
        elif action in AFTER:
            self._after_the_end(action)
        elif charting.changes(action, self.scene):
            self._change(**charting.acted(action, self.scene))
        elif self.scene.kind == "replay" and self._transport(action):
            pass
        else:
            self._look_around(action, name)

    def _note_use(self, action: Action) -> None:
        """What was used once needs no hint again."""
        if teaches(action) and action not in self.scene.learned:
            self._change(learned=self.scene.learned | {action})
            if self._aids.learn is not None:
                self._aids.learn(action)

    def _order(self, action: Action) -> None:
        match action:
            case "stop":
                self._change(overlay=Overlay("stop"))
            case "write":
                self._change(writing="", notice=None)
            case "pause" if self.scene.state.status == "paused":
                self._send(Resume(id=self._next_id()))
            case "pause":
                self._send(Pause(id=self._next_id()))
            case "checkpoint":
                self._send(SaveCheckpoint(id=self._next_id()))
            case _:
                self._answer(action)

    def _answer(self, action: Action) -> None:
        if action == "undo":
            accepted = self.scene.last_accepted
            if accepted is not None:
                self._send(Answer(id=self._next_id(), recommendation=accepted.id, verdict="undo"))
            return
        card = self.scene.card
        if card is None:
            return
        if self._card_place() is None:
            self._say(f"recommendation {card.id} is not on the screen: 3 shows it")
        elif self._card.number != card.id or not self._card_settled():
            self._say(f"recommendation {card.id} has only just appeared: read it, then press again")
        elif any(order.recommendation == card.id for order in self.scene.orders):
            self._say(f"recommendation {card.id} is being answered already")
        else:
            self._send(
                Answer(
                    id=self._next_id(),
                    recommendation=card.id,
                    verdict=action if action in ("accept", "try") else "reject",
                )
            )

    def _after_the_end(self, action: Action) -> None:
        name = self.scene.name
        if action == "report":
            self._borrow(self._aids.report, "report written: {}", f"tui-trainer report {name}")
            return
        words = {"extend": ("resume", *further(self.scene).words), "again": ("replay",), "fork": ("fork",)}[action]
        self._leave_for(words)

    def _leave_for(self, words: tuple[str, ...]) -> None:
        """Close this view and begin another command on the same session; a run that is live goes on."""
        self.exit(msgspec.structs.replace(self.outcome(), then=words))

    def _borrow(self, aid: Callable[[], str] | None, done: str, command: str) -> None:
        """Have an aid do its work on a thread, and tell what came of it."""
        if aid is None:
            self._say(f"this view cannot write files: {command}")
        else:
            self._say("one moment", "", AIDED_S)
            self.run_worker(self._aided(aid, done), name="aid", exit_on_error=True)

    async def _aided(self, aid: Callable[[], str], done: str) -> None:
        try:
            self._say(done.format(await asyncio.to_thread(aid)), "good", AIDED_S)
        except TuiTrainerError as error:
            self._say(str(error), "bad")
        self.paint()

    def _next_id(self) -> str:
        self._sent += 1
        return f"{self._sender}-{self._sent}"

    def _send(self, command: AnyCommand) -> None:
        """Shown as sent at once; the rest of the screen waits for the engine's word."""
        if any(order.text == describe(command) for order in self.scene.orders):
            self._say(f"{describe(command)} is on its way already")
            return
        self._change(orders=orders.sent(self.scene.orders, command), notice=None)
        self.run_worker(self._deliver(command), name=command.id, exit_on_error=True)

    async def _deliver(self, command: AnyCommand) -> None:
        try:
            await self._source.send(command)
        except OrderRefused as refused:
            self._change(orders=orders.without(self.scene.orders, command.id))
            self._say(str(refused), "bad")
            self.paint()

    # --- the mouse -------------------------------------------------------------------------------------------

    def point(self, pointed: Pointed) -> None:
        """The mouse on the run's screen: what it does, keys do, too."""
        place = place_under(self.scene, pointed.x, pointed.y, *self.size)
        if self.scene.overlay is not None or place is None:
            return
        if place.panel == "footer":
            self._press_footer(pointed, place.width)
        elif place.panel == "timeline" and pointed.deed != "wheel":
            self._seek_to(timeline.index_at(self.scene, place.width, pointed.x))
        elif pointed.deed == "wheel" and self.scene.page:
            self._on_list("up" if pointed.step < 0 else "down")
        elif pointed.deed == "wheel":
            self._wheel(pointed, place)
        elif pointed.deed == "press" and place.panel in NUMBERED:
            self._click(pointed, place)
        elif pointed.deed == "drag" and place.panel == self.scene.focus:
            self._change(**charting.pointed(self.scene, place, pointed.x))

    def _press_footer(self, pointed: Pointed, width: int) -> None:
        action = footer.action_at(self.scene, width, pointed.x) if pointed.deed == "press" else None
        if action is not None:
            self.act(action)

    def _seek_to(self, index: int | None) -> None:
        if index is not None:
            self._eager_until = self._monotonic() + _EAGER_S
            cast(Player, self._source).seek(index)

    def _click(self, pointed: Pointed, place: Place) -> None:
        """Focus; a second click soon after fills the screen with the panel, or puts it back."""
        now = self._monotonic()
        panel, since = self._clicked
        self._clicked = (place.panel, now)
        if panel == place.panel and now - since < DOUBLE_CLICK_S:
            self._clicked = ("", 0.0)
            self._change(focus=place.panel, maximised=not self.scene.maximised)
            return
        self._change(focus=place.panel, scroll=self.scene.scroll_of(place.panel))
        self._change(**charting.pointed(self.scene, place, pointed.x))

    def _wheel(self, pointed: Pointed, place: Place) -> None:
        if PANELS[place.panel].chart is not None:
            self._change(**charting.wheeled(self.scene, place, pointed.x, pointed.step))
        elif place.panel in PAGES:
            self.act("up" if pointed.step < 0 else "down")
        elif place.panel in SCROLLED:
            self._change(focus=place.panel, scroll=self.scene.scroll_of(place.panel))
            self._change(**looking.scrolled("up" if pointed.step < 0 else "down", self.scene))

    # --- overlays and the filter -----------------------------------------------------------------------------

    def _answered_overlay(self, name: str) -> bool:
        overlay = self.scene.overlay
        if overlay is None:
            return False
        if overlay.kind == "stop":
            key = key_named("live", name, self.scene.keys)
            if name in ("y", "enter") or (key is not None and key.action == "stop"):
                self._send(Stop(id=self._next_id()))
            self._change(overlay=None)
            return True
        step = {"up": -1, "down": 1, "pageup": -10, "pagedown": 10}.get(name)
        if step is None:
            self._change(overlay=None)
        else:
            self._change(overlay=Overlay("help", max(0, overlay.scroll + step)))
        return True

    def _wrote(self, name: str, character: str | None) -> bool:
        """A key while an order is written."""
        line = self.scene.writing
        if line is None:
            return False
        if name == "enter":
            self._give(line)
        elif name in ("escape", "ctrl+c"):
            self._change(writing=None)
        else:
            self._change(writing=orders.rewritten(self.scene, line, name, character), notice=None)
        return True

    def _give(self, line: str) -> None:
        """Send the order that was written; one that cannot be read stays to be mended."""
        try:
            command = order_of(line, self._next_id(), lambda: self.scene.state.difficulty or Difficulty())
        except TuiTrainerError as error:
            self._say(str(error), "bad")
        else:
            self._change(writing=None)
            self._send(command)

    def _typed(self, name: str, character: str | None) -> bool:
        """A key while the filter is written: it is text, not an order."""
        if not self.scene.filtering:
            return False
        text = self.scene.filter
        if name in ("enter", "escape", "ctrl+c"):
            self._change(filtering=False, filter=text if name == "enter" else "")
        else:
            self._change(filter=edited(text, name, character, 60))
        return True

    # --- looking around --------------------------------------------------------------------------------------

    def _look_around(self, action: Action, name: str) -> None:
        match action:
            case "leave":
                self._leave()
            case "help":
                self._change(overlay=Overlay("help"))
            case "palette":
                self.action_command_palette()
            case "suspend":
                self.action_suspend_process()
            case "filter":
                focus = self.scene.focus if self.scene.page else "log"
                self._change(filtering=True, filter="", focus=focus, scroll=0)
            case "copy":
                self._copy()
            case "save":
                self._save()
            case "decisions" | "models":
                self._open("decision_list" if action == "decisions" else "models")
            case _:
                self._change(**looking.looked(action, name, self.scene, *self.size))

    def _copy(self) -> None:
        scene = self.scene
        whole = not scene.focus
        text = text_of(compose(scene, *self.size).rows) if whole else panel_text(scene, scene.focus, 100, 60)
        self.copy_to_clipboard(text)
        what = f"copied {scene.focus or 'the screen'} to the clipboard, if the terminal lets it"
        keep = self._aids.keep_copy
        if keep is None:
            self._say(what, "good")
        else:
            self._borrow(lambda: keep(text), what + ", and {}", "")

    def copy_to_clipboard(self, text: str) -> None:
        """Textual's own reaches no terminal behind a multiplexer."""
        self._clipboard = text
        if self._driver is not None:
            self._driver.write(sequence(text, os.environ))

    def _save(self) -> None:
        """The screen as it stands, in two forms."""
        save, name = self._aids.save, f"{self.scene.name}-u{self.scene.state.update}"
        svg, text = self.export_screenshot(title=name), text_of(compose(self.scene, *self.size).rows)
        both = None if save is None else (lambda: f"{save(f'{name}.svg', svg)} and {save(f'{name}.txt', text)}")
        self._borrow(both, "saved {}", "y copies the screen")

    # --- lists on the whole screen ---------------------------------------------------------------------------

    def _open(self, page: Literal["decision_list", "models"]) -> None:
        """Show the list, or close it where it is open."""
        wanted = "" if self.scene.page == page else page
        self._change(page=wanted, mark=-1, filter="", filtering=False)
        if wanted == "decision_list" and self.scene.kind == "replay":
            self._change(chronicle=cast(Player, self._source).decisions())

    def _on_list(self, action: Action) -> bool:
        """True where the key acts on the list that is open."""
        match action:
            case "up" | "down" | "page_up" | "page_down" | "home" | "end":
                self._choose_line(action)
            case "maximise":
                self._follow_line()
            case "fork" if self.scene.page == "models":
                if self._lines():
                    self._leave_for(("fork", "--at", str(self._chosen_line())))
            case "export_csv" | "export_json":
                self._export_list("csv" if action == "export_csv" else "json")
            case "back":
                self._change(**({"filter": ""} if self.scene.filter else {"page": "", "chronicle": ()}))
            case "panel" | "next_panel" | "previous_panel":
                self._change(page="", filter="")
                return False
            case _:
                return False
        return True

    def _lines(self) -> tuple[int, ...]:
        return PAGES[self.scene.page](self.scene)

    def _choose_line(self, action: Action) -> None:
        keys = self._lines()
        if not keys:
            return
        at = chosen_index(self.scene, keys)
        to = {"up": at - 1, "down": at + 1, "page_up": at - 10, "page_down": at + 10, "home": 0}.get(action, len(keys))
        self._change(mark=keys[max(0, min(len(keys) - 1, to))])

    def _chosen_line(self) -> int:
        keys = self._lines()
        return keys[chosen_index(self.scene, keys)]

    def _follow_line(self) -> None:
        """A replay goes to the chosen decision; of a model the command that forks it is copied."""
        if not self._lines():
            return
        chosen, name = self._chosen_line(), self.scene.name
        if self.scene.page == "models" and self.scene.loop_elsewhere:
            self._say(self.scene.loop_elsewhere)
        elif self.scene.page == "models":
            command = f"tui-trainer fork {name} --at {chosen}"
            self.copy_to_clipboard(command)
            self._say(f"{command} begins a new run from it (copied, if the terminal allows it)", "good")
        elif self.scene.kind == "replay":
            self._change(mark=chosen)
            cast(Player, self._source).seek_seq(chosen)
            self._eager_until = self._monotonic() + _EAGER_S
        else:
            self._say(f"only a replay goes back: tui-trainer replay {name}")

    def _export_list(self, form: str) -> None:
        export, what = self._aids.export, "models" if self.scene.page == "models" else "decisions"
        write = None if export is None else (lambda: export(what, form))
        self._borrow(write, "{}", f"tui-trainer sessions export {self.scene.name} --what {what}")

    # --- replay ----------------------------------------------------------------------------------------------

    def _transport(self, action: Action) -> bool:
        """The replay's own keys. True where `action` is one of them."""
        self._eager_until = self._monotonic() + _EAGER_S
        note = transport.carried_out(cast(Player, self._source), self.scene.position, action)
        if note:
            self._say(note)
        return note is not None

    # --- Textual ---------------------------------------------------------------------------------------------

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: the same table as the keys."""
        for key in keys_for(self.scene.kind, self.scene.keys):
            if key.action in ("panel", "palette", "up", "down", "left", "right", "back", "page_up", "page_down"):
                continue
            if refusal(key.action, self.scene):
                continue
            name = f"{label_of(key, self.scene) or key.action.replace('_', ' ')} ({key.shown})"
            yield SystemCommand(name.capitalize(), key.help, self._palette_action(key.action))

    def _palette_action(self, action: Action) -> Callable[[], None]:
        def run() -> None:
            self.act(action)
            self.paint()

        return run


def _farthest(scene: Scene, marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    """A replay keeps the ticks that it has seen when it goes back."""
    if not scene.marks or not marks or marks[-1].seq >= scene.marks[-1].seq:
        return marks or scene.marks
    return scene.marks


def _since(before: tuple[LogLine, ...], after: tuple[LogLine, ...]) -> tuple[LogLine, ...]:
    """The lines that were added."""
    last = before[-1] if before else None
    known = next((i + 1 for i in range(len(after) - 1, -1, -1) if after[i] is last), 0)
    return after[known:]


def run_app(source: RunSource, settings: UiSettings, aids: Aids | None = None) -> Outcome:
    """Show the run until the person leaves. Raises UsageError where there is no terminal, AskedToEnd after a signal."""
    require_terminal()
    app = TrainerApp(source, settings, aids=aids)
    try:
        outcome = app.run(mouse=settings.mouse)
    except AskedToEnd as asked:
        raise AskedToEnd(asked.number, app.outcome().text) from None
    if app.return_code:
        return Outcome(f"the view failed, not the run: tui-trainer attach {source.name} opens it again", 1)
    return outcome or app.outcome()

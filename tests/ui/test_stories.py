"""At the keys: what a person presses, what the engine is sent, what the screen says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from textual.command import CommandList, CommandPalette
from textual.pilot import Pilot
from textual.screen import Screen

from tests.ui.fakes import FakePlayer, FakeSource
from tests.ui.history import NAME, START, UPDATES, history, raise_card, state_at
from tests.ui.waiting import see, until
from tui_trainer.client.source import Happened, Link, Snapshot
from tui_trainer.core.commands import Answer, Pause, Resume, RunFor, SaveCheckpoint, SetSetting, Stop
from tui_trainer.core.config import UiSettings
from tui_trainer.core.events import (
    AnyEvent,
    CommandApplied,
    CommandRefused,
    LogWritten,
    RecommendationAnswered,
    RunContinued,
    RunPaused,
    SettingChanged,
    UpdateFinished,
    stamp,
)
from tui_trainer.errors import UsageError
from tui_trainer.ui.aids import Aids
from tui_trainer.ui.app import TrainerApp
from tui_trainer.ui.look import Look
from tui_trainer.ui.outcome import Outcome
from tui_trainer.ui.panels import help
from tui_trainer.ui.scene import Scene

MID = state_at(780)


@dataclass
class Clock:
    """Seconds that pass when the test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Seat:
    """A person before the app."""

    app: TrainerApp
    source: FakeSource
    pilot: Pilot[Outcome]
    clock: Clock

    @property
    def screen(self) -> str:
        view = self.app.view
        assert view is not None
        return view.text()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def happen(self, *events: AnyEvent) -> None:
        state = self.app.scene.state
        stamped = tuple(
            stamp(e, seq=state.seq + 1 + i, time=state.time, update=state.update, global_step=state.global_step)
            for i, e in enumerate(events)
        )
        self.clock.now += 1
        self.source.publish(Happened(stamped))
        await self.pilot.pause()
        await self.pilot.pause()

    async def see(self, text: str) -> None:
        await see(self.pilot, lambda: self.screen, text)

    async def wait(self, seconds: float) -> None:
        self.clock.now += seconds


@asynccontextmanager
async def seated(
    source: FakeSource, size: tuple[int, int] = (120, 40), aids: Aids | None = None
) -> AsyncIterator[Seat]:
    clock = Clock()
    app = TrainerApp(
        source, UiSettings(), look=Look(), clock=lambda: START + 120, monotonic=clock, sender="test", aids=aids
    )
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.pause()
        yield Seat(app, source, pilot, clock)


# --- orders ------------------------------------------------------------------------------------------------------


async def test_p_sends_pause_and_nothing_else_changes_until_the_event_says_so() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("p")
        assert seat.source.sent == [Pause(id="test-1")]
        assert "pause sent" in seat.screen
        assert "● running" in seat.screen
        seat.source.acknowledge()
        await seat.pilot.pause()
        assert "pause received" in seat.screen
        await seat.happen(
            CommandApplied(id="test-1", order="pause", by="user", effect=""), RunPaused(by="user", why="p")
        )
        assert "pause received" not in seat.screen
        assert "‖ PAUSED" in seat.screen


async def test_p_on_a_paused_run_sends_resume() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.happen(RunPaused(by="user", why="p"))
        await seat.press("space")
        assert seat.source.sent == [Resume(id="test-1")]
        await seat.happen(RunContinued(by="user"))
        assert "● running" in seat.screen


async def test_c_sends_a_checkpoint() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("c")
        assert seat.source.sent == [SaveCheckpoint(id="test-1")]


async def test_a_accepts_the_recommendation_on_the_screen_by_its_number() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.wait(1)
        await seat.press("a")
        assert seat.source.sent == [Answer(id="test-1", recommendation=7, verdict="accept")]
        assert "accept 7 sent" in seat.screen
        await seat.happen(
            CommandApplied(id="test-1", order="accept 7", by="user", effect=""),
            RecommendationAnswered(id=7, verdict="accepted", by="user"),
        )
        assert "accept 7 sent" not in seat.screen
        assert "no open recommendation" in seat.screen
        assert "7 accepted by user" in seat.screen


async def test_a_card_younger_than_half_a_second_takes_no_key() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("a")
        assert seat.source.sent == []
        assert "only just appeared" in seat.screen
        await seat.wait(0.6)
        await seat.press("a")
        assert len(seat.source.sent) == 1


async def test_a_card_that_takes_anothers_place_is_young_again() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.wait(5)
        await seat.happen(raise_card(8, 2))
        await seat.press("r")
        assert seat.source.sent == []
        await seat.wait(1)
        await seat.press("r")
        assert seat.source.sent == [Answer(id="test-1", recommendation=8, verdict="reject")]


async def test_arrows_choose_which_recommendation_is_answered() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.happen(raise_card(8, 2))
        assert "8, 2 of 2" in seat.screen
        await seat.press("left")
        assert "7, 1 of 2" in seat.screen
        await seat.wait(1)
        await seat.press("a")
        assert seat.source.sent == [Answer(id="test-1", recommendation=7, verdict="accept")]


async def test_an_answer_is_not_sent_twice() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.wait(1)
        await seat.press("a", "a")
        assert len(seat.source.sent) == 1
        assert "being answered already" in seat.screen


async def test_a_refused_order_vanishes_with_its_reason() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.wait(1)
        await seat.press("a")
        await seat.happen(CommandRefused(id="test-1", order="accept 7", by="user", why="it has expired"))
        assert "accept 7 sent" not in seat.screen
        assert "accept 7 refused: it has expired" in seat.screen


async def test_another_views_answer_does_not_touch_our_order() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("p")
        await seat.happen(CommandApplied(id="other-1", order="pause", by="user", effect=""))
        assert "pause sent" in seat.screen


async def test_an_order_that_cannot_leave_says_why() -> None:
    source = FakeSource(MID)
    source.refuse = "the engine is gone"
    async with seated(source) as seat:
        await seat.press("c")
        await seat.pilot.pause()
        assert "the engine is gone" in seat.screen
        assert "checkpoint sent" not in seat.screen


async def test_z_undoes_the_newest_accepted_recommendation() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("z")
        assert seat.source.sent == [Answer(id="test-1", recommendation=6, verdict="undo")]


async def test_a_key_that_cannot_act_says_why() -> None:
    async with seated(FakeSource(state_at(100))) as seat:
        await seat.press("a")
        assert "no open recommendation" in seat.screen.splitlines()[-2]
        assert seat.source.sent == []


async def test_a_read_only_view_sends_nothing() -> None:
    async with seated(FakeSource(MID, readonly=True)) as seat:
        await seat.wait(1)
        await seat.press("p", "c", "a", "r", "z", "s")
        assert seat.source.sent == []
        assert "read-only" in seat.screen


async def test_stop_asks_first_and_goes_on_when_the_answer_is_no() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("s")
        assert "end this run?" in seat.screen
        await seat.press("escape")
        assert "end this run?" not in seat.screen
        assert seat.source.sent == []
        await seat.press("s", "s")
        assert seat.source.sent == [Stop(id="test-1")]


async def test_the_question_takes_every_key() -> None:
    """`p` answers the question with no; it is not an order."""
    async with seated(FakeSource(MID)) as seat:
        await seat.press("s", "p")
        assert seat.source.sent == []


# --- news --------------------------------------------------------------------------------------------------------


async def test_before_the_engine_answers_the_screen_says_so() -> None:
    source = FakeSource()
    source.publish(Link("starting", "engine starting"))
    async with seated(source) as seat:
        assert "engine starting" in seat.screen
        assert "◌ starting" in seat.screen
        source.publish(Snapshot(MID))
        source.publish(Link("live", "connected"))
        await seat.pilot.pause()
        assert "● running" in seat.screen


async def test_a_lost_line_and_its_return_are_shown() -> None:
    async with seated(FakeSource(MID)) as seat:
        seat.source.publish(Link("lost", "lost: reconnecting"))
        await seat.pilot.pause()
        assert "lost: reconnecting" in seat.screen
        seat.source.publish(Snapshot(MID))
        seat.source.publish(Link("live", "connected"))
        await seat.pilot.pause()
        assert "reconnecting" not in seat.screen


async def test_news_faster_than_the_screen_is_folded_but_not_painted() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.happen(LogWritten(level="info", text="first line"))
        shown = seat.screen
        state = seat.app.scene.state
        for number in range(5):
            event = LogWritten(level="info", text=f"fast {number}")
            seat.source.happen(stamp(event, seq=state.seq + 1 + number, time=state.time, update=1, global_step=1))
        await seat.pilot.pause()
        assert seat.app.scene.state.log[-1].text == "fast 4"
        assert seat.screen == shown


@pytest.mark.parametrize(
    ("effect", "shown"),
    [
        (RunPaused(by="user", why="asked"), "‖ PAUSED"),
        (SettingChanged(key="ppo.ent_coef", old=0.01, new=0.0321, by="user"), "0.0321"),
    ],
)
async def test_what_an_order_led_to_is_painted_at_once_though_its_answer_was_painted_just_before(
    effect: AnyEvent, shown: str
) -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("p")
        await seat.happen(CommandApplied(id="test-1", order="pause", by="user", effect="pauses"))
        assert shown not in seat.screen
        seat.clock.now -= 1  # it comes a moment later, long before the next frame is due
        await seat.happen(effect)
        assert shown in seat.screen


async def test_the_view_folds_a_whole_history_to_the_state_that_a_fold_gives() -> None:
    source = FakeSource(state_at(0))
    async with seated(source) as seat:
        events = [event for event in history() if event.update > 0 or event.seq == 0]
        seat.clock.now += 10
        source.publish(Happened(tuple(e for e in events if e.update)))
        await seat.see("■ ENDED")
        assert seat.app.scene.state.durable() == state_at(UPDATES).durable()


async def test_hostile_events_are_shown_literally() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.happen(LogWritten(level="info", text="[/] [bold]x[/bold] \x1b[2J"))
        assert "[/] [bold]x[/bold] ·[2J" in seat.screen


# --- looking around ----------------------------------------------------------------------------------------------


async def test_question_mark_shows_every_key_with_its_command() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("question_mark")
        assert "tui-trainer checkpoint NAME" in seat.screen
        await seat.press("escape")
        assert "tui-trainer checkpoint NAME" not in seat.screen


def test_arrows_are_spelled_out_where_their_ascii_sign_is_another_key() -> None:
    scene = Scene(state=MID, now=MID.time, look=Look(glyphs="ascii"), kind="replay")
    shown = [row[0].text.strip() for row in help.render(scene, 80, 200)]
    assert {"left", "right", "up", "down", "<", ">"} <= set(shown)
    assert len([key for key in shown if key == "<"]) == 1


async def test_a_digit_focuses_a_panel_and_again_fills_the_screen() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("9")
        assert seat.app.scene.focus == "log"
        await seat.press("9")
        assert "Training Manager" not in seat.screen
        await seat.press("escape")
        assert "Training Manager" in seat.screen


async def test_tab_walks_over_the_panels_that_are_shown() -> None:
    async with seated(FakeSource(MID), size=(80, 24)) as seat:
        walked = []
        for _ in range(4):
            await seat.press("tab")
            walked.append(seat.app.scene.focus)
        assert walked == ["manager", "win_rate", "recommendation", "speed"]
        await seat.press("shift+tab")
        assert seat.app.scene.focus == "recommendation"


async def test_slash_filters_the_log_and_letters_are_text_not_orders() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("slash", "s", "p", "s", "enter")
        assert seat.app.scene.filter == "sps"
        assert seat.source.sent == []
        assert "SPS fell by 18 %" in seat.screen
        await seat.press("escape")
        assert seat.app.scene.filter == ""


async def test_an_order_is_written_completed_and_sent_and_its_letters_are_no_orders() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("o", *"set ppo.l")
        assert "tab: set ppo.learning_rate=" in seat.screen
        await seat.press("tab", "1", "e", "minus", "5", "x")
        await seat.press("backspace", "minus", "backspace", "enter")
        assert seat.app.scene.writing is None
        assert seat.source.sent == [SetSetting(id="test-1", key="ppo.learning_rate", value=1e-5)]
        await seat.press("colon", *"run-for 20", "enter")
        assert seat.source.sent[1:] == [RunFor(id="test-2", updates=20)]


async def test_an_order_that_cannot_be_read_stays_to_be_mended_and_escape_forgets_it() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("o", *"run-for many", "enter")
        assert "is no order; set KEY=VALUE, run-for N" in seat.screen
        assert seat.app.scene.writing == "run-for many"
        await seat.press("escape", "o")
        assert seat.app.scene.writing == ""
        await seat.press("ctrl+c")
        assert seat.app.scene.writing is None
        assert seat.source.sent == []


async def test_y_copies_the_focused_panel_as_text() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("7", "y")
        assert "700 best" in seat.app.clipboard
        assert "copied checkpoints" in seat.screen


async def test_the_palette_opens_and_runs_an_action() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("ctrl+p")
        await until(seat.pilot, lambda: isinstance(seat.app.screen, CommandPalette))
        await seat.press(*"checkp")
        await until(seat.pilot, lambda: offered(seat.app.screen))
        await seat.press("enter")
        await until(seat.pilot, lambda: bool(seat.source.sent))
        assert seat.source.sent == [SaveCheckpoint(id="test-1")]


def offered(screen: Screen[Any]) -> bool:
    """Whether the palette has found what was typed."""
    found = screen.query(CommandList)
    return any("checkpoint" in str(option.prompt).casefold() for each in found for option in each.options)


async def test_enter_fills_the_screen_with_a_chart_and_escape_goes_back() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("4", "enter")
        assert "Training Manager" not in seat.screen
        assert "SPS" in seat.screen
        await seat.press("escape")
        assert "Training Manager" in seat.screen


async def test_plus_shows_the_newest_half_and_zero_the_whole_run() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("plus")
        assert seat.app.scene.focus == "win_rate"
        assert "2×" in seat.screen
        await seat.press("0")
        assert "2×" not in seat.screen


async def test_arrows_move_the_crosshair_of_a_focused_chart_and_all_charts_show_it() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("2", "left", "left")
        assert seat.screen.count("steps 12.") == 2
        await seat.press("escape")
        assert "steps 12." not in seat.screen


async def test_v_l_and_f_change_axis_scale_and_smoothing() -> None:
    async with seated(FakeSource(MID), size=(120, 60)) as seat:
        await seat.press("4", "4", "v", "l", "f")
        assert "wall time" in seat.screen
        assert "log, smoothed 60 %" in seat.screen


async def test_among_losses_arrows_choose_the_metric_that_the_large_chart_shows() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("5", "5")
        first = seat.screen
        await seat.press("down")
        assert seat.app.scene.metric == "train/clip_fraction"
        assert seat.screen != first
        await seat.press("up", "up")
        assert seat.app.scene.metric == "rollout/ep_len_mean"


# --- the log -----------------------------------------------------------------------------------------------------


async def test_i_shows_only_what_is_important_enough() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("9", "9")
        assert "regular checkpoint of update 750 saved" in seat.screen
        await seat.press("i", "i")
        assert "warning and worse" in seat.screen
        assert "checkpoint of update 750" not in seat.screen.split("warning and worse")[1].split("╰")[0]
        assert "KL .031 above" in seat.screen
        await seat.press("i", "i")
        assert "and worse" not in seat.screen


async def test_a_log_that_is_scrolled_back_stands_still_until_it_follows_again() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("9", "up", "up")
        shown = seat.screen.splitlines()[-6:-2]
        for number in range(4):
            await seat.happen(LogWritten(level="info", text=f"new {number}"))
        assert [line[50:] for line in seat.screen.splitlines()[-6:-3]] == [line[50:] for line in shown[:3]]
        assert "6 back, ↓ follows" in seat.screen
        await seat.press(*["down"] * 6)
        assert "new 3" in seat.screen


async def test_a_chart_on_the_whole_screen_has_its_keys_in_the_footer() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("2", "2")
        footer = seat.screen.splitlines()[-1]
        for wanted in ("+ zoom", "← crosshair", "l log", "esc back", "? help"):
            assert wanted in footer, wanted
        assert "pause" not in footer


# --- after the end -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "then"),
    [
        ("e", ("resume", "--set", "manager.termination.max_updates=2400")),
        ("h", ("replay",)),
        ("k", ("fork",)),
    ],
)
async def test_after_the_end_a_key_says_what_comes_next(key: str, then: tuple[str, ...]) -> None:
    async with seated(FakeSource(state_at(UPDATES))) as seat:
        assert "e  go on to 2,400 updates" in seat.screen
        await seat.press(key)
    assert seat.app.return_value is not None
    assert seat.app.return_value.then == then


async def test_before_the_end_those_keys_say_so() -> None:
    async with seated(FakeSource(MID)) as seat:
        for key in ("e", "h", "w", "k"):
            await seat.press(key)
            assert "the run goes on" in seat.screen
        assert seat.app.is_running


async def test_a_crashed_engine_shows_what_it_left_and_offers_to_go_on() -> None:
    aids = Aids(last_words=lambda: ("Traceback", "ValueError: the task broke"))
    async with seated(FakeSource(MID), aids=aids) as seat:
        seat.source.publish(Link("gone", "the engine is gone"))
        await seat.see("ValueError: the task broke")
        assert "crashed" in seat.screen
        assert "ValueError: the task broke" in seat.screen
        assert "go on from the newest checkpoint" in seat.screen
        await seat.press("e")
    assert seat.app.return_value is not None
    assert seat.app.return_value.then == ("resume",)


async def test_a_report_is_written_without_leaving() -> None:
    async with seated(FakeSource(state_at(UPDATES)), aids=Aids(report=lambda: "x/report.md")) as seat:
        await seat.press("w")
        await seat.see("report written: x/report.md")


async def test_a_report_that_fails_says_why() -> None:
    def fails() -> str:
        raise UsageError("matplotlib is missing")

    async with seated(FakeSource(state_at(UPDATES)), aids=Aids(report=fails)) as seat:
        await seat.press("w")
        await seat.see("matplotlib is missing")


# --- copies and hints --------------------------------------------------------------------------------------------


async def test_what_is_copied_lies_in_a_file_as_well() -> None:
    kept: list[str] = []

    def keep(text: str) -> str:
        kept.append(text)
        return "copied.txt"

    async with seated(FakeSource(MID), aids=Aids(keep_copy=keep)) as seat:
        await seat.press("7", "y")
        await seat.see("and copied.txt")
        assert "700 best" in kept[0]


async def test_the_screen_is_saved_as_svg_and_text() -> None:
    saved: dict[str, str] = {}

    def save(name: str, text: str) -> str:
        saved[name] = text
        return name

    async with seated(FakeSource(MID), aids=Aids(save=save)) as seat:
        await seat.press("S")
        await seat.see("saved connect_four-ppo-1-u780.svg and connect_four-ppo-1-u780.txt")
    assert saved[f"{NAME}-u780.svg"].startswith("<svg")
    assert "Training Manager" in saved[f"{NAME}-u780.txt"]


async def test_a_hint_goes_away_for_good_once_its_key_was_used() -> None:
    learned: list[str] = []
    async with seated(FakeSource(state_at(100)), aids=Aids(learn=learned.append)) as seat:
        assert "? shows every key" in seat.screen
        await seat.press("question_mark", "escape")
        assert "? shows every key" not in seat.screen
        assert "1 to 9 choose a panel" in seat.screen
    assert learned == ["help"]
    async with seated(FakeSource(state_at(100)), aids=Aids(learn=learned.append, learned=frozenset(learned))) as seat:
        assert "? shows every key" not in seat.screen


async def test_without_a_memory_for_them_there_are_no_hints() -> None:
    async with seated(FakeSource(state_at(100))) as seat:
        assert "hint:" not in seat.screen


# --- the mouse ---------------------------------------------------------------------------------------------------


async def test_a_click_focuses_a_panel_and_a_second_one_fills_the_screen() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.pilot.click(offset=(5, 3))
        assert seat.app.scene.focus == "manager"
        assert not seat.app.scene.maximised
        await seat.pilot.click(offset=(5, 3))
        assert seat.app.scene.maximised


async def test_a_click_into_a_chart_sets_the_crosshair() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.pilot.click(offset=(70, 8))
        assert seat.app.scene.focus == "win_rate"
        assert seat.app.scene.lens.cross is not None


async def test_a_click_on_a_key_in_the_footer_is_the_key() -> None:
    async with seated(FakeSource(MID)) as seat:
        footer = seat.screen.splitlines()[-1]
        await seat.pilot.click(offset=(footer.index("checkpoint"), 39))
        assert seat.source.sent == [SaveCheckpoint(id="test-1")]


async def test_a_click_on_the_timeline_goes_there() -> None:
    source = player(1400)
    async with seated(source) as seat:
        line = next(i for i, row in enumerate(seat.screen.splitlines()) if "events" in row and "●" in row)
        await seat.pilot.click(offset=(10 + (120 - 45) // 2, line))
        assert 500 < source.index < 900


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_leaving_says_that_the_run_goes_on(key: str) -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press(key)
    assert seat.app.return_value is not None
    assert f"{NAME} goes on; tui-trainer attach {NAME}" in seat.app.return_value.text
    assert seat.source.closed
    assert seat.source.sent == []


async def test_leaving_an_ended_run_tells_its_end_and_exit_code() -> None:
    async with seated(FakeSource(state_at(UPDATES))) as seat:
        await seat.press("q")
    assert seat.app.return_value == Outcome(f"{NAME} ended: max_updates, saved checkpoints/0025-u1200", 0)


async def test_a_resize_redraws_for_the_new_size() -> None:
    async with seated(FakeSource(MID)) as seat:
        for width, height in ((40, 12), (1, 1), (200, 50), (80, 24)):
            await seat.pilot.resize_terminal(width, height)
            await seat.pilot.pause()
            lines = seat.screen.splitlines()
            assert len(lines) <= height
            assert all(len(line) <= width for line in lines)
        assert "a accept" in seat.screen


# --- replay ------------------------------------------------------------------------------------------------------


def player(at: int = 600) -> FakePlayer:
    return FakePlayer(list(history()), at=at)


Check = Callable[[FakePlayer], bool]


@pytest.mark.parametrize(
    ("key", "moved"),
    [
        ("space", lambda p: p.playing),
        ("greater_than_sign", lambda p: p.speed == 2.0),
        ("right", lambda p: p.index == 601),
        ("left", lambda p: p.index == 599),
        ("right_square_bracket", lambda p: p.index == 600 + len(p.events) // 50),
        ("left_square_bracket", lambda p: p.index == 600 - len(p.events) // 50),
        ("home", lambda p: p.index == 0),
        ("end", lambda p: p.index == len(p.events)),
        ("e", lambda p: p.index > 600 and type(p.events[p.index - 1]).__name__ == "EvaluationFinished"),
        ("E", lambda p: p.index < 600 and type(p.events[p.index - 1]).__name__ == "EvaluationFinished"),
        ("k", lambda p: type(p.events[p.index - 1]).__name__ == "CheckpointSaved"),
        ("N", lambda p: (p.index < 600 and "Answered" in type(p.events[p.index - 1]).__name__) or p.index < 600),
    ],
)
async def test_the_transport_keys(key: str, moved: Check) -> None:
    source = player()
    async with seated(source) as seat:
        await seat.press(key)
        assert moved(source)
        assert seat.source.sent == []


async def test_a_jump_without_a_target_says_so() -> None:
    source = player(len(list(history())))
    async with seated(source) as seat:
        await seat.press("end", "n")
        assert "no later decision" in seat.screen


async def test_a_replay_that_goes_back_keeps_the_ticks_it_has_seen() -> None:
    source = player(1400)
    async with seated(source) as seat:
        marks = seat.app.scene.marks
        seat.clock.now += 10
        await seat.press("home")
        assert seat.app.scene.marks == marks


async def test_a_replay_takes_no_orders() -> None:
    source = player()
    async with seated(source) as seat:
        await seat.wait(2)
        await seat.press("a", "r", "c", "s", "z")
        assert source.sent == []


async def test_update_events_move_the_header() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.wait(2)
        event = UpdateFinished(updates=1, metrics={}, sps=1.0, seconds={}, episodes=1, elapsed_s=200.0)
        seat.source.happen(stamp(event, seq=MID.seq + 1, time=MID.time, update=801, global_step=13_000_000))
        await seat.pilot.pause()
        assert "update   801" in seat.screen


async def test_a_card_that_is_not_on_the_screen_takes_no_key() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.wait(5)
        await seat.press("9", "9", "a")
        assert seat.source.sent == []
        assert "recommendation 7 is not on the screen: 3 shows it" in seat.screen
        await seat.press("3")
        await seat.wait(1)
        await seat.press("a")
        assert len(seat.source.sent) == 1


async def test_the_same_order_is_not_sent_while_the_first_is_on_its_way() -> None:
    async with seated(FakeSource(MID)) as seat:
        await seat.press("p", "p")
        assert len(seat.source.sent) == 1
        assert "pause is on its way already" in seat.screen


async def test_a_read_only_view_says_so_in_its_top_line() -> None:
    async with seated(FakeSource(MID, readonly=True)) as seat:
        assert "read-only" in seat.screen.splitlines()[0]

"""Watching and playing at the keys: a duel without a process, the screen, and the real program in a real terminal."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from tests.ui.pty_terminal import PtyTerminal
from tests.ui.waiting import see, until
from tui_trainer.charts.span import row_cells
from tui_trainer.core import duel as d
from tui_trainer.core.config import UiSettings
from tui_trainer.engine.duel import Duel
from tui_trainer.errors import TuiTrainerError
from tui_trainer.tasks.boards.players import RungPlayer
from tui_trainer.tasks.boards.table import BoardTable
from tui_trainer.tasks.connect_four import BOARD, RULES
from tui_trainer.ui.board import BoardScene, Kind, draw, key_named, keys_for, markdown, refusal, with_result
from tui_trainer.ui.duel import DuelApp
from tui_trainer.ui.look import Look
from tui_trainer.ui.view import RunView

ROOT = Path(__file__).resolve().parents[2]
LONG = 1000.0
"""A delay that no test waits for."""


class FakeLine:
    """The duel in this process, its learner a scripted player."""

    def __init__(self, rival: str = d.PERSON, first: str = d.PERSON) -> None:
        table = BoardTable(BOARD, RULES.ladder, RULES.outcomes)
        self.opened = d.Opened(label="checkpoints/3-u40", task="connect_four", players=2, rivals=RULES.ladder)
        self._duel = Duel(table, RungPlayer(BOARD, "minimax-2"), d.Open(source="", rival=rival, first=first))
        self.asked: list[d.Question] = []
        self.broken = False
        self.closed = False

    def ask(self, question: d.Question) -> d.Position | d.Declined:
        if self.broken:
            raise TuiTrainerError("the process that plays is gone: it ended with -9")
        self.asked.append(question)
        assert not isinstance(question, d.Open)
        return self._duel.answer(question)

    def close(self) -> None:
        self.closed = True


class Seat:
    def __init__(self, app: DuelApp, pilot: Pilot[TuiTrainerError], line: FakeLine) -> None:
        self.app, self.pilot, self.line = app, pilot, line

    @property
    def screen(self) -> str:
        return self.app.screen_stack[0].query_one(RunView).text()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def see(self, text: str) -> None:
        """Return once `text` stands on the screen."""
        await see(self.pilot, lambda: self.screen, text)


@asynccontextmanager
async def seated(
    kind: Kind = "play", line: FakeLine | None = None, *, delay_s: float = LONG, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[Seat]:
    line = line or FakeLine()
    app = DuelApp(line, kind, "sample", UiSettings(), delay_s=delay_s, answer_s=0.0, look=Look())
    async with app.run_test(size=size) as pilot:
        seat = Seat(app, pilot, line)
        await seat.see(" X ")
        yield seat


# --- stories -------------------------------------------------------------------------------------------------------


async def test_a_digit_plays_a_column_and_the_learner_answers() -> None:
    async with seated() as seat:
        await seat.see("X you to move")
        await seat.press("4")
        await seat.see("moves 4 ")
        await seat.see("X you to move")
        assert [type(question) for question in seat.line.asked] == [d.NewGame, d.Play, d.Go]


async def test_the_learners_thoughts_are_hidden_until_h() -> None:
    async with seated() as seat:
        await seat.see("h shows what the learner would play")
        assert "%" not in seat.screen
        await seat.press("h")
        await seat.see("100 %")
        await seat.see("hide")
        await seat.press("h")
        await seat.see("h shows what")


async def test_a_full_column_is_refused_in_words() -> None:
    async with seated() as seat:
        await seat.press("9")
        await seat.see("9 is no legal move here; legal are 1, 2, 3")


async def test_u_takes_back_and_says_when_there_is_nothing() -> None:
    async with seated() as seat:
        await seat.press("u")
        await seat.see("there is no move of yours to take back")
        await seat.press("4")
        await seat.see("moves 4 ")
        await seat.see("X you to move")
        await seat.press("u")
        await until(seat.pilot, lambda: "moves" not in seat.screen)
        assert "[" not in seat.screen


async def test_n_begins_again_with_sides_changed() -> None:
    async with seated() as seat:
        await seat.press("n")
        await seat.see("Game 2")
        await seat.see("O you to move")


async def test_a_move_can_be_typed() -> None:
    async with seated() as seat:
        await seat.press("enter", "x", "backspace", "7")
        await seat.see("move: 7_")
        await seat.press("enter")
        await seat.see("moves 7 ")


async def test_escape_clears_what_is_typed_and_q_is_a_letter_there() -> None:
    async with seated() as seat:
        await seat.press("enter", "q")
        await seat.see("move: q_")
        await seat.press("escape")
        assert seat.app.scene.typed is None


async def test_q_leaves_and_ends_the_duel() -> None:
    async with seated() as seat:
        await seat.press("q")
        await seat.pilot.pause()
    assert seat.line.closed
    assert seat.app.return_value is None


async def test_a_watched_game_goes_on_by_itself_to_its_end() -> None:
    async with seated("watch", FakeLine("minimax-3"), delay_s=0.0) as seat:
        await seat.see("n begins another game, sides changed")
        assert "■" in seat.screen
        await seat.press("space")
        await seat.see("the game is over: n begins another")


async def test_a_watched_game_stops_and_goes_one_move() -> None:
    async with seated("watch", FakeLine("minimax-3")) as seat:
        await seat.press("space")
        await seat.see("waits: space goes on")
        await seat.press("right")
        await seat.see("moves")
        assert len(seat.app.scene.position.line) == 1  # type: ignore[union-attr]


async def test_a_watched_game_shows_probabilities_and_value_without_asking() -> None:
    async with seated("watch", FakeLine(d.SELF)) as seat:
        assert "100 %" in seat.screen
        assert "for X" in seat.screen


async def test_the_pace_changes_by_halves_and_doubles() -> None:
    async with seated("watch", FakeLine(d.SELF), delay_s=8.0) as seat:
        await seat.press("less_than_sign")
        await seat.see("a move every 16 s")
        await seat.press("greater_than_sign", "greater_than_sign")
        await seat.see("a move every 4 s")


async def test_a_duel_that_is_gone_ends_the_view_with_its_reason() -> None:
    async with seated() as seat:
        seat.line.broken = True
        await seat.press("4")
        await until(seat.pilot, lambda: not seat.app.is_running)
    assert "gone" in str(seat.app.return_value)


# --- the picture ---------------------------------------------------------------------------------------------------


def played(*moves: str) -> d.Position:
    line = FakeLine()
    now = line.ask(d.NewGame())
    for move in moves:
        line.ask(d.Play(move=move))
        now = line.ask(d.Go())
    assert isinstance(now, d.Position)
    return now


MIDDLE = played("4", "3")
ENDED = msgspec.structs.replace(MIDDLE, ended=True, winner=0, result="black", moves=(), value=None)
EPISODE = d.Position(
    game=3, text=f"  |\n  #\n{'=' * 41}", seats=(d.LEARNER,), sides=("",), moves=(d.Move("0", 0.3), d.Move("1", 0.7)),
    value=44.2, note="step 12, return 12",
)  # fmt: skip


def text(position: d.Position | None, width: int, height: int, kind: Kind = "play", **more: object) -> str:
    scene = BoardScene(kind=kind, name="sample", label="checkpoints/3-u40", position=position, **more)  # type: ignore[arg-type]
    return "\n".join("".join(span.text for span in row) for row in draw(scene, width, height))


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (120, 40)])
@pytest.mark.parametrize("kind", ["play", "watch"])
def test_the_whole_board_its_bars_and_its_keys_fit(size: tuple[int, int], kind: Kind) -> None:
    shown = text(MIDDLE, *size, kind=kind, hint=True)
    assert "…" not in shown
    assert shown.count("X") >= 3
    assert shown.count("%") == 7
    assert "for O" in shown
    assert "q leave" in shown
    assert "to move" in shown


@pytest.mark.parametrize("size", [(40, 12), (80, 24)])
def test_the_last_move_stands_in_brackets(size: tuple[int, int]) -> None:
    assert text(MIDDLE, *size).count("[O]") == 1


def test_the_likeliest_move_carries_a_mark() -> None:
    marked = [line for line in text(MIDDLE, 40, 12, hint=True).splitlines() if "▸" in line and "%" in line]
    assert len(marked) == 1
    assert "100 %" in marked[0]


@pytest.mark.parametrize("size", [(40, 12), (80, 24)])
def test_the_end_says_who_won(size: tuple[int, int]) -> None:
    assert "■ X you won (black)" in text(ENDED, *size)


def test_the_games_of_a_sitting_are_counted_and_one_taken_back_is_none() -> None:
    results = with_result((), ENDED)
    assert results == ((ENDED.game, "you"),)
    drawn = msgspec.structs.replace(ENDED, game=ENDED.game + 1, winner=None)
    both = with_result(results, drawn)
    assert "learner 0, you 1, drawn 1" in text(ENDED, 80, 24, results=both)
    assert with_result(both, msgspec.structs.replace(drawn, ended=False)) == results
    itself = msgspec.structs.replace(ENDED, seats=("learner", "learner"))
    assert "drawn" not in text(itself, 80, 24, results=both), "of one that plays itself there is nothing to count"


def test_an_episode_shows_its_picture_its_steps_and_its_return() -> None:
    for size in ((40, 12), (80, 24)):
        shown = text(EPISODE, *size, kind="watch")
        assert "step 12, return 12" in shown
        assert "expects +44.2" in shown
        assert "#" in shown


@given(
    st.integers(0, 200), st.integers(0, 60), st.sampled_from([None, MIDDLE, ENDED, EPISODE]),
    st.sampled_from(["play", "watch"]), st.booleans(), st.sampled_from(["braille", "block", "ascii"]),
)  # fmt: skip
def test_every_size_is_filled_exactly(
    width: int, height: int, position: d.Position | None, kind: Kind, hint: bool, glyphs: str
) -> None:
    scene = BoardScene(
        kind=kind, name="sample\x1b]2;x", label="x" * 90, position=position, hint=hint, look=Look(glyphs)  # type: ignore[arg-type]
    )  # fmt: skip
    rows = draw(scene, width, height)
    assert [row_cells(row) for row in rows] == [width] * height
    joined = "".join(span.text for row in rows for span in row)
    assert "\x1b" not in joined
    assert glyphs != "ascii" or joined.isascii()


@pytest.mark.parametrize("kind", ["play", "watch"])
def test_no_key_stands_for_two_things(kind: Kind) -> None:
    names = [name for key in keys_for(kind) for name in key.keys]
    assert len(names) == len(set(names))
    assert all(key_named(kind, name) is not None for name in names)


def test_leaving_is_never_refused() -> None:
    for position in (None, MIDDLE, ENDED, EPISODE):
        assert refusal("leave", BoardScene(kind="play", name="x", label="y", position=position)) == ""


def test_the_documentation_prints_the_same_table() -> None:
    assert markdown() in (ROOT / "docs/play.md").read_text()


# --- the real program ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_person_plays_the_sample_in_a_terminal() -> None:
    command = [sys.executable, "-m", "tui_trainer", "play", str(ROOT / "sessions/sample"), "--first"]
    terminal = PtyTerminal(command, 80, 24, {"OMP_NUM_THREADS": "1"})
    try:
        terminal.wait_for(b"X you to move")
        terminal.key(b"4")
        terminal.wait_for(b"moves 4 ")
        terminal.key(b"h")
        terminal.wait_for(b"for O")
        terminal.key(b"q")
        assert terminal.exit_code() == 0
    finally:
        terminal.close()

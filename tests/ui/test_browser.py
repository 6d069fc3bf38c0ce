"""The list of sessions: live ones first, a mark, a filter, and one choice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from tests.ui.history import START
from tests.ui.waiting import see, until
from tui_trainer.charts.span import row_cells
from tui_trainer.core.config import Resolved, UiSettings, assignments_layer, resolve, setting_doc
from tui_trainer.errors import UsageError
from tui_trainer.ui.browser import BrowserApp
from tui_trainer.ui.look import Look
from tui_trainer.ui.shelf import KEYS, Choice, SessionRow, Shelf, draw, nested
from tui_trainer.ui.view import RunView


def session(
    name: str, state: str = "ended", *, live: bool = False, minutes: int = 5, task: str = "connect_four"
) -> SessionRow:
    return SessionRow(
        name=name, state=state, task=task, algorithm="ppo", update=1204, global_step=19_700_000, best=0.71,
        changed=START - 60 * minutes, size=21_400_000, live=live,
    )  # fmt: skip


ROWS = [
    session("connect_four-ppo-1"),
    session("tictactoe-ppo-1", "crashed", task="tictactoe", minutes=90),
    session("connect_four-ppo-2", "running", live=True),
]


class Seat:
    def __init__(self, app: BrowserApp, pilot: Pilot[Choice]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def screen(self) -> str:
        return self.app.screen_stack[0].query_one(RunView).text()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def see(self, text: str) -> None:
        await see(self.pilot, lambda: self.screen, text)


class Cupboard:
    """Sessions in memory; what is deleted can come back."""

    def __init__(self, rows: list[SessionRow]) -> None:
        self.rows = rows
        self.aside: dict[str, SessionRow] = {}
        self.refuse = ""

    def load(self) -> list[SessionRow]:
        return list(self.rows)

    def delete(self, name: str) -> None:
        if self.refuse:
            raise UsageError(self.refuse)
        self.aside[name] = next(row for row in self.rows if row.name == name)
        self.rows = [row for row in self.rows if row.name != name]

    def restore(self, name: str) -> None:
        self.rows = [*self.rows, self.aside.pop(name)]

    def settle(self, assignments: tuple[str, ...]) -> Resolved:
        return resolve([assignments_layer(assignments)])

    choices: Mapping[str, tuple[str, ...]] = {
        "run.task": ("connect_four", "tictactoe", "cache"),
        "run.algorithm": ("ppo", "dqn"),
    }


@asynccontextmanager
async def seated(rows: list[SessionRow], settings: UiSettings | None = None) -> AsyncIterator[Seat]:
    app = BrowserApp(Cupboard(rows), settings or UiSettings(), look=Look(), clock=lambda: START)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: app.shelf.rows is not None)
        await pilot.pause()
        yield Seat(app, pilot)


async def test_live_sessions_come_first_and_carry_the_mark() -> None:
    async with seated(ROWS) as seat:
        lines = [line for line in seat.screen.splitlines() if "-ppo-" in line]
        assert "▸ ● connect_four-ppo-2" in lines[0]
        assert "✗ tictactoe-ppo-1" in lines[2]
        assert "1,204" in lines[0]
        assert "19.7M" in lines[0]


async def test_the_chosen_session_stands_below_in_more_words_with_its_evaluations() -> None:
    told = msgspec.structs.replace(ROWS[1], scores=(0.2, 0.4, 0.3), about="out of memory", parent="connect_four-ppo-1")
    async with seated([ROWS[2], told]) as seat:
        assert "enter attaches to it" in seat.screen
        await seat.press("down")
        for wanted in ("crashed: out of memory", "0.300 at last, best surely 0.710", "fork of    connect_four-ppo-1",
                       "resume takes it up", "newest evaluations"):  # fmt: skip
            assert wanted in seat.screen, wanted


async def test_a_guest_can_neither_be_resumed_nor_forked_from_here() -> None:
    async with seated([session("mine", task="guest:CartPole-v1")]) as seat:
        for key in ("r", "f"):
            await seat.press(key)
            assert "a script of its own" in seat.screen
        assert "guest:CartPole-v1" in seat.screen, "words are not cut where there is room"
        assert seat.app.return_value is None


@pytest.mark.parametrize(
    ("keys", "choice"),
    [
        (["enter"], Choice("attach", "connect_four-ppo-2")),
        (["down", "enter"], Choice("replay", "connect_four-ppo-1")),
        (["end", "r"], Choice("resume", "tictactoe-ppo-1")),
        (["p"], Choice("replay", "connect_four-ppo-2")),
        (["n", "enter"], Choice("run")),
        (["n", "down", "right", "enter"], None),
        (["n", "down", "right", "home", "enter"], Choice("run", "", ("--task", "tictactoe"))),
        (["f"], Choice("fork", "connect_four-ppo-2")),
        (["w"], Choice("report", "connect_four-ppo-2")),
        (["space", "space", "c"], Choice("compare", "connect_four-ppo-2", ("connect_four-ppo-1", "--screen"))),
        (["end", "space", "home", "c"], Choice("compare", "tictactoe-ppo-1", ("connect_four-ppo-2", "--screen"))),
        (["q"], None),
        (["ctrl+c"], None),
        (["slash", *"crash", "enter", "r"], Choice("resume", "tictactoe-ppo-1")),
        (["slash", *"status:ended", "enter", "enter"], Choice("replay", "connect_four-ppo-1")),
    ],
)
async def test_keys_choose(keys: list[str], choice: Choice | None) -> None:
    async with seated(ROWS) as seat:
        await seat.press(*keys)
    assert seat.app.return_value == choice


@pytest.mark.parametrize("key", ["r", "f", "d"])
async def test_a_run_of_another_tool_is_marked_and_can_only_be_read(key: str) -> None:
    row = msgspec.structs.replace(session("logs/PPO_1", "read-only"), origin="TensorBoard")
    async with seated([row]) as seat:
        assert "○ logs/PPO_1" in seat.screen
        assert "read-only, TensorBoard" in seat.screen
        await seat.press(key)
        assert "logs/PPO_1 is a run of TensorBoard, which opens read-only" in seat.screen
        await seat.press("enter")
    assert seat.app.return_value == Choice("replay", "logs/PPO_1")


async def test_a_live_session_cannot_be_resumed_and_says_why() -> None:
    async with seated(ROWS) as seat:
        await seat.press("r")
        assert "connect_four-ppo-2 is live: enter attaches to it" in seat.screen


async def test_without_sessions_it_says_how_to_start_one() -> None:
    async with seated([]) as seat:
        assert "no sessions yet: n starts one" in seat.screen
        await seat.press("enter", "r", "p", "down")
        assert seat.app.is_running


@given(st.integers(0, 160), st.integers(0, 50), st.sampled_from([None, (), tuple(ROWS)]), st.booleans())
def test_the_picture_has_the_screens_size(
    width: int, height: int, rows: tuple[SessionRow, ...] | None, ascii_only: bool
) -> None:
    shown = draw(Shelf(rows=rows, now=START), width, height, Look("ascii" if ascii_only else "braille"))
    assert len(shown) == height
    assert all(row_cells(row) == width for row in shown)
    assert not ascii_only or all(span.text.isascii() for row in shown for span in row)


def test_the_mark_is_always_on_the_screen() -> None:
    rows = tuple(session(f"s-{number}") for number in range(60))
    for chosen in ("s-0", "s-30", "s-59"):
        text = "\n".join(
            "".join(s.text for s in row) for row in draw(Shelf(rows=rows, now=START, chosen=chosen), 80, 20, Look())
        )
        assert f"▸ ■ {chosen} " in text


# --- order, filter, tree -----------------------------------------------------------------------------------------


def names(shelf: Shelf) -> list[str]:
    return [row.name for row in shelf.shown]


def shelf(rows: list[SessionRow], **changes: object) -> Shelf:
    return msgspec.structs.replace(Shelf(rows=tuple(rows), now=START), **changes)


@pytest.mark.parametrize(
    ("order", "first"), [("age", "live"), ("name", "a-old"), ("best", "live"), ("size", "live"), ("state", "live")]
)
def test_each_order_puts_live_ones_first_except_by_name(order: str, first: str) -> None:
    rows = [session("b-new", minutes=1), session("a-old", minutes=900), session("live", "running", live=True)]
    assert names(shelf(rows, order=order))[0] == first


def test_the_best_order_puts_the_highest_score_first_and_unknown_ones_last() -> None:
    scored = [("low", 0.1), ("none", None), ("high", 0.9)]
    rows = [msgspec.structs.replace(session(name), best=best) for name, best in scored]
    assert names(shelf(rows, order="best")) == ["high", "low", "none"]


@pytest.mark.parametrize(
    ("words", "found"),
    [("status:run", ["connect_four-ppo-2"]), ("task:tic", ["tictactoe-ppo-1"]), ("crash ttt", []),
     ("ppo crash", ["tictactoe-ppo-1"])],
)  # fmt: skip
def test_every_word_of_the_filter_counts(words: str, found: list[str]) -> None:
    assert names(shelf(ROWS, filter=words)) == found


def fork(name: str, parent: str) -> SessionRow:
    return msgspec.structs.replace(session(name), parent=parent)


def test_a_tree_puts_forks_under_their_parents() -> None:
    rows = [fork("child-2", "root"), session("other"), fork("grandchild", "child-1"), fork("child-1", "root"),
            session("root", minutes=500)]  # fmt: skip
    found = nested(sorted(rows, key=lambda row: row.name))
    assert [(row.name, depth) for row, depth in found] == [
        ("other", 0), ("root", 0), ("child-1", 1), ("grandchild", 2), ("child-2", 1),
    ]  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=12, unique_by=lambda pair: pair[0]))
def test_a_tree_loses_no_session_whatever_the_parents(pairs: list[tuple[int, int]]) -> None:
    rows = [fork(f"s{name}", f"s{parent}") for name, parent in pairs]
    assert sorted(row.name for row, _ in nested(rows)) == sorted(row.name for row in rows)


# --- delete and undo ---------------------------------------------------------------------------------------------


async def test_a_deletion_asks_first_and_can_be_undone() -> None:
    async with seated(ROWS) as seat:
        await seat.press("end", "d")
        assert "Delete tictactoe-ppo-1" in seat.screen
        await seat.press("escape")
        assert "tictactoe-ppo-1" in names(seat.app.shelf)
        await seat.press("d", "d")
        await until(seat.pilot, lambda: "tictactoe-ppo-1" not in names(seat.app.shelf))
        await seat.press("u")
        await seat.see("tictactoe-ppo-1 is back")
        await until(seat.pilot, lambda: "tictactoe-ppo-1" in names(seat.app.shelf))


async def test_a_live_session_is_not_deleted() -> None:
    async with seated(ROWS) as seat:
        await seat.press("d", "d")
        assert "connect_four-ppo-2 is live: stop it first" in seat.screen


async def test_a_deletion_that_fails_says_why() -> None:
    async with seated(ROWS) as seat:
        cupboard = seat.app._cupboard
        assert isinstance(cupboard, Cupboard)
        cupboard.refuse = "the disk refused"
        await seat.press("end", "d", "y")
        await seat.see("the disk refused")


# --- the form ----------------------------------------------------------------------------------------------------


async def test_the_form_checks_a_setting_when_it_is_written() -> None:
    async with seated(ROWS) as seat:
        await seat.press("n", "down", "down", "down", "down", "enter", "ctrl+u", "x", "enter")
        assert "run.seed" in seat.screen
        assert "expected `int`" in seat.screen.casefold()
        await seat.press("backspace", "7", "enter")
        await seat.press("home", "enter")
    assert seat.app.return_value == Choice("run", "", ("--set", "run.seed=7"))


async def test_the_form_says_what_each_setting_means_and_shows_all_of_them() -> None:
    async with seated(ROWS) as seat:
        await seat.press("n", "down", "down")
        assert setting_doc("run.algorithm") in seat.screen
        assert "ppo, dqn" in seat.screen
        await seat.press("tab", "end")
        assert "study." in seat.screen
        await seat.press("escape")
        assert "New run" not in seat.screen


async def test_a_setting_can_be_taken_back() -> None:
    async with seated(ROWS) as seat:
        await seat.press("n", "down", "down", "right")
        assert "dqn" in seat.screen
        await seat.press("delete", "home", "enter")
    assert seat.app.return_value == Choice("run")


async def test_keys_of_a_persons_own_work_and_are_shown() -> None:
    async with seated(ROWS, UiSettings(keys={"delete": ("X",)})) as seat:
        assert "X delete" in seat.screen.splitlines()[-1]
        await seat.press("d")
        assert "Delete " not in seat.screen


async def test_the_help_scrolls_to_every_key_where_the_window_is_small() -> None:
    app = BrowserApp(Cupboard([]), UiSettings(), look=Look(), clock=lambda: START)
    async with app.run_test(size=(40, 12)) as pilot:
        await until(pilot, lambda: app.shelf.rows is not None)
        await pilot.press("question_mark")
        seen = ""
        for _ in range(60):
            assert app.view is not None
            seen += app.view.text()
            await pilot.press("down")
        assert all(f"│ {key.shown} " in seen for key in KEYS)
        await pilot.press("up", "escape")
        assert "Keys" not in app.view.text()

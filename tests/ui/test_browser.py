"""The list of sessions: live ones first, a mark, a filter, and one choice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from tests.ui.history import START
from tui_trainer.charts.span import row_cells
from tui_trainer.core.config import UiSettings
from tui_trainer.ui.browser import BrowserApp, Choice, SessionRow, Shelf, draw
from tui_trainer.ui.look import Look
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


@asynccontextmanager
async def seated(rows: list[SessionRow]) -> AsyncIterator[Seat]:
    app = BrowserApp(lambda: rows, UiSettings(), look=Look(), clock=lambda: START)
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.pause(0.1)
        yield Seat(app, pilot)


async def test_live_sessions_come_first_and_carry_the_mark() -> None:
    async with seated(ROWS) as seat:
        lines = [line for line in seat.screen.splitlines() if "-ppo-" in line]
        assert "▸ ● connect_four-ppo-2" in lines[0]
        assert "✗ tictactoe-ppo-1" in lines[2]
        assert "1,204" in lines[0]
        assert "19.7M" in lines[0]


@pytest.mark.parametrize(
    ("keys", "choice"),
    [
        (["enter"], Choice("attach", "connect_four-ppo-2")),
        (["down", "enter"], Choice("replay", "connect_four-ppo-1")),
        (["end", "r"], Choice("resume", "tictactoe-ppo-1")),
        (["p"], Choice("replay", "connect_four-ppo-2")),
        (["n"], Choice("run")),
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

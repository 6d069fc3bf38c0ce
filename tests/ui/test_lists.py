"""Decisions and models on the whole screen, at the keys."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.ui.fakes import FakePlayer, FakeSource
from tests.ui.history import NAME, START, UPDATES, history, state_at
from tests.ui.test_stories import seated
from tests.ui.waiting import see
from tui_trainer.core.config import UiSettings
from tui_trainer.core.events import CommandRefused
from tui_trainer.core.state import RunState
from tui_trainer.errors import StorageError
from tui_trainer.ui.aids import Aids
from tui_trainer.ui.app import TrainerApp
from tui_trainer.ui.look import Look
from tui_trainer.ui.panels.texts import outcome_style

ENDED = state_at(UPDATES)


async def test_d_opens_every_decision_and_d_or_escape_closes_it() -> None:
    async with seated(FakeSource(ENDED), size=(200, 50)) as seat:
        await seat.press("d")
        assert "Training Manager" not in seat.screen
        assert "accepted 6: excelling: random beaten in 4 evaluations running" in seat.screen
        assert "helped: +4.1 % after 40 updates" in seat.screen
        await seat.press("d")
        assert "Training Manager" in seat.screen
        await seat.press("d", "escape")
        assert "Training Manager" in seat.screen


async def test_the_list_is_filtered_as_a_text_is_typed_and_letters_are_no_orders() -> None:
    async with seated(FakeSource(state_at(780))) as seat:
        await seat.press("d", "slash", *"accepted", "enter")
        assert "accepted 6" in seat.screen
        assert "difficulty → 1-ply" not in seat.screen
        assert "filter: accepted" in seat.screen
        assert seat.source.sent == []
        await seat.press("escape")
        assert "difficulty → 1-ply" in seat.screen


async def test_the_chosen_line_stays_chosen_when_something_new_comes_above_it() -> None:
    async with seated(FakeSource(state_at(780))) as seat:
        await seat.press("d", "down")
        chosen = seat.app.scene.mark
        await seat.happen(CommandRefused(id="x", order="stop", by="user", why="because"))
        assert seat.app.scene.mark == chosen
        assert "▸" in next(line for line in seat.screen.splitlines() if "accepted 6" in line)


async def test_enter_in_a_replay_goes_to_the_moment_of_the_decision_even_one_still_to_come() -> None:
    player = FakePlayer(list(history()), at=100)
    async with seated(player) as seat:
        await seat.press("d", "end", "enter")
        await seat.pilot.pause()
        assert seat.app.scene.state.decisions[-1].what.startswith("accepted 6")
        assert player.events[player.index - 1].seq == seat.app.scene.state.decisions[-1].seq
        await seat.press("home", "enter")
        await seat.pilot.pause()
        assert seat.app.scene.state.status == "ended"


async def test_enter_on_a_live_run_says_where_a_moment_can_be_gone_to() -> None:
    async with seated(FakeSource(state_at(780))) as seat:
        await seat.press("d", "enter")
        assert f"only a replay goes back: tui-trainer replay {NAME}" in seat.screen


async def test_m_shows_each_version_with_its_score_and_the_formula_of_the_best() -> None:
    async with seated(FakeSource(ENDED)) as seat:
        await seat.press("m")
        assert "★" in seat.screen
        assert "lower 95 % bound" in seat.screen
        assert f"tui-trainer fork {NAME} --at 25" in seat.screen
        await seat.press("down", "enter")
        assert seat.app.clipboard == f"tui-trainer fork {NAME} --at 24"


@pytest.mark.parametrize("state", [state_at(780), ENDED], ids=["live", "ended"])
async def test_k_in_the_list_of_models_forks_the_chosen_one(state: RunState) -> None:
    async with seated(FakeSource(state)) as seat:
        await seat.press("m", "down")
        assert "k fork" in seat.screen
        chosen = seat.app.scene.mark
        await seat.press("k")
    assert seat.app.return_value is not None
    assert seat.app.return_value.then == ("fork", "--at", str(chosen))
    assert seat.source.sent == [], "a live run goes on"


async def exported(keys: list[str], export: Callable[[str, str], str], words: str) -> str:
    """The screen once it says `words` after these keys."""
    app = TrainerApp(FakeSource(ENDED), UiSettings(), look=Look(), clock=lambda: START, aids=Aids(export=export))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press(*keys)
        view = app.view
        assert view is not None
        await see(pilot, view.text, words)
        return view.text()


async def test_x_writes_the_open_list_and_says_where() -> None:
    asked: list[tuple[str, str]] = []

    def export(what: str, form: str) -> str:
        asked.append((what, form))
        return f"here-{what}.{form}: 3 rows"

    assert "here-decisions.csv: 3 rows" in await exported(["x", "d", "x"], export, "3 rows")
    assert "here-models.json: 3 rows" in await exported(["m", "X"], export, "3 rows")
    assert asked == [("decisions", "csv"), ("models", "json")]


async def test_a_list_that_cannot_be_written_says_why() -> None:
    def export(what: str, form: str) -> str:
        raise StorageError("no room")

    assert "no room" in await exported(["d", "x"], export, "no room")


@pytest.mark.parametrize("size", [(1, 1), (40, 12), (80, 24), (200, 50)], ids=str)
@pytest.mark.parametrize("key", ["d", "m"])
async def test_a_list_fits_every_size_and_leaves_it_alone_when_empty(size: tuple[int, int], key: str) -> None:
    for state in (state_at(0), ENDED):
        async with seated(FakeSource(state), size=size) as seat:
            await seat.press(key, "down", "pagedown", "up", "pageup", "enter")
            lines = seat.screen.splitlines()
            assert len(lines) <= size[1]
            assert all(len(line) <= size[0] for line in lines)
            assert "failed:" not in seat.screen


@pytest.mark.parametrize(
    ("outcome", "style"), [("helped: +4 %", "good"), ("hurt: -3 %", "bad"), ("unclear: +0.002", "warn"), ("", "warn")]
)
def test_only_what_helped_is_green(outcome: str, style: str) -> None:
    assert outcome_style(outcome) == style

"""The screen as pictures: empty, in the middle with an open recommendation, paused, ended, replayed, at three sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from textual.app import App
from textual.pilot import Pilot

from tests.ui.fakes import FakePlayer, FakeSource
from tests.ui.history import START, UPDATES, history, state_at
from tests.ui.test_browser import ROWS, Cupboard
from tests.ui.test_compare import found
from tests.ui.waiting import until
from tui_trainer.client.source import Link
from tui_trainer.core.config import UiSettings
from tui_trainer.core.events import RunPaused, stamp
from tui_trainer.ui.aids import Aids
from tui_trainer.ui.app import TrainerApp
from tui_trainer.ui.browser import BrowserApp
from tui_trainer.ui.compare import CompareApp
from tui_trainer.ui.look import Look


def paused() -> FakeSource:
    state = state_at(780)
    event = RunPaused(by="user", why="key p")
    return FakeSource(
        state.apply(
            stamp(event, seq=state.seq + 1, time=state.time, update=state.update, global_step=state.global_step)
        )
    )


SCENES: dict[str, Callable[[], FakeSource]] = {
    "empty": lambda: FakeSource(state_at(0)),
    "recommendation": lambda: FakeSource(state_at(780)),
    "paused": paused,
    "ended": lambda: FakeSource(state_at(UPDATES)),
    "replay": lambda: FakePlayer(list(history()), at=900),
}


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("scene", SCENES)
def test_screen(snap_compare: Any, scene: str, size: tuple[int, int]) -> None:
    app = TrainerApp(
        SCENES[scene](), UiSettings(), look=Look(), clock=lambda: START + 120, monotonic=lambda: 0.0, sender="test"
    )
    assert snap_compare(app, terminal_size=size)


LISTS: dict[str, tuple[Callable[[], FakeSource], str]] = {
    "decisions": (lambda: FakeSource(state_at(780)), "d"),
    "decisions-replay": (lambda: FakePlayer(list(history()), at=900), "d"),
    "models": (lambda: FakeSource(state_at(780)), "m"),
}


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("scene", LISTS)
def test_list(snap_compare: Any, scene: str, size: tuple[int, int]) -> None:
    source, key = LISTS[scene]
    app = TrainerApp(
        source(), UiSettings(), look=Look(), clock=lambda: START + 120, monotonic=lambda: 0.0, sender="test"
    )
    assert snap_compare(app, press=[key], terminal_size=size)


# --- the other screens -------------------------------------------------------------------------------------------


def run_on(source: FakeSource) -> TrainerApp:
    return TrainerApp(source, UiSettings(), look=Look(), clock=lambda: START + 120, monotonic=lambda: 0.0)


def crashed() -> TrainerApp:
    source = FakeSource(state_at(780))
    source.publish(Link("gone", "the engine is gone"))
    lines = ("Traceback (most recent call last):", '  File "task.py", line 7, in step', "ValueError: no such move")
    return TrainerApp(
        source, UiSettings(), look=Look(), clock=lambda: START + 120, monotonic=lambda: 0.0,
        aids=Aids(last_words=lambda: lines),
    )  # fmt: skip


def listed() -> BrowserApp:
    scores = tuple(0.1 * i for i in range(8))
    rows = [msgspec.structs.replace(row, scores=scores) for row in ROWS]
    return BrowserApp(Cupboard(rows), UiSettings(), look=Look(), clock=lambda: START)


SIZES = ((40, 12), (80, 24), (120, 40))
OTHERS: dict[str, tuple[Callable[[], App[Any]], tuple[str, ...]]] = {
    "chart": (lambda: run_on(FakeSource(state_at(780))), ("2", "2", "left", "left", "left", "left")),
    "chart-log-zoomed": (lambda: run_on(FakeSource(state_at(780))), ("4", "4", "l", "f", "plus", "v")),
    "crashed": (crashed, ()),
    "sessions": (listed, ("down",)),
    "compare": (lambda: CompareApp(found, UiSettings(), look=Look(), baseline="a-seed-1"), ("left",)),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", OTHERS)
def test_other_screen(snap_compare: Any, name: str, size: tuple[int, int]) -> None:
    make, keys = OTHERS[name]

    async def press(pilot: Pilot[Any]) -> None:
        app = pilot.app
        if isinstance(app, CompareApp):
            await app.workers.wait_for_complete()
        elif isinstance(app, BrowserApp):
            await until(pilot, lambda: app.shelf.rows is not None)
        elif isinstance(app, TrainerApp) and not keys:
            await until(pilot, lambda: app.view is not None and "no such move" in app.view.text())
        await pilot.pause(0.2)
        await pilot.press(*keys)
        await pilot.pause(0.3)

    assert snap_compare(make(), terminal_size=size, run_before=press)

"""The screen as pictures: empty, in the middle with an open recommendation, paused, ended, replayed, at three sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.ui.fakes import FakePlayer, FakeSource
from tests.ui.history import START, UPDATES, history, state_at
from tui_trainer.core.config import UiSettings
from tui_trainer.core.events import RunPaused, stamp
from tui_trainer.ui.app import TrainerApp
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

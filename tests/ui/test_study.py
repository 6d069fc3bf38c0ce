"""The app on a study, at the keys and at every size."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot

from tui_trainer.core.config import UiSettings
from tui_trainer.core.study import StudyView, Trial
from tui_trainer.errors import ConfigError
from tui_trainer.ui.look import Look
from tui_trainer.ui.study import StudyApp
from tui_trainer.ui.trials import KEYS, StudyScene, as_words, draw, from_words, key_named, markdown, refusal

ROOT = Path(__file__).parents[2]


def trial(number: int, state: str, value: float | None, **more: Any) -> Trial:
    params = {"ppo.learning_rate": 10 ** (-4 + number / 8), "ppo.n_epochs": 1 + number % 6, "ppo.hidden": "[64, 64]"}
    session = f"s-t{number:04d}" if state != "waiting" else ""
    return Trial(number=number, state=state, value=value, params=params, session=session, evaluations=5, **more)  # type: ignore[arg-type]


MID = StudyView(
    name="tictactoe-study",
    target=20,
    pid=4242,
    trials=(
        *(trial(i, "pruned" if i % 3 == 2 else "complete", 0.5 + 0.03 * i - 0.02 * (i % 3)) for i in range(12)),
        trial(12, "failed", 0.4, note="killed; queued again"), trial(13, "complete", 0.71, retry_of=12),
        trial(14, "running", 0.66), trial(15, "waiting", None, by_hand=True),
    ),
    importance={"ppo.learning_rate": 0.71, "ppo.n_epochs": 0.2, "ppo.hidden": 0.09},
)  # fmt: skip


class Source:
    """A study in memory that keeps its orders."""

    def __init__(self, view: StudyView) -> None:
        self.view = view
        self.enqueued: list[Mapping[str, str]] = []
        self.stopped = 0

    def read(self) -> StudyView:
        return self.view

    def enqueue(self, params: Mapping[str, str]) -> str:
        if "ppo.n_epochs" not in params:
            raise ConfigError("ppo.n_epochs: no value")
        self.enqueued.append(params)
        return "in the queue"

    def stop(self) -> str:
        self.stopped += 1
        self.view = msgspec.structs.replace(self.view, pid=None)
        return "stopping"


class Seat(msgspec.Struct):
    """A person before the study."""

    app: StudyApp
    source: Source
    pilot: Pilot[str]

    @property
    def screen(self) -> str:
        rows = draw(self.app.scene, *self.app.size)
        return "\n".join("".join(span.text for span in row) for row in rows)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        orders = [worker for worker in self.app.workers if worker.name in ("enqueue", "stop")]
        if orders:
            await self.app.workers.wait_for_complete(orders)
        await self.pilot.pause()


@asynccontextmanager
async def seated(view: StudyView = MID, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Seat]:
    source = Source(view)
    app = StudyApp(source, view, UiSettings(), look=Look())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield Seat(app, source, pilot)


async def test_it_shows_trials_best_so_far_and_importance() -> None:
    async with seated() as seat:
        for part in ("13 of 20 trials ended", "● running", "Best so far ─ 0.7800, trial 10", "learning_rate", "71 %",
                     "killed; queued again", "by hand", "★"):  # fmt: skip
            assert part in seat.screen, part


@pytest.mark.parametrize("width", range(30, 121, 3))
def test_a_setting_is_shown_with_its_whole_value_or_not_at_all(width: int) -> None:
    """Half a number would be another one."""
    scene = StudyScene(view=MID, look=Look())
    rows = ["".join(span.text for span in row) for row in draw(scene, width, 12)]
    assert "● running" in rows[0]
    assert "13 of 20" in rows[0]
    whole = " ".join("".join(span.text for span in row) for row in draw(scene, 200, 12)).split()
    figures = [word for row in rows[2:8] for word in row.split() if "." in word]
    assert all(word in whole for word in figures)


async def test_e_enqueues_the_chosen_trials_values_as_they_are_edited() -> None:
    async with seated() as seat:
        await seat.press("down", "e")
        assert "try: ppo.learning_rate=" in seat.screen
        await seat.press("ctrl+u", *"ppo.n_epochs=4", "enter")
        assert seat.source.enqueued == [{"ppo.n_epochs": "4"}]
        assert "in the queue" in seat.screen


async def test_letters_of_a_value_are_no_orders_and_escape_leaves_it() -> None:
    async with seated() as seat:
        await seat.press("e", "s", "q", "escape")
        assert seat.source.enqueued == []
        assert seat.source.stopped == 0
        assert seat.app.is_running


async def test_what_cannot_be_enqueued_says_why() -> None:
    async with seated() as seat:
        await seat.press("e", "ctrl+u", "x", "enter")
        assert "ppo.n_epochs: no value" in seat.screen


async def test_s_asks_before_it_stops() -> None:
    async with seated() as seat:
        await seat.press("s")
        assert "stop the engines" in seat.screen
        await seat.press("escape")
        assert seat.source.stopped == 0
        await seat.press("s", "s")
        assert seat.source.stopped == 1
        assert "■ at rest" in seat.screen


async def test_a_study_at_rest_cannot_be_stopped_and_says_so() -> None:
    async with seated(msgspec.structs.replace(MID, pid=None)) as seat:
        await seat.press("s")
        assert "nobody runs this study" in seat.screen


async def test_enter_leaves_for_the_trials_session_and_q_for_good() -> None:
    async with seated() as seat:
        await seat.press("down", "enter")
    assert seat.app.return_value == "s-t0014"
    async with seated() as seat:
        await seat.press("enter")
        assert "no session yet" in seat.screen
        await seat.press("q")
    assert seat.app.return_value is None


@pytest.mark.parametrize("size", [(1, 1), (20, 4), (40, 12), (80, 24), (120, 40), (200, 50)], ids=str)
@pytest.mark.parametrize("view", [StudyView(name="s"), MID], ids=["empty", "mid"])
def test_it_fits_every_size(size: tuple[int, int], view: StudyView) -> None:
    rows = draw(StudyScene(view=view), *size)
    assert len(rows) == size[1]
    assert {sum(len(span.text) for span in row) for row in rows} == {size[0]}


def test_values_survive_being_written_and_read() -> None:
    assert from_words(as_words({"a.b": 0.1, "c": "[64, 64]", "d": True})) == {"a.b": "0.1", "c": "[64,64]", "d": "True"}


def test_every_key_is_found_has_a_sentence_and_stands_in_the_documentation() -> None:
    assert all(key_named(name) is key for key in KEYS for name in key.keys)
    assert all(refusal(key.deed, StudyScene(view=MID)) == "" for key in KEYS if key.deed != "open")
    assert markdown() in (ROOT / "docs/tune.md").read_text()


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (120, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_screen(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(StudyApp(Source(MID), MID, UiSettings(), look=Look()), terminal_size=size)

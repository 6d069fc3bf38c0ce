"""The terminal hears of news of a live run where the person asked for it, and of nothing else."""

from __future__ import annotations

import pytest

from tests.ui.fakes import FakeSource
from tests.ui.history import NAME, state_at
from tests.ui.waiting import until
from tui_trainer.core.config import UiSettings
from tui_trainer.core.events import AlertRaised, AnyEvent, RunEnded, RunPaused, stamp
from tui_trainer.core.values import Reason
from tui_trainer.ui.app import TrainerApp
from tui_trainer.ui.bell import BELL, QUIET_S, Bell, ring

ALERT = AlertRaised(key="disk", severity="warning", text="disk \x1b]52;c;aGk=\x07almost full")
MID = state_at(780)


def test_a_desktop_message_holds_clean_words() -> None:
    assert ring(ALERT, "a", "osc9", {}) == "\x1b]9;tui-trainer: a: warning: disk ·]52;c;aGk=·almost full\a"


def test_a_desktop_message_passes_through_tmux_and_screen() -> None:
    plain = ring(ALERT, "a", "osc9", {})
    doubled = plain.replace("\x1b", "\x1b\x1b")
    assert ring(ALERT, "a", "osc9", {"TMUX": "/tmp/tmux-1/default,1,0"}) == f"\x1bPtmux;{doubled}\x1b\\"
    assert ring(ALERT, "a", "osc9", {"STY": "1.pts-0.host"}) == f"\x1bP{plain}\x1b\\"


async def written(kind: str, monkeypatch: pytest.MonkeyPatch, *events: AnyEvent) -> str:
    for name in ("TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    source = FakeSource(MID)
    app = TrainerApp(source, UiSettings(bell=kind))  # type: ignore[arg-type]
    out: list[str] = []
    async with app.run_test(size=(80, 24)) as pilot:
        assert app._driver is not None
        monkeypatch.setattr(app._driver, "write", out.append)
        source.happen(*(stamp(e, seq=MID.seq + i, time=MID.time, update=780, global_step=0)
                        for i, e in enumerate(events, 1)))  # fmt: skip
        await until(pilot, lambda: app.scene.state.seq == MID.seq + len(events))
        await pilot.pause()
        monkeypatch.undo()
    return "".join(out)


async def test_the_bell_rings_for_news_and_for_the_end_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    end = RunEnded(reason=Reason(name="max_updates"))
    assert (await written("bell", monkeypatch, ALERT, RunPaused(by="user", why="p"), end)).count("\a") == 2
    assert f"\x1b]9;tui-trainer: {NAME} ended: max_updates\a" in await written("osc9", monkeypatch, end)


async def test_a_hundred_alerts_in_a_second_ring_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await written("bell", monkeypatch, *[ALERT] * 100)).count("\a") == 1


def test_what_comes_later_rings_again() -> None:
    now = 100.0
    bell = Bell("a", "bell", {}, lambda: now)
    assert [bell.ring(ALERT), bell.ring(ALERT)] == [BELL, ""]
    now += QUIET_S
    assert bell.ring(ALERT) == BELL
    assert bell.ring(RunPaused(by="user", why="p")) == ""


async def test_by_default_nothing_rings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert UiSettings().bell == "off"
    assert "\a" not in await written("off", monkeypatch, ALERT)

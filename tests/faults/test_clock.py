"""Clocks that jump by a day: no negative speed, time or ETA; the order of events is their seq."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine import process as p
from tests.engine.fakes import FakeTask
from tests.warm import Warm
from tui_trainer.core.config import Layer, resolve
from tui_trainer.core.progress import eta, limit_progress
from tui_trainer.core.reports import CollectReport, UpdateReport
from tui_trainer.core.state import RunState
from tui_trainer.engine.meter import Meter
from tui_trainer.sessions.journal import read_journal
from tui_trainer.training.manager import TrainingManager

DAY_S = 86_400.0
JUMPING = """
import time
_time, _calls = time.time, 0
def jumping():
    global _calls
    _calls += 1
    return _time() + 86400 * ((_calls // 7) % 3 - 1)
time.time = jumping
"""
"""The wall clock of the real engine goes a day ahead, then two back, every few readings."""


@pytest.fixture(scope="module")
def jumped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 30 updates under a jumping wall clock."""
    root = tmp_path_factory.mktemp("jumped")
    (root / "sitecustomize.py").write_text(JUMPING)
    words = p.command("run", "--no-ui", "--json", *p.TINY, "--max-updates=30", "--name=a", "--set=run.threads=1")
    environment = {**p.environment(root), "PYTHONPATH": str(root)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=150)
    assert (done.returncode, done.stderr) == (0, "")
    return root


def test_a_run_under_a_jumping_clock_tells_no_negative_number(jumped: Path) -> None:
    events = read_journal(jumped / "a/events.jsonl").events
    times = [event.time for event in events]
    assert max(times) - min(times) > DAY_S, "the clock did jump"
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    state, updates = RunState(), 0
    for event in events:
        state = state.apply(event)
        assert state.elapsed_s < 60
        assert state.update >= updates
        updates = state.update
        for row in limit_progress(state):
            assert 0 <= row.fraction <= 1
            assert row.eta_s is None or 0 <= row.eta_s[0] <= row.eta_s[1] < DAY_S
        found = eta(state)
        assert found is None or found[1][0] >= 0
        assert all(bucket.mean is None or bucket.mean >= 0 for bucket in state.series.get("time/fps", EMPTY).buckets)
    assert state.update == 30


class _Empty:
    buckets: tuple[Any, ...] = ()


EMPTY: Any = _Empty()


def test_a_session_of_a_jumping_clock_is_replayed_listed_and_resumed(warm: Warm, jumped: Path) -> None:
    replayed = warm.run(jumped, "replay", "a", "--no-ui", "--json", "--speed=max")
    assert [json.loads(line)["seq"] for line in replayed.stdout.splitlines()] == [
        e["seq"] for e in p.journal(jumped / "a")
    ]
    view = warm.terminal(jumped, "replay", "a", "--at=end")
    view.wait_for(b"30 of 30 updates")
    view.key(b"E")
    view.wait_for(b"20/30")
    view.key(b"q")
    assert view.exit_code() == 0
    view.close()
    (row,) = map(json.loads, warm.run(jumped, "sessions", "list", "--json").stdout.splitlines())
    assert row["age_s"] >= 0
    assert warm.run(jumped, "resume", "a", "--no-ui", "--max-updates=35").returncode == 0


def backwards_and_on() -> Iterator[float]:
    """A clock that goes back a day, then two ahead, and moves a second each time."""
    now = 5 * DAY_S
    for jump in (0.0, -DAY_S, 0.0, 2 * DAY_S, 0.0, -DAY_S):
        for _ in range(5):
            now += 1.0
            yield now
        now += jump
    while True:
        now += 1.0
        yield now


def test_hours_of_running_are_not_moved_by_a_clock_that_jumps() -> None:
    limits = {"manager": {"termination": {"max_hours": 0.5, "intelligent": False}}, "continuous": {"enabled": False}}
    task = FakeTask()
    manager = TrainingManager(resolve([Layer("test", limits)]).config, task.spec, task.difficulty_space())
    clock = backwards_and_on()
    manager.start(next(clock))
    seen = [manager.elapsed_s]
    for _ in range(20):
        manager.observe(CollectReport(steps=10, episodes=1, complete=True), next(clock))
        manager.observe(UpdateReport(), next(clock))
        seen.append(manager.elapsed_s)
    assert seen == sorted(seen)
    assert seen[-1] <= 60
    assert manager.reason is None


def test_speed_is_never_negative_whatever_the_clock_does() -> None:
    clock = backwards_and_on()
    meter = Meter(1, lambda: next(clock))
    for update in range(1, 15):
        meter.collected(CollectReport(steps=64, episodes=1, complete=True, seconds={"env": 0.5}))
        meter.learned(UpdateReport(seconds={"learn": 0.5}))
        told = meter.summary(update, float(update))
        assert told is not None
        assert 0 <= told.sps <= 64
        assert min(told.seconds.values()) >= 0

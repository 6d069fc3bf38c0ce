"""Hooks of one's own: when they are called, what they may tell, and that their trouble is theirs alone."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.test_loop import Bench
from tui_trainer.core import commands as orders
from tui_trainer.core import events as e
from tui_trainer.core.callbacks import MOMENTS, Callback, Collected, Updated
from tui_trainer.core.state import fold
from tui_trainer.core.values import Reason
from tui_trainer.engine.callbacks import MOST_METRICS, Callbacks, path_of
from tui_trainer.engine.inbox import Inbox, Note, Order, Told
from tui_trainer.errors import UsageError


class Every(Callback):
    """Notes each moment and tells one number an update."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def __getattribute__(self, name: str) -> Any:
        if name not in MOMENTS:
            return super().__getattribute__(name)
        return lambda told: (
            self.heard.append((name, told)) or ({"half": told.update / 2} if name == "on_update" else None)
        )


def benched(tmp_path: Path, *hooks: Any, wishes: tuple[Any, ...] = (), **limits: Any) -> Bench:
    """A whole run around fakes with these hooks."""
    bench = Bench(tmp_path, **limits)
    callbacks = Callbacks.load(hooks, bench.inbox)
    bench.run._hooks = callbacks
    bench.run._publisher.add_listener(callbacks.hear)
    for wish in wishes:
        bench.inbox.put(Order(wish, "user"))
    bench.run.execute()
    return bench


def test_each_moment_is_told_with_what_belongs_to_it(tmp_path: Path) -> None:
    hook = Every()
    change = orders.SetSetting(id="1", key="manager.evaluation.every_updates", value=2)
    benched(tmp_path, hook, wishes=(change,), max_updates=4)
    names = [name for name, _ in hook.heard]
    assert set(names) == set(MOMENTS) - {"on_start"}
    assert [told.update for name, told in hook.heard if name == "on_update"] == [1, 2, 3, 4]
    assert isinstance(next(told for name, told in hook.heard if name == "on_collect"), Collected)
    assert isinstance(next(told for name, told in hook.heard if name == "on_decision"), e.CommandApplied)
    assert names[-1] == "on_end"
    assert names.index("on_collect") < names.index("on_update") < names.index("on_evaluation")


def test_what_a_hook_tells_stands_in_the_event_of_the_same_update(tmp_path: Path) -> None:
    bench = benched(tmp_path, Every(), max_updates=4)
    told = [event.metrics["task/half"] for event in bench.heard if isinstance(event, e.UpdateFinished)]
    assert told == [0.5, 1.0, 1.5, 2.0]
    assert fold(bench.heard).series["task/half"].last is not None


def test_what_a_hook_tells_can_end_the_run(tmp_path: Path) -> None:
    bench = benched(tmp_path, Every(), target="task/half >= 1.5", max_updates=50)
    assert bench.manager.reason == Reason(name="target", evidence="task/half is 1.5: task/half >= 1.5")
    assert bench.manager.update == 3


def test_what_a_hook_tells_is_no_part_of_what_decides_bits(tmp_path: Path) -> None:
    with_, without = benched(tmp_path / "a", Every()), benched(tmp_path / "b")
    one, two = ({m.update: m.state_sha256 for m in bench.store.manifests()} for bench in (with_, without))
    common = one.keys() & two.keys()  # a busy disk may have coalesced others
    assert with_.manager.update in common
    assert {update: one[update] for update in common} == {update: two[update] for update in common}


def told(inbox: Inbox) -> list[Any]:
    return inbox.drain()


class Fails(Callback):
    def on_update(self, updated: Updated) -> None:
        raise ValueError("mine")


class Leaves(Callback):
    def on_update(self, updated: Updated) -> None:
        sys.exit(3)


class TellsWords(Callback):
    def on_update(self, updated: Updated) -> Any:
        return {"a": "many"}


class TellsTooMuch(Callback):
    def on_update(self, updated: Updated) -> Any:
        return {f"m{i}": i for i in range(MOST_METRICS + 1)}


UPDATED = Updated(update=1, global_step=2, episodes=3, metrics={})


@pytest.mark.parametrize("kind", [Fails, Leaves, TellsWords, TellsTooMuch])
def test_one_that_fails_is_told_once_and_the_others_go_on(kind: type[Callback]) -> None:
    inbox, other = Inbox(), Every()
    callbacks = Callbacks.load([kind, other], inbox)
    for _ in range(3):
        callbacks.updated(UPDATED)
    notes = [item for item in told(inbox) if isinstance(item, Note)]
    assert [note.text.startswith(f"callback {kind.__name__} failed and is off") for note in notes] == [True]
    assert len(other.heard) == 3


def test_new_names_for_ever_switch_a_hook_off_before_they_fill_the_run() -> None:
    class Endless(Callback):
        number = 0

        def on_update(self, updated: Updated) -> Any:
            self.number += 1
            return {f"m{self.number}": 1.0}

    inbox = Inbox()
    callbacks = Callbacks.load([Endless], inbox)
    for _ in range(MOST_METRICS + 5):
        callbacks.updated(UPDATED)
    items = told(inbox)
    assert sum(isinstance(item, Told) for item in items) == MOST_METRICS
    assert sum(isinstance(item, Note) for item in items) == 1


def test_names_are_clean_and_numbers_are_floats_or_nothing() -> None:
    inbox = Inbox()

    class Odd(Callback):
        def on_update(self, updated: Updated) -> Any:
            return {"task/x": True, "a\x1b[2J": 1, "n": math.nan, "b": 2**70}

    Callbacks.load([Odd], inbox).updated(UPDATED)
    assert told(inbox) == [Told({"task/x": 1.0, "task/a·[2J": 1.0, "task/n": None, "task/b": float(2**70)})]


def test_a_function_hears_every_event_and_two_of_one_name_are_both_called() -> None:
    def both(seen: list[e.AnyEvent]) -> Callable[[e.AnyEvent], None]:
        return lambda event: seen.append(event)

    one: list[e.AnyEvent] = []
    other: list[e.AnyEvent] = []
    Callbacks.load([both(one), both(other)], Inbox()).hear(e.LogWritten(level="info", text="x"), b"")
    assert len(one) == len(other) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing-registered", "is not module:object, nor registered"),
        ("no_such_module_here:x", "cannot be loaded: ModuleNotFoundError"),
        ("math:nothing", "has no attribute nothing"),
        ("math:pi", "has nothing to call"),
        ("antigravity_of_mine:x", "cannot be loaded"),
    ],
)
def test_one_that_cannot_be_loaded_is_told_before_anything_is_trained(name: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Callbacks.load([name], Inbox())
    assert words in str(caught.value)


def test_a_package_registers_hooks_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registered(tmp_path, monkeypatch, "tui_trainer.callbacks", "noted", "noted_here:Noted")
    (tmp_path / "noted_here.py").write_text("class Noted:\n    def on_update(self, told):\n        return {'n': 1}\n")
    inbox = Inbox()
    Callbacks.load(["noted"], inbox).updated(UPDATED)
    assert told(inbox) == [Told({"task/n": 1.0})]
    with pytest.raises(UsageError, match="did you mean noted"):
        path_of("notd")


def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str, name: str, value: str) -> None:
    """A distribution on the path, as an installer would leave it."""
    info = tmp_path / "of_mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: of-mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")
    monkeypatch.syspath_prepend(tmp_path)

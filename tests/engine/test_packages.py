"""Algorithms, rules and callbacks of other packages: found by name, run, and harmless when they break."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine import process as p
from tests.training.world import build
from tui_trainer import algorithms
from tui_trainer.core.config import Layer, resolve
from tui_trainer.core.events import RecommendationRaised
from tui_trainer.engine.callbacks import ForeignRule, check_rules, rules_of
from tui_trainer.engine.inbox import Inbox, Note
from tui_trainer.errors import UsageError
from tui_trainer.training.history import History

ENTRIES = """
[tui_trainer.algorithms]
twin = tui_trainer.algorithms.ppo:PPO

[tui_trainer.rules]
loud = of_mine:loud
broken = of_mine:broken

[tui_trainer.callbacks]
counted = of_mine:Counted
"""
MODULE = """
from tui_trainer.core.values import Change
from tui_trainer.training.history import Proposal

def loud(history):
    return Proposal(subject="loud", title="be loud", change=Change(key="stop", old=0, new=1), evidence=("x",),
                    expected="quiet", confidence=0.9)

def broken(history):
    raise ValueError("mine")

class Counted:
    def on_update(self, updated):
        return {"twice": 2 * updated.update}
"""


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A directory with a distribution in it, as an installer would leave it."""
    where = tmp_path / "packages"
    info = where / "of_mine-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: of-mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    (where / "of_mine.py").write_text(MODULE)
    return where


def test_a_run_uses_an_algorithm_a_rule_and_a_callback_of_a_package(tmp_path: Path, packages: Path) -> None:
    words = ["--algorithm=twin", "--set=algorithm.num_envs=8", "--set=continuous.rules=[\"loud\", \"broken\"]",
             "--callback=counted", "--set=manager.termination.max_updates=25", "--name=a"]  # fmt: skip
    done = p.run(tmp_path, "run", "--no-ui", *p.TINY, *words, PYTHONPATH=str(packages))
    assert done.returncode == 0, done.stdout + done.stderr
    journal = p.journal(tmp_path / "a")
    assert next(e for e in journal if e["type"] == "RunStarted")["algorithm"] == "twin"
    assert [e["rule"] for e in journal if e["type"] == "RecommendationRaised"] == ["loud"]
    assert [e["text"] for e in journal if e["type"] == "LogWritten" and "broken" in e["text"]] == [
        "rule broken failed and is off: ValueError: mine"
    ]
    assert [e["metrics"]["task/twice"] for e in journal if e["type"] == "UpdateFinished"][-1] == 50


def test_names_that_nobody_registers_are_told_with_the_nearest(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(packages)
    with pytest.raises(UsageError, match="did you mean twin"):
        algorithms.check_id("twins")
    with pytest.raises(UsageError, match=r"One of: ppo, dqn, twin\."):
        algorithms.check_id("sac")
    with pytest.raises(UsageError, match="did you mean loud"):
        check_rules(resolve([Layer("x", {"continuous": {"rules": ["lod"]}})]).config)


def test_built_in_rules_come_first_and_without_a_wish_there_are_no_others(
    packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(packages)
    assert list(rules_of(resolve([]).config, Inbox()))[-1] == "stop"
    wish = resolve([Layer("x", {"continuous": {"rules": ["loud"]}})]).config
    assert list(rules_of(wish, Inbox()))[-2:] == ["stop", "loud"]


def words_of(history: History) -> object:
    return "harder"


def test_a_rule_that_answers_nonsense_is_told_once_and_left_out() -> None:
    inbox = Inbox()
    rule = ForeignRule("mine", words_of, inbox)  # type: ignore[arg-type]
    world = build(manager__evaluation__every_updates=2)
    world.manager._desk.adviser._rules = {"mine": rule}
    world.update_by(12)
    notes = [item for item in inbox.drain() if isinstance(item, Note)]
    assert [note.text for note in notes] == ["rule mine failed and is off: TypeError: str is no Proposal"]
    assert not world.seen(RecommendationRaised)

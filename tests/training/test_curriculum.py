"""The scheduled difficulty and who comes before whom."""

from __future__ import annotations

import pytest

from tui_trainer.core import commands as orders
from tui_trainer.core.actions import ApplyDifficulty, Collect, Evaluate, SaveCheckpoint
from tui_trainer.core.events import CommandApplied, DifficultyChanged, RecommendationRaised
from tui_trainer.core.values import Difficulty
from tui_trainer.errors import ConfigError
from tui_trainer.training.manager import TrainingManager

from .world import SPACE, SPEC, World, build, config, steady

STAGES = [{"when": "update >= 4", "level": 1}, {"when": "eval/win_rate > 0.8", "level": 2}]


def scheduled(rate: float = 0.5, **settings: object) -> World:
    return build(steady(rate), curriculum__schedule=STAGES, **settings)


def test_a_stage_first_evaluates_then_saves_then_moves() -> None:
    world = scheduled().update_by(4)
    before = len(world.actions)
    world.until(Collect)
    assert [type(a) for a in world.actions[before:]] == [
        *[Evaluate] * 3, SaveCheckpoint, ApplyDifficulty, SaveCheckpoint
    ]  # fmt: skip
    assert [a.kind for a in world.actions[before:] if isinstance(a, SaveCheckpoint)] == ["stage", "best"]
    (changed,) = world.seen(DifficultyChanged)
    assert isinstance(changed, DifficultyChanged)
    assert (changed.new.level, changed.by, changed.why) == (1, "curriculum", "stage 1: update >= 4")


def test_stages_come_in_order_and_each_waits_for_its_condition() -> None:
    world = scheduled(0.5, manager__evaluation__every_updates=2).update_by(20).until(Collect)
    assert world.manager.difficulty.level == 1
    world.skill = steady(0.9)
    world.update_by(2).until(Collect)
    assert world.manager.difficulty.level == 2


def test_the_adviser_is_silent_on_difficulty_while_stages_are_left() -> None:
    late = [{"when": "update >= 30", "level": 1}]
    world = build(steady(0.99), curriculum__schedule=late, manager__evaluation__every_updates=2)
    world.update_by(29).until(Collect)
    assert not world.seen(RecommendationRaised)
    world.update_by(12).until(Collect)
    assert [e.rule for e in world.seen(RecommendationRaised)] == ["harder"]  # type: ignore[attr-defined]


def test_a_persons_order_ends_the_curriculum() -> None:
    world = scheduled(0.9, manager__evaluation__every_updates=2).update_by(2).until(Collect)
    command = orders.SetDifficulty(id="1", difficulty=Difficulty(level=2))
    (applied,) = world.manager.handle(command, by="user", now=world.now)
    assert isinstance(applied, CommandApplied)
    assert applied.effect.endswith("the curriculum is left")
    world.update_by(10).until(Collect)
    assert world.manager.difficulty.level == 2
    assert len(world.seen(DifficultyChanged)) == 1


def test_the_stage_checkpoint_resumes_into_its_stage() -> None:
    world = scheduled().until(SaveCheckpoint)
    manager = TrainingManager(config(curriculum__schedule=STAGES), SPEC, SPACE)
    manager.load_state_dict(world.manager.state_dict())
    again = World(manager).start().update_by(1)
    assert again.manager.difficulty.level == 1


@pytest.mark.parametrize(
    ("stage", "space", "why"),
    [
        ({"when": "update >= 1", "level": 9}, SPACE, "stage 1: level 9 does not exist"),
        ({"when": "update >= 1", "level": 1}, None, "board has no difficulty"),
    ],
)
def test_a_stage_that_the_task_cannot_have_is_refused_before_the_start(
    stage: dict[str, object], space: object, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        TrainingManager(config(curriculum__schedule=[stage]), SPEC, space)  # type: ignore[arg-type]


def test_a_stage_without_a_readable_condition_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a condition"):
        config(curriculum__schedule=[{"when": "soon", "level": 1}])

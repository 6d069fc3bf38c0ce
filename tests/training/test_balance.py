"""Evaluations that may play only so many episodes: whose turn it is, and that training does not notice."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer import tasks
from tui_trainer.algorithms import build
from tui_trainer.core.actions import Evaluate
from tui_trainer.core.config import EvaluationSettings, assignments_layer, resolve
from tui_trainer.core.events import EvaluationFinished, TrendAssessed
from tui_trainer.tasks.playing import digest
from tui_trainer.training.balance import LEAST, Played, after, shares
from tui_trainer.training.manager import TrainingManager

from .world import LEVELS, SPEC, World, config, part
from .world import build as built

RULES = ("round-robin", "random", "least-evaluated")
MANY = tuple("abcdefgh")


def settings(balance: str, most: int, episodes: int = 40) -> EvaluationSettings:
    return EvaluationSettings(episodes=episodes, most_episodes=most, balance=balance)  # type: ignore[arg-type]


def turns(parts: tuple[str, ...], chosen: EvaluationSettings, count: int) -> list[dict[str, int]]:
    """What so many evaluations play."""
    played: Played | None = None
    found = []
    for _ in range(count):
        found.append(shares(parts, chosen, played, seed=7))
        played = after(parts, chosen, played, {name: part(0.5, episodes) for name, episodes in found[-1].items()})
    return found


@pytest.mark.parametrize("balance", RULES)
def test_without_a_bound_every_part_plays_what_is_set(balance: str) -> None:
    for most in (0, 120, 1000):
        assert turns(LEVELS, settings(balance, most), 3) == [dict.fromkeys(LEVELS, 40)] * 3


@pytest.mark.parametrize("balance", RULES)
def test_what_does_not_divide_goes_round(balance: str) -> None:
    """100 episodes for three parts: 34, 33, 33, and each is the one with 34 in its turn."""
    found = turns(LEVELS, settings(balance, 100), 12)
    assert all(sorted(each.values()) == [33, 33, 34] for each in found)
    more = Counter(name for each in found for name, episodes in each.items() if episodes == 34)
    assert set(more) == set(LEVELS)
    if balance != "random":
        assert set(more.values()) == {4}


@pytest.mark.parametrize("balance", RULES)
def test_many_parts_are_played_a_few_at_a_time_once_all_were(balance: str) -> None:
    found = turns(MANY, settings(balance, 30), 40)
    assert found[0] == dict.fromkeys(MANY, LEAST), "the first one has to know them all"
    assert all(sum(each.values()) == 30 and len(each) == 3 for each in found[1:])
    counts = Counter(name for each in found[1:] for name in each)
    assert set(counts) == set(MANY)
    if balance != "random":
        assert max(counts.values()) - min(counts.values()) <= 1
    assert turns(MANY, settings(balance, 30), 40) == found, "the same seed, the same turns"


@given(st.sampled_from(RULES), st.integers(2, 60), st.integers(0, 200), st.integers(1, len(MANY)), st.integers(1, 12))
def test_no_part_plays_more_than_is_set_and_none_is_forgotten(
    balance: str, episodes: int, most: int, parts: int, count: int
) -> None:
    chosen = settings(balance, most, episodes)
    found = turns(MANY[:parts], chosen, count)
    least = min(LEAST, episodes)
    for number, each in enumerate(found):
        assert all(least <= n <= episodes for n in each.values())
        if most and number:
            assert sum(each.values()) <= max(most, least)
    assert set(found[0]) == set(MANY[:parts])


def watched(balance: str, most: int, **more: object) -> World:
    skill = {"random": 0.7, "1-ply": 0.5, "minimax-2": 0.1}
    return built(
        lambda update, name: skill[name] + 0.01 * update,
        manager__evaluation={"every_updates": 1, "episodes": 40, "most_episodes": most, "balance": balance},
        manager__termination={"intelligent": False, "max_updates": 20},
        continuous__enabled=False,
        **more,
    )


def finished(world: World) -> list[EvaluationFinished]:
    return [e for e in world.events if isinstance(e, EvaluationFinished)]


@pytest.mark.parametrize("balance", RULES)
def test_a_part_that_waits_keeps_its_last_result_and_the_score_is_over_all(balance: str) -> None:
    world = watched(balance, 20).run()
    first, *later = finished(world)
    assert first.result.kept == ()
    for before, now in itertools.pairwise([first, *later]):
        assert set(now.result.by) == set(LEVELS)
        assert len(now.result.kept) == 1
        for name in LEVELS:
            is_old = now.result.by[name] == before.result.by[name]
            assert is_old is (name in now.result.kept)
    assert {name for each in later for name in each.result.kept} == set(LEVELS)
    assert sum(isinstance(action, Evaluate) for action in world.actions) == 3 + 2 * len(later)


def test_a_session_taken_up_goes_on_with_the_same_turns() -> None:
    whole = watched("round-robin", 20).run()
    cut = watched("round-robin", 20).update_by(9)
    chosen = {"every_updates": 1, "episodes": 40, "most_episodes": 20, "balance": "round-robin"}
    fresh = TrainingManager(
        config(
            manager__evaluation=chosen,
            manager__termination={"intelligent": False, "max_updates": 20},
            continuous__enabled=False,
        ),
        SPEC,
        None,
    )
    fresh.load_state_dict(cut.manager.state_dict())
    rest = World(fresh, cut.skill).start().run()
    assert [e.result.kept for e in finished(whole)] == [e.result.kept for e in finished(cut) + finished(rest)]


def test_what_is_remembered_of_parts_is_in_the_state_only_under_a_bound() -> None:
    def remembered(most: int) -> Mapping[str, object]:
        state = watched("random", most).update_by(3).manager.state_dict()["manager"]
        assert isinstance(state, dict)
        return state

    assert "played" not in remembered(0)
    assert "played" in remembered(20)


def test_each_part_has_a_trend_of_its_own() -> None:
    skill = {"random": 0.9, "1-ply": 0.3, "minimax-2": 0.5}
    drift = {"random": 0.0, "1-ply": 0.02, "minimax-2": -0.02}
    world = built(
        lambda update, name: skill[name] + drift[name] * update,
        manager__evaluation__every_updates=1,
        manager__termination={"intelligent": False, "max_updates": 12},
        continuous__enabled=False,
    ).run()
    told = [e for e in world.events if isinstance(e, TrendAssessed)]
    assert told[2].parts == {}, "three evaluations are too few"
    readings = {name: trend.reading() for name, trend in told[-1].parts.items()}
    assert readings == {"random": "steady", "1-ply": "rising", "minimax-2": "falling"}
    assert told[-1].parts["1-ply"].slope == pytest.approx(0.02)
    assert told[-1].parts["1-ply"].stability == pytest.approx(0.0, abs=1e-9)
    assert told[-1].parts["minimax-2"].reading(higher_is_better=False) == "rising"
    assert msgspec.json.decode(msgspec.json.encode(told[-1]), type=TrendAssessed) == told[-1]


def test_no_rule_changes_the_next_bit_of_training() -> None:
    """The same updates with another evaluation, or none, between them: learner and task have the same bits."""
    words = ["ppo.num_envs=8", "ppo.n_steps=8", "ppo.batch_size=32", "ppo.n_epochs=1", "run.task=tictactoe"]
    chosen = resolve([assignments_layer(words)]).config
    found = set()
    for balance in ("", *RULES):
        task = tasks.make("tictactoe", {}, 8)
        learner = build("ppo", task, chosen, "cpu")
        bounded, played = settings(balance or "random", 22, 12), None
        for _ in range(3):
            while not learner.collect(10.0).complete:
                pass
            learner.learn()
            wanted = shares(task.spec.parts, bounded, played, 1) if balance else {}
            done = {name: task.evaluate(learner.policy(), part=name, episodes=n, seed=5) for name, n in wanted.items()}
            played = after(task.spec.parts, bounded, played, done)
        state = learner.state_dict()
        found.add((digest(task.state_dict()), repr(state)))
    assert len(found) == 1

"""Recommendations from the first evaluation to their outcome."""

from __future__ import annotations

import math

import pytest

from tui_trainer.core import commands as orders
from tui_trainer.core.actions import ApplyDifficulty, ApplySetting, Collect, End, Restore
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.events import (
    AnyEvent,
    CommandApplied,
    CommandRefused,
    DifficultyChanged,
    RecommendationAnswered,
    RecommendationRaised,
    RecommendationScored,
    SettingChanged,
)
from tui_trainer.core.values import Difficulty

from .world import Skill, World, build, steady

EASY = {"random": 0.96, "1-ply": 0.5, "minimax-2": 0.1}


def beaten(update: int, part: str) -> float:
    return EASY[part]


def watched(skill: Skill = beaten, **settings: object) -> World:
    shared: dict[str, object] = {"manager__evaluation__every_updates": 2, "manager__termination__patience": 60}
    return build(skill, **shared | settings)


def order(world: World, command: AnyCommand) -> list[AnyEvent]:
    events = world.manager.handle(command, by="user", now=world.now)
    world.events += events
    return events


def answer(world: World, number: int, verdict: str) -> list[AnyEvent]:
    return order(world, orders.Answer(id=verdict, recommendation=number, verdict=verdict))  # type: ignore[arg-type]


def refusal(events: list[AnyEvent]) -> str:
    (event,) = events
    assert isinstance(event, CommandRefused)
    return event.why


def raised(world: World) -> list[RecommendationRaised]:
    return [e for e in world.events if isinstance(e, RecommendationRaised)]


def verdicts(world: World) -> list[tuple[int, str, str]]:
    return [(e.id, e.verdict, e.by) for e in world.events if isinstance(e, RecommendationAnswered)]


def test_a_beaten_level_is_recommended_to_be_raised_after_three_evaluations() -> None:
    world = watched().update_by(6).until(Collect)
    (recommendation,) = raised(world)
    assert (recommendation.id, recommendation.rule, recommendation.subject) == (1, "harder", "difficulty")
    assert recommendation.evidence
    assert recommendation.expected
    assert recommendation.expires_update == 6 + 500


def test_a_recommendation_changes_nothing_by_itself() -> None:
    world = watched().update_by(60).until(Collect)
    assert world.manager.difficulty == Difficulty()
    assert len(raised(world)) == 1
    assert sum(isinstance(a, ApplyDifficulty) for a in world.actions) == 1


def test_an_accepted_recommendation_is_applied_after_the_update_and_told_with_its_number() -> None:
    world = watched().update_by(6).until(Collect)
    applied, answered = answer(world, 1, "accept")
    assert isinstance(applied, CommandApplied)
    assert answered == RecommendationAnswered(id=1, verdict="accepted", by="user")
    world.step()
    (changed,) = world.seen(DifficultyChanged)
    assert isinstance(changed, DifficultyChanged)
    assert (changed.new.level, changed.recommendation, changed.by) == (1, 1, "user")


def test_a_rejected_recommendation_leaves_everything_as_it_was_and_its_subject_quiet() -> None:
    world = watched(continuous__quiet_evaluations=4).update_by(6).until(Collect)
    answer(world, 1, "reject")
    world.update_by(8).until(Collect)
    assert len(raised(world)) == 1
    assert world.manager.difficulty == Difficulty()
    world.update_by(4).until(Collect)
    assert [r.id for r in raised(world)] == [1, 2]


def test_an_unanswered_recommendation_expires_and_can_come_again() -> None:
    world = watched(continuous__expires_updates=5).update_by(11).until(Collect)
    assert verdicts(world) == [(1, "expired", "adviser")]
    world.update_by(3).until(Collect)
    assert [r.id for r in raised(world)] == [1, 2]


def test_each_answer_can_be_given_once() -> None:
    world = watched().update_by(6).until(Collect)
    answer(world, 1, "reject")
    assert "already rejected" in refusal(answer(world, 1, "accept"))
    assert "only an accepted one can be undone" in refusal(answer(world, 1, "undo"))
    assert "no recommendation 2" in refusal(answer(world, 2, "accept"))


def test_an_expired_recommendation_says_so() -> None:
    world = watched(continuous__expires_updates=2).update_by(9).until(Collect)
    assert "already expired" in refusal(answer(world, 1, "accept"))


def test_a_recommendation_is_withdrawn_when_the_difficulty_moves_from_under_it() -> None:
    world = watched().update_by(6).until(Collect)
    order(world, orders.SetDifficulty(id="1", difficulty=Difficulty(level=2)))
    world.step()
    assert verdicts(world) == [(1, "withdrawn", "adviser")]


def test_undo_restores_the_difficulty() -> None:
    world = watched().update_by(6).until(Collect)
    answer(world, 1, "accept")
    world.update_by(4).until(Collect)
    answer(world, 1, "undo")
    world.until(Collect)
    assert world.manager.difficulty.level == 0
    assert verdicts(world)[-1] == (1, "undone", "user")


def test_undo_before_the_change_took_effect_takes_it_back() -> None:
    world = watched().update_by(6).until(Collect)
    world.step()
    answer(world, 1, "accept")
    answer(world, 1, "undo")
    world.update_by(1).until(Collect)
    assert world.manager.difficulty.level == 0
    assert not world.seen(DifficultyChanged)


def test_undo_is_refused_when_the_difficulty_was_moved_on() -> None:
    world = watched().update_by(6).until(Collect)
    answer(world, 1, "accept")
    world.update_by(1).until(Collect)
    order(world, orders.SetDifficulty(id="1", difficulty=Difficulty(level=2)))
    assert "has been changed since" in refusal(answer(world, 1, "undo"))


def test_undo_cannot_be_repeated() -> None:
    world = watched().update_by(6).until(Collect)
    answer(world, 1, "accept")
    answer(world, 1, "undo")
    assert "is undone" in refusal(answer(world, 1, "undo"))


def test_auto_accept_applies_by_itself_in_the_managers_name() -> None:
    world = watched(continuous__auto_accept=True).update_by(6).until(Collect)
    assert verdicts(world) == [(1, "accepted", "manager")]
    assert world.manager.difficulty.level == 1


def test_auto_accept_never_stops_a_run() -> None:
    world = build(
        steady(0.5),
        continuous__auto_accept=True,
        manager__evaluation__every_updates=1,
        manager__termination={"intelligent": False},
    )
    world.update_by(120)
    assert "stop" in {r.rule for r in raised(world)}
    assert world.manager.reason is None


def test_an_accepted_stop_ends_the_run_with_its_evidence() -> None:
    world = build(steady(0.5), manager__evaluation__every_updates=1, manager__termination={"intelligent": False})
    world.update_by(60).until(Collect)
    number = next(r.id for r in raised(world) if r.rule == "stop")
    answer(world, number, "accept")
    action = world.manager.next_action()
    assert isinstance(action, End)
    assert action.reason.name == "user"
    assert "no progress" in action.reason.evidence


def test_a_low_confidence_is_not_raised() -> None:
    assert not raised(watched(continuous__min_confidence=1.0).update_by(30).until(Collect))


def test_a_switched_off_adviser_still_reads_the_trend() -> None:
    world = watched(continuous__enabled=False).update_by(20).until(Collect)
    assert not raised(world)
    assert len([e for e in world.events if type(e).__name__ == "TrendAssessed"]) == 10


def accepted_then(after: float) -> World:
    """Recommendation 1 is accepted at update 6; the score moves by `after` from then on."""

    def skill(update: int, part: str) -> float:
        wobble = 0.004 * ((update // 2) % 3 - 1)
        return EASY[part] + wobble + (after if update > 6 and part != "random" else 0.0)

    world = watched(skill).update_by(6).until(Collect)
    answer(world, 1, "accept")
    return world


def test_the_outcome_is_told_six_evaluations_later() -> None:
    for after, outcome in ((0.1, "helped"), (-0.1, "hurt"), (0.0, "unclear")):
        world = accepted_then(after).update_by(12).until(Collect)
        scored = [e for e in world.events if isinstance(e, RecommendationScored)]
        assert [(e.id, e.outcome) for e in scored] == [(1, outcome)], after
        assert world.manager.record == {"accepted": 1, "helped": 0, "hurt": 0, "unclear": 0, outcome: 1}


def test_a_fall_after_an_accepted_change_offers_to_undo_it() -> None:
    world = accepted_then(-0.1).update_by(6).until(Collect)
    guard = raised(world)[-1]
    assert guard.rule == "guard"
    assert (guard.change.old, guard.change.new) == (1, 0)
    answer(world, guard.id, "accept")
    world.until(Collect)
    assert world.manager.difficulty.level == 0
    assert (1, "undone", "user") in verdicts(world)


def test_the_guard_asks_once() -> None:
    world = accepted_then(-0.1).update_by(6).until(Collect)
    answer(world, raised(world)[-1].id, "reject")
    world.update_by(30).until(Collect)
    assert [r.rule for r in raised(world)].count("guard") == 1


def test_a_setting_is_recommended_applied_and_undone() -> None:
    world = build(steady(0.5), manager__evaluation__every_updates=1, manager__termination={"patience": 90}).update_by(
        40
    )
    world.until(Collect)
    number = next(r.id for r in raised(world) if r.rule == "learning_rate")
    answer(world, number, "accept")
    assert world.manager.next_action() == ApplySetting("ppo.learning_rate", 1.5e-4)
    world.until(Collect)
    answer(world, number, "undo")
    assert world.manager.next_action() == ApplySetting("ppo.learning_rate", 3e-4)
    world.until(Collect)
    assert len(world.seen(SettingChanged)) == 2


def test_a_trial_takes_advice_on_difficulty_by_itself_and_no_other() -> None:
    world = (
        watched(
            lambda update, part: EASY[part] if update < 30 else 0.5,
            manager__mode="optuna",
        )
        .update_by(120)
        .until(Collect)
    )
    assert {r.subject for r in raised(world)} == {"difficulty"}
    assert verdicts(world)[0] == (1, "accepted", "manager")
    assert world.manager.difficulty.level == 1


def test_a_task_without_difficulty_gets_no_such_advice() -> None:
    world = watched(space=None).update_by(60).until(Collect)
    assert "difficulty" not in {r.subject for r in raised(world)}


def test_memory_stays_bounded() -> None:
    world = build(
        steady(0.5),
        manager__evaluation__every_updates=1,
        manager__termination={"intelligent": False},
        continuous__expires_updates=3,
    )
    world.update_by(600)
    adviser = world.manager.state_dict()["manager"]["adviser"]  # type: ignore[index]
    assert adviser["evaluations"] >= 599
    assert len(adviser["points"]) == 240
    assert len(adviser["verdicts"]) <= 200


def test_a_rise_that_was_under_way_is_not_put_down_to_the_change() -> None:
    """The score goes on as its trend foretold: before and after differ, and yet nothing helped."""

    def skill(update: int, part: str) -> float:
        rise = 0.06 * math.log(update)
        return {"random": 0.96, "1-ply": 0.2 + rise, "minimax-2": rise}[part]

    world = watched(skill).update_by(20).until(Collect)
    answer(world, 1, "accept")
    world.update_by(14).until(Collect)
    (scored,) = [e for e in world.events if isinstance(e, RecommendationScored)]
    assert scored.outcome == "unclear"
    assert "foretold" in scored.evidence


def test_the_outcome_says_whether_it_was_as_expected_and_how_large() -> None:
    (better,) = [
        e for e in accepted_then(0.1).update_by(12).until(Collect).events if isinstance(e, RecommendationScored)
    ]
    assert better.gain is not None
    assert abs(better.gain - 0.2 / 3) < 0.01
    assert better.met is True
    assert better.evidence.endswith("as expected")


def test_two_changes_at_once_are_told_together() -> None:
    world = accepted_then(0.0)
    order(world, orders.SetDifficulty(id="1", difficulty=Difficulty(level=0)))
    world.update_by(6).until(Collect)
    answer(world, raised(world)[-1].id, "accept")
    world.update_by(14).until(Collect)
    first = next(e for e in world.events if isinstance(e, RecommendationScored))
    assert first.evidence.endswith("together with 2")


@pytest.mark.parametrize(
    ("settings", "accepted"),
    [
        ({}, True),
        ({"continuous__auto_accept_subjects": ["learning_rate"]}, False),
        ({"continuous__auto_accept_subjects": ["learning_rate", "difficulty"]}, True),
        ({"continuous__auto_accept_confidence": 1.0}, False),
    ],
    ids=["every subject", "another subject", "this subject", "not sure enough"],
)
def test_auto_accept_can_be_bounded_by_subject_and_confidence(settings: dict[str, object], accepted: bool) -> None:
    world = watched(continuous__auto_accept=True, **settings).update_by(6).until(Collect)
    assert bool(verdicts(world)) is accepted


def falling(update: int, part: str) -> float:
    """Good for 24 evaluations, then lost for good."""
    wobble = 0.004 * ((update // 2) % 3 - 1)
    return (0.6 if update < 50 else 0.3) + wobble


def fallen(**settings: object) -> tuple[World, RecommendationRaised]:
    world = watched(falling, manager__termination={"intelligent": False}, **settings).update_by(70).until(Collect)
    return world, next(r for r in raised(world) if r.rule == "rollback")


def test_an_accepted_rollback_goes_back_once_and_keeps_what_was_set() -> None:
    world, advice = fallen()
    order(world, orders.SetSetting(id="1", key="ppo.learning_rate", value=1e-4))
    world.until(Collect)
    answer(world, advice.id, "accept")
    update = world.manager.update
    world.update_by(2).until(Collect)
    assert world.actions.count(Restore("best")) == 1
    assert world.actions[world.actions.index(Restore("best")) :].count(ApplySetting("ppo.learning_rate", 1e-4)) == 1
    assert world.manager.update == update + 2
    assert "cannot be undone" in refusal(answer(world, advice.id, "undo"))


def test_a_rollback_cannot_be_tried() -> None:
    world, advice = fallen()
    assert "accept or reject it" in refusal(answer(world, advice.id, "try"))


def jumping(update: int, part: str) -> float:
    return 0.5 + 0.3 * math.sin(7.0 * update)


def test_what_only_a_new_run_can_change_is_never_accepted() -> None:
    only = {"continuous__auto_accept": True, "continuous__auto_accept_subjects": ["rollout"]}
    world = watched(jumping, manager__termination={"intelligent": False}, **only)
    world.update_by(120).until(Collect)
    advice = next(r for r in raised(world) if r.rule == "rollout")
    assert "fork NAME --set ppo.n_steps=256" in refusal(answer(world, advice.id, "accept"))
    assert advice.id not in [number for number, _, _ in verdicts(world)]
    answer(world, advice.id, "reject")
    assert verdicts(world)[-1] == (advice.id, "rejected", "user")


def test_a_steep_rise_before_there_is_a_trend_is_nobodys_merit() -> None:
    def skill(update: int, part: str) -> float:
        return {"random": 0.96, "1-ply": 0.2, "minimax-2": 0.05}[part] + (0.15 * math.log(update) if update else 0.0)

    world = watched(skill).update_by(6).until(Collect)
    answer(world, 1, "accept")
    world.update_by(14).until(Collect)
    (scored,) = [e for e in world.events if isinstance(e, RecommendationScored)]
    assert scored.outcome == "unclear"

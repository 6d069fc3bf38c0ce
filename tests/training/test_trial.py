"""A recommendation is tried: the same updates without it and with it, from the same state; the better one stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tui_trainer.core import commands as orders
from tui_trainer.core.actions import AnyAction, Collect, End, Evaluate, Keep, Learn, Restore, SaveCheckpoint, Wait
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.events import (
    AnyEvent,
    CommandApplied,
    CommandRefused,
    EvaluationFinished,
    RecommendationAnswered,
    RecommendationRaised,
    RecommendationScored,
    TryEnded,
    TryReturned,
    TryStarted,
    stamp,
)
from tui_trainer.core.reports import FaultReport, SignalReport
from tui_trainer.core.state import RunState
from tui_trainer.core.values import Difficulty
from tui_trainer.training.manager import TrainingManager

from .world import SPACE, SPEC, World, config

BEGINS = 6
"""The update after which recommendation 1, to raise the level, is raised."""
LENGTH = 4
"""Updates of a branch: two evaluations of every second update."""
SETTINGS: dict[str, object] = {"manager__evaluation__every_updates": 2, "manager__termination__patience": 60}


def tried(with_change: float, *, more: Callable[[World], None] | None = None, **settings: object) -> World:
    """The try is ordered; with the change the score differs by so much from the third evaluation on."""
    made = config(**SETTINGS | settings)
    world = World(TrainingManager(made, SPEC, SPACE))

    def skill(update: int, part: str) -> float:
        easy = {"random": 0.96, "1-ply": 0.5, "minimax-2": 0.1}[part]
        return easy + (with_change if world.manager.difficulty.level and part != "random" else 0.0)

    world.skill = skill
    world.start().update_by(BEGINS).until(Collect)
    if more:
        more(world)
    answer(world, 1, "try")
    return world


def order(world: World, command: AnyCommand) -> list[AnyEvent]:
    events = world.manager.handle(command, by="user", now=world.now)
    world.events += events
    return events


def answer(world: World, number: int, verdict: str) -> list[AnyEvent]:
    return order(world, orders.Answer(id=verdict, recommendation=number, verdict=verdict))  # type: ignore[arg-type]


def over(world: World) -> World:
    """To the end of the try."""
    for _ in range(2000):
        if not world.manager.is_trying:
            return world
        world.step()
    raise AssertionError("the try never ends")


def probing(world: World) -> World:
    """To the middle of the branch with the change."""
    while not (world.manager.is_probing and world.manager.update > BEGINS):
        world.step()
    return world.until(Learn)


def steps(world: World, since: int = 0) -> list[str]:
    def name(action: AnyAction) -> str:
        match action:
            case Keep(branch=branch) | Restore(branch=branch):
                return f"{type(action).__name__} {branch}"
            case SaveCheckpoint(kind=kind, branch=branch):
                return f"save {kind} {branch or ''}".strip()
            case _:
                return type(action).__name__

    found: list[str] = []
    for action in world.actions[since:]:
        if not isinstance(action, Collect | Evaluate) and (found[-1:] != [name(action)] or isinstance(action, Learn)):
            found.append(name(action))
    return found


def ended(world: World) -> TryEnded:
    (event,) = world.seen(TryEnded)
    assert isinstance(event, TryEnded)
    return event


def verdicts(world: World) -> list[tuple[int, str, str]]:
    return [(e.id, e.verdict, e.by) for e in world.events if isinstance(e, RecommendationAnswered)]


def test_both_branches_begin_in_the_same_state_and_the_winner_goes_on() -> None:
    world = tried(+0.2)
    before = len(world.actions)
    over(world)
    assert [step for step in steps(world, before) if step != "save best"] == [
        "save regular", "Keep start", *["Learn"] * LENGTH, "Keep without", "Restore start", "ApplyDifficulty",
        *["Learn"] * LENGTH, "save try without",
    ]  # fmt: skip
    assert (ended(world).won, world.manager.difficulty.level) == ("with", 1)
    assert world.manager.update == BEGINS + LENGTH
    assert verdicts(world) == [(1, "accepted", "manager")]


def test_the_loser_is_saved_and_left() -> None:
    world = over(tried(-0.05))
    assert steps(world)[-2:] == ["save try", "Restore without"]
    assert (ended(world).won, world.manager.difficulty.level) == ("without", 0)
    assert world.manager.update == BEGINS + LENGTH
    assert verdicts(world) == [(1, "rejected", "manager")]
    assert "0.52 without it" in ended(world).why


def test_a_tie_changes_nothing() -> None:
    assert ended(over(tried(0.0))).won == "without"


def test_limits_count_the_branch_that_is_kept() -> None:
    world = tried(+0.2, manager__termination__max_updates=20).run()
    assert world.manager.update == 20
    assert world.manager.global_step == 20 * 20
    assert world.trained == 20 + LENGTH


def test_the_history_of_the_adviser_is_that_of_the_kept_branch() -> None:
    world = over(tried(-0.05)).update_by(4).until(Collect)
    points = world.manager.state_dict()["manager"]["adviser"]["points"]  # type: ignore[index]
    assert [p["update"] for p in points] == [2, 4, 6, 8, 10, 12, 14]
    assert all(abs(p["value"] - 0.52) < 1e-9 for p in points)


def test_a_branch_that_ends_between_evaluations_gets_one_of_its_own() -> None:
    world = over(tried(+0.2, continuous__try_updates=3))
    at = [e for e in world.events if isinstance(e, EvaluationFinished)]
    assert len(at) == 3 + 2 + 2
    assert world.manager.update == BEGINS + 3


def test_the_outcome_of_an_adopted_change_is_measured_from_where_the_try_began() -> None:
    world = over(tried(+0.2)).update_by(8).until(Collect)
    (scored,) = [e for e in world.events if isinstance(e, RecommendationScored)]
    assert scored.outcome == "helped"


@pytest.mark.parametrize(
    "command",
    [
        orders.SetDifficulty(id="1", difficulty=Difficulty(level=2)),
        orders.SetSetting(id="1", key="ppo.learning_rate", value=1e-4),
        orders.Answer(id="1", recommendation=1, verdict="accept"),
        orders.Answer(id="1", recommendation=1, verdict="try"),
    ],
    ids=str,
)
def test_orders_that_would_spoil_the_comparison_are_refused(command: AnyCommand) -> None:
    (refused,) = order(probing(tried(+0.2)), command)
    assert isinstance(refused, CommandRefused)
    assert "being tried" in refused.why


def test_pauses_and_saves_are_met_meanwhile() -> None:
    world = probing(tried(+0.2))
    assert isinstance(order(world, orders.Pause(id="p"))[0], CommandApplied)
    assert isinstance(world.manager.next_action(), Wait)
    (saving,) = order(world, orders.SaveCheckpoint(id="c"))
    assert isinstance(saving, CommandApplied)
    assert saving.effect == "saved once the try is decided"
    order(world, orders.Resume(id="r"))
    before = len(world.actions)
    over(world).until(Collect)
    assert [s for s in steps(world, before) if s.startswith("save")] == [
        "save try without", "save manual", "save best"
    ]  # fmt: skip


def test_rejecting_calls_the_try_off_and_goes_back_at_once() -> None:
    world = probing(tried(+0.2))
    answer(world, 1, "reject")
    assert world.manager.next_action() == Restore("without")
    over(world).until(Collect)
    assert (world.manager.difficulty.level, world.manager.update) == (0, BEGINS + LENGTH)
    assert ended(world).why == "called off by user"
    assert verdicts(world)[-1][:2] == (1, "rejected")


def test_rejecting_in_the_first_branch_just_goes_on() -> None:
    world = tried(+0.2).update_by(2).until(Collect)
    answer(world, 1, "reject")
    world.update_by(6).until(Collect)
    assert not world.seen(TryReturned)
    assert verdicts(world) == [(1, "rejected", "user")]


def test_an_end_in_the_branch_with_the_change_keeps_the_other() -> None:
    world = probing(tried(+0.2))
    world.events += world.manager.observe(SignalReport(name="term"), world.now)
    action = world.manager.next_action()
    assert isinstance(action, End)
    assert action.branch == "without"
    assert (world.manager.update, world.manager.difficulty.level) == (BEGINS + LENGTH, 0)
    assert ended(world).won == ""


def test_divergence_with_the_change_ends_the_try_and_not_the_run() -> None:
    world = probing(tried(+0.2))
    world.events += world.manager.observe(FaultReport(kind="nonfinite", detail="loss was nan"), world.now)
    over(world).update_by(2)
    assert ended(world).won == "without"
    assert "diverged" in ended(world).why
    assert world.manager.reason is None


def test_divergence_without_the_change_ends_the_run() -> None:
    world = tried(+0.2).update_by(2)
    world.manager.observe(FaultReport(kind="nonfinite", detail="loss was nan"), world.now)
    action = world.manager.next_action()
    assert isinstance(action, End)
    assert (action.reason.exit_code, action.branch) == (5, None)


def test_a_target_met_by_the_change_counts_once_it_is_adopted() -> None:
    world = tried(+0.3, manager__termination__target="eval/win_rate >= 0.7").run()
    assert world.manager.reason is not None
    assert world.manager.reason.name == "target"
    assert ended(world).won == "with"


def test_a_try_needs_room_before_the_limit() -> None:
    world = tried(+0.2, manager__termination__max_updates=10)
    refused = next(e for e in world.events if isinstance(e, CommandRefused))
    assert "the run ends by max_updates before a branch of 4 updates" in refused.why
    assert not world.manager.is_trying


def test_no_advice_is_given_and_none_expires_during_a_try() -> None:
    world = over(tried(+0.2, continuous__expires_updates=3))
    assert [e.id for e in world.seen(RecommendationRaised)] == [1]
    assert verdicts(world)[0] == (1, "accepted", "manager")


def test_a_try_that_was_cut_off_leaves_the_recommendation_open() -> None:
    world = tried(+0.2).update_by(2).until(Collect)
    manager = TrainingManager(config(**SETTINGS), SPEC, SPACE)
    manager.load_state_dict(world.manager.state_dict())
    assert manager.is_trying
    told = manager.start(0.0)
    assert "was cut off" in str(told[0])
    assert not manager.is_trying
    assert [r.id for r in manager.open_recommendations] == [1]


def test_a_setting_can_be_tried_as_well() -> None:
    flat = config(manager__evaluation__every_updates=1, manager__termination={"intelligent": False})
    world = World(TrainingManager(flat, SPEC, SPACE)).start().update_by(40).until(Collect)
    number = next(e.id for e in world.events if isinstance(e, RecommendationRaised) and e.rule == "learning_rate")
    answer(world, number, "try")
    over(world).until(Collect)
    assert ended(world).won == "without"
    assert world.settings.get("ppo.learning_rate", 3e-4) == 3e-4


def test_the_screen_goes_back_and_forth_with_the_branches() -> None:
    world = tried(-0.05)
    state, seen, update = RunState(), 0, 0

    def fold() -> RunState:
        nonlocal state, seen, update
        for event in world.events[seen:]:
            seen += 1
            m = world.manager
            state = state.apply(stamp(event, seq=seen, time=float(seen), update=m.update, global_step=m.global_step))
        return state

    while not world.seen(TryStarted):
        world.step()
    fold()
    while not world.manager.is_probing:
        world.step()
        fold()
    assert [v.update for v in fold().evaluations][-1] <= BEGINS
    assert state.update == BEGINS
    assert state.trying is not None
    while world.manager.is_trying:
        world.step()
        fold()
    assert (state.update, state.trying, state.branches) == (BEGINS + LENGTH, None, {})
    assert [v.update for v in state.evaluations][-2:] == [BEGINS + 2, BEGINS + 4]
    assert state.metrics["eval/win_rate/1-ply"] == 0.5
    assert [d.what for d in state.decisions if d.what.startswith("try")][-1] == "try 1: the change did not win"

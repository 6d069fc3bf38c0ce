"""What the manager does when: the order of actions, pauses, ends, orders."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tui_trainer.core import commands as orders
from tui_trainer.core.actions import (
    AnyAction,
    ApplyDifficulty,
    ApplySetting,
    Collect,
    End,
    Evaluate,
    Learn,
    SaveCheckpoint,
    Wait,
)
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.events import (
    AlertRaised,
    AnyEvent,
    CommandApplied,
    CommandRefused,
    DifficultyChanged,
    EpisodeFailed,
    EvaluationFinished,
    EvaluationStopped,
    LogWritten,
    RunContinued,
    RunPaused,
    SettingChanged,
    TrendAssessed,
    encode,
    stamp,
)
from tui_trainer.core.reports import (
    AnyReport,
    CollectReport,
    DifficultyReport,
    EvaluationReport,
    FaultReport,
    SignalReport,
    StorageReport,
    UpdateReport,
)
from tui_trainer.core.state import RunState
from tui_trainer.core.values import Difficulty, PartResult, Reason
from tui_trainer.training.evaluation import suite_seed
from tui_trainer.training.manager import TrainingManager
from tui_trainer.training.models import Best, is_better
from tui_trainer.training.termination import host_end

from .world import LEVELS, SPACE, SPEC, Skill, World, build, config, steady


def order(world: World, command: AnyCommand) -> list[AnyEvent]:
    return world.manager.handle(command, by="user", now=world.now)


def tell(world: World, report: AnyReport) -> list[AnyEvent]:
    return world.manager.observe(report, world.now)


def refused(world: World, command: AnyCommand) -> str:
    (event,) = order(world, command)
    assert isinstance(event, CommandRefused)
    return event.why


def kinds(world: World, updates: int) -> list[str]:
    before = len(world.actions)
    world.update_by(updates).until(Collect)
    return [type(a).__name__ for a in world.actions[before:]]


def saves(world: World) -> list[str]:
    return [a.kind for a in world.actions if isinstance(a, SaveCheckpoint)]


def evaluated_at(world: World) -> list[int]:
    """Updates of the reference evaluations that the adviser has seen."""
    adviser = world.manager.state_dict()["manager"]["adviser"]  # type: ignore[index]
    return [point["update"] for point in adviser["points"]]


def ended(world: World) -> Reason:
    action = world.manager.next_action()
    assert isinstance(action, End)
    assert action.reason == world.manager.reason
    return action.reason


# --- the order of actions --------------------------------------------------------------------------------------------


def test_the_task_is_told_its_difficulty_before_anything_else() -> None:
    assert build(continuous__level=1).manager.next_action() == ApplyDifficulty(Difficulty(level=1))


def test_a_task_without_difficulty_begins_with_collect() -> None:
    assert build(space=None).manager.next_action() == Collect()


def test_telling_the_difficulty_at_the_start_is_no_change() -> None:
    world = build()
    assert world.step() == []


def test_collect_goes_on_until_the_rollout_is_complete_then_learn() -> None:
    assert kinds(build(), 2) == ["ApplyDifficulty", "Collect", "Collect", "Learn", "Collect", "Collect", "Learn"]


def test_an_evaluation_plays_each_part_once_with_the_same_games_every_time() -> None:
    world = build(manager__evaluation={"every_updates": 2, "episodes": 30}).update_by(4).until(Collect)
    played = [a for a in world.actions if isinstance(a, Evaluate)]
    assert [a.part for a in played] == [*LEVELS, *LEVELS]
    assert {(a.suite, a.episodes, a.seed) for a in played} == {("reference", 30, suite_seed(1, "reference"))}


def test_an_evaluation_is_told_once_all_parts_are_in_followed_by_the_trend() -> None:
    world = build(manager__evaluation__every_updates=2).update_by(2).until(Collect)
    (finished,) = world.seen(EvaluationFinished)
    assert isinstance(finished, EvaluationFinished)
    assert list(finished.result.by) == list(LEVELS)
    assert finished.seconds == pytest.approx(0.3)
    assert [type(e) for e in world.events[-2:]] == [EvaluationFinished, TrendAssessed]


def test_a_part_that_was_not_asked_for_counts_for_nothing() -> None:
    world = build().update_by(1)
    report = world.answer(Evaluate("reference", "random", 10, 1))
    assert report is not None
    assert tell(world, report) == []
    assert world.manager.metrics.get("eval/win_rate") is None


def test_an_evaluation_that_is_no_number_ends_the_run_as_diverged() -> None:
    world = build(manager__evaluation__every_updates=1).until(Evaluate)
    result = PartResult(episodes=10, win_rate=0.5, mean=float("nan"))
    tell(world, EvaluationReport(suite="reference", part="random", result=result))
    assert (ended(world).name, ended(world).exit_code) == ("diverged", 5)


def test_numbers_of_other_libraries_become_plain_ones() -> None:
    world = build(manager__evaluation__every_updates=1).until(Evaluate)
    for name in LEVELS:
        result = PartResult(episodes=10, win_rate=np.float32(0.5), mean=np.float64(0))  # type: ignore[arg-type]
        events = tell(world, EvaluationReport(suite="reference", part=name, result=result))
        world.events += events
    assert b'"win_rate":0.5' in encode(world.seen(EvaluationFinished)[0])


def test_a_metric_that_is_not_finite_is_unknown() -> None:
    world = build().until(Learn)
    tell(world, UpdateReport(metrics={"train/loss": float("inf"), "train/approx_kl": 1}))
    assert world.manager.metrics["train/loss"] is None
    assert isinstance(world.manager.metrics["train/approx_kl"], float)


def test_regular_checkpoints_come_by_updates() -> None:
    world = build(manager__checkpoints__every_updates=3).update_by(9).until(Collect)
    assert saves(world) == ["regular"] * 3


def test_regular_checkpoints_come_by_minutes_of_running() -> None:
    world = build(
        manager__checkpoints={"every_updates": 0, "every_minutes": 1}, manager__evaluation__every_updates=1000
    )
    world.update_by(100).until(Collect)
    minutes = world.manager.elapsed_s / 60
    assert len(saves(world)) == int(minutes)


def test_a_best_checkpoint_makes_a_regular_one_of_the_same_moment_needless() -> None:
    world = build(manager__checkpoints__every_updates=2, manager__evaluation__every_updates=2)
    world.update_by(2).until(Collect)
    assert saves(world) == ["best"]


def test_an_ordered_checkpoint_waits_for_the_update_to_finish() -> None:
    world = build().until(Collect)
    world.step()
    order(world, orders.SaveCheckpoint(id="1"))
    assert world.manager.next_action() == Collect()
    world.update_by(1)
    assert world.manager.next_action() == SaveCheckpoint("manual")


def test_a_checkpoint_ordered_during_a_pause_is_saved_at_once() -> None:
    world = build().until(Collect)
    world.step()
    order(world, orders.Pause(id="1"))
    order(world, orders.SaveCheckpoint(id="2"))
    assert world.manager.next_action() == SaveCheckpoint("manual")
    world.step()
    assert isinstance(world.manager.next_action(), Wait)


def test_a_checkpoint_cannot_be_ordered_twice_at_once() -> None:
    world = build().until(Collect)
    order(world, orders.SaveCheckpoint(id="1"))
    assert "already on its way" in refused(world, orders.SaveCheckpoint(id="2"))


# --- the best model --------------------------------------------------------------------------------------------------


def at_update(rates: dict[int, float]) -> Skill:
    """Rates by update, the last one before holds."""
    return lambda update, part: rates[max(u for u in rates if u <= update)]


def test_one_lucky_evaluation_is_not_the_best_model() -> None:
    lucky = at_update({0: 0.5, 6: 0.9, 8: 0.5})
    world = build(lucky, manager__evaluation__every_updates=2).update_by(20).until(Collect)
    assert world.manager.score is not None
    assert max(e.result.value for e in world.seen(EvaluationFinished)) == 0.9  # type: ignore[attr-defined]
    best = world.manager.state_dict()["manager"]["best"]  # type: ignore[index]
    assert best["score"] <= 0.5


def test_a_lasting_rise_is_the_best_model() -> None:
    world = build(at_update({0: 0.5, 6: 0.9}), manager__evaluation__every_updates=2).update_by(12).until(Collect)
    best = world.manager.state_dict()["manager"]["best"]  # type: ignore[index]
    assert best["score"] > 0.8


@pytest.mark.parametrize(
    ("score", "level", "better"),
    [(0.7, 0, True), (0.6, 1, True), (0.6, 0, True), (0.59, 2, False), (0.6, -1, False)],
    ids=["higher score", "higher level", "newer", "lower score", "lower level"],
)
def test_a_better_model_has_the_higher_score_then_the_higher_level_then_is_newer(
    score: float, level: int, better: bool
) -> None:
    assert is_better(score, level, Best(0.6, 0, 10)) is better


def test_of_equal_models_the_newest_is_the_best() -> None:
    world = build(steady(1.0), manager__evaluation__every_updates=2).update_by(8).until(Collect)
    assert world.manager.state_dict()["manager"]["best"]["update"] == 8  # type: ignore[index]


# --- hard limits and other ends --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "value", "evidence"),
    [
        ("max_updates", 7, "7 of 7 updates"),
        ("max_episodes", 7, "7 of 7 episodes"),
        ("max_steps", 70, "70 of 70 steps"),
        ("max_hours", 0.005, "hours"),
    ],
)
def test_a_hard_limit_ends_the_run_at_once(limit: str, value: float, evidence: str) -> None:
    world = build(manager__termination={limit: value}).run(1000)
    reason = ended(world)
    assert (reason.name, reason.exit_code) == (limit, 0)
    assert evidence in reason.evidence


def test_nothing_is_trained_after_the_end() -> None:
    world = build(manager__termination__max_updates=3).run(1000)
    assert tell(world, UpdateReport()) == []
    assert world.manager.update == 3


def test_a_normal_end_evaluates_and_saves() -> None:
    action = build(manager__termination__max_updates=3).run(100).manager.next_action()
    assert isinstance(action, End)
    assert (action.save, action.evaluate) == (True, True)


def test_a_limit_reached_in_an_evaluation_ends_the_run_before_its_next_part() -> None:
    world = build(manager__evaluation__every_updates=1, manager__termination__max_hours=0.9).until(Evaluate)
    (stopped,) = world.step(seconds=3550)
    assert stopped == EvaluationStopped(suite="reference", why="the run ends: max_hours", parts=1)
    assert ended(world).name == "max_hours"


def test_an_evaluation_cut_by_the_end_is_played_from_its_beginning_after_a_resume() -> None:
    world = build(manager__evaluation__every_updates=1, manager__termination__max_hours=0.9).until(Evaluate)
    world.step(seconds=3550)
    again = TrainingManager(
        config(manager__evaluation__every_updates=1, manager__termination__max_hours=5), SPEC, SPACE
    )
    again.load_state_dict(world.manager.state_dict())
    later = World(again).start()
    later.until(Collect)
    assert [a.part for a in later.actions if isinstance(a, Evaluate)] == list(LEVELS)


def test_the_target_ends_the_run_with_its_value_as_evidence() -> None:
    world = build(
        steady(0.9), manager__evaluation__every_updates=2, manager__termination__target="eval/win_rate >= 0.85"
    ).run(1000)
    assert ended(world) == Reason(name="target", evidence="eval/win_rate is 0.9: eval/win_rate >= 0.85")
    assert world.manager.owes_best


REPORTED_ENDS: list[tuple[AnyReport, str, int]] = [
    (SignalReport(name="int"), "signal", 130),
    (SignalReport(name="term"), "signal", 143),
    (FaultReport(kind="nonfinite", detail="loss is nan"), "diverged", 5),
    (FaultReport(kind="exception", detail="broke"), "failed", 1),
    (FaultReport(kind="out_of_memory", detail="2 GiB short"), "out_of_memory", 1),
    (FaultReport(kind="storage", detail="gone"), "storage", 4),
]


@pytest.mark.parametrize(("report", "name", "code"), REPORTED_ENDS)
@pytest.mark.parametrize("where", [Collect, Learn, Evaluate, SaveCheckpoint, Wait])
def test_faults_and_signals_end_the_run_from_everywhere(
    report: AnyReport, name: str, code: int, where: type[AnyAction]
) -> None:
    world = build(manager__evaluation__every_updates=1)
    if where is Wait:
        world.until(Evaluate)
        order(world, orders.Pause(id="1"))
    world.until(where)
    tell(world, report)
    action = world.manager.next_action()
    assert isinstance(action, End)
    assert (action.reason.name, action.reason.exit_code, action.evaluate) == (name, code, False)


def test_a_term_signal_can_ask_to_be_queued_again() -> None:
    world = build(run__on_term="requeue")
    tell(world, SignalReport(name="term"))
    assert (ended(world).name, ended(world).exit_code) == ("scheduler", 75)


def test_stop_ends_the_run_and_a_second_stop_is_refused() -> None:
    world = build().update_by(2)
    order(world, orders.Stop(id="1"))
    assert (ended(world).name, ended(world).exit_code) == ("user", 0)
    assert "already ended" in refused(world, orders.Stop(id="2"))


def test_the_first_reason_stays() -> None:
    world = build().update_by(2)
    tell(world, SignalReport(name="int"))
    tell(world, FaultReport(kind="exception", detail="broke"))
    assert ended(world).name == "signal"


# --- intelligent ends ------------------------------------------------------------------------------------------------


def long(skill: Skill, **settings: object) -> World:
    termination = {"patience": 10, "min_updates": 0, "max_updates": 400}
    termination |= settings.pop("termination", {})  # type: ignore[call-overload]
    return build(skill, manager__evaluation__every_updates=2, manager__termination=termination, **settings).run()


def test_a_plateau_ends_the_run_after_its_patience() -> None:
    world = long(steady(0.5))
    assert ended(world).name == "plateau"
    assert world.manager.update == 2 * (1 + 10)


def test_no_plateau_before_the_minimum_of_updates() -> None:
    world = long(steady(0.5), termination={"min_updates": 100})
    assert (ended(world).name, world.manager.update) == ("plateau", 100)


def test_a_rising_score_is_never_a_plateau() -> None:
    world = long(lambda update, part: 0.1 + update / 500)
    assert ended(world).name == "max_updates"


def test_a_lasting_fall_is_degradation() -> None:
    world = long(lambda update, part: update / 90 if update < 80 else 0.4)
    assert ended(world).name == "degradation"
    assert world.manager.update < 115


def test_a_dip_after_a_raised_level_is_no_degradation() -> None:
    def skill(update: int, part: str) -> float:
        dip = 0.3 * max(0.0, 1 - (update - 60) / 40) if update >= 60 else 0.0
        return min(0.9, update / 80) - dip + update / 4000

    world = build(skill, manager__evaluation__every_updates=2, manager__termination={"patience": 10, "min_updates": 0})
    world.update_by(60).until(Collect)
    order(world, orders.SetDifficulty(id="1", difficulty=Difficulty(level=1)))
    world.update_by(44).until(Collect)
    assert world.manager.reason is None
    assert all(e.trend != "degrading" for e in world.seen(TrendAssessed))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "settings", [{"manager__mode": "optuna"}, {"termination": {"intelligent": False}}], ids=["optuna", "switched off"]
)
def test_no_intelligent_end_where_it_is_off(settings: dict[str, object]) -> None:
    mode = settings.pop("manager__mode", None)
    termination = {"patience": 10, "min_updates": 0, "max_updates": 100}
    termination |= settings.get("termination", {})  # type: ignore[call-overload]
    extra: dict[str, object] = {"manager__mode": mode} if mode else {}
    world = build(manager__evaluation__every_updates=2, manager__termination=termination, **extra).run()
    assert ended(world).name == "max_updates"
    assert {e.termination for e in world.seen(TrendAssessed)} == {"off"}  # type: ignore[attr-defined]


def test_the_panel_is_told_how_near_a_plateau_is() -> None:
    world = long(steady(0.5))
    texts = [e.termination for e in world.seen(TrendAssessed)]  # type: ignore[attr-defined]
    assert texts[:2] == ["plateau 0 of 10", "plateau 0 of 10"]
    assert texts[-1] == "plateau 10 of 10"


# --- time ------------------------------------------------------------------------------------------------------------


def test_pauses_are_left_out_of_the_running_time() -> None:
    world = build().update_by(2)
    before = world.manager.elapsed_s
    order(world, orders.Pause(id="1"))
    for _ in range(10):
        world.step(seconds=100)
    order(world, orders.Resume(id="2"))
    assert world.manager.elapsed_s == before


@pytest.mark.parametrize("jump", [-1e6, 1e6, 86400.0])
def test_a_jump_of_the_clock_is_no_running_time(jump: float) -> None:
    world = build(manager__termination__max_hours=1).update_by(2)
    before = world.manager.elapsed_s
    world.step(seconds=jump)
    world.step(seconds=0.5)
    assert world.manager.elapsed_s == before + 0.5
    assert world.manager.reason is None


# --- pauses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [Collect, Learn, Evaluate, SaveCheckpoint])
def test_a_pause_holds_at_every_boundary_and_goes_on_where_it_was(where: type[AnyAction]) -> None:
    world = build(manager__evaluation__every_updates=1).until(where)
    action = world.manager.next_action()
    assert order(world, orders.Pause(id="1"))[1:] == [RunPaused(by="user", why="ordered by user")]
    world.until(Wait)
    assert order(world, orders.Resume(id="2"))[1:] == [RunContinued(by="user")]
    assert world.manager.next_action() == action or where is SaveCheckpoint


def test_a_pause_can_wait_for_a_condition() -> None:
    world = build(lambda update, part: update / 20, manager__evaluation__every_updates=2)
    order(world, orders.Pause(id="1", when="eval/win_rate > 0.45"))
    world.until(Wait)
    assert world.manager.update == 10
    assert world.seen(RunPaused) == [RunPaused(by="manager", why="eval/win_rate > 0.45 holds")]
    order(world, orders.Resume(id="2"))
    world.update_by(4)
    assert not world.manager.is_paused


def test_a_planned_pause_may_name_the_update() -> None:
    world = build().until(Learn)
    order(world, orders.Pause(id="1", when="update >= 5"))
    world.until(Wait)
    assert world.manager.update == 5


def test_run_for_pauses_after_so_many_updates() -> None:
    world = build().update_by(3)
    order(world, orders.Pause(id="1"))
    order(world, orders.RunFor(id="2", updates=4))
    world.until(Wait)
    assert world.manager.update == 7


def test_a_planned_pause_can_be_dropped() -> None:
    world = build().update_by(3)
    order(world, orders.RunFor(id="1", updates=2))
    applied = order(world, orders.Resume(id="2"))[0]
    assert isinstance(applied, CommandApplied)
    world.update_by(5)
    assert not world.manager.is_paused


def test_a_signal_toggles_the_pause_and_another_saves() -> None:
    world = build().update_by(1)
    assert tell(world, SignalReport(name="usr2")) == [RunPaused(by="signal", why="SIGUSR2")]
    tell(world, SignalReport(name="usr1"))
    assert world.manager.next_action() == SaveCheckpoint("manual")
    assert tell(world, SignalReport(name="usr2")) == [RunContinued(by="signal")]


def test_a_full_disk_pauses_until_it_can_be_written_again() -> None:
    world = build().update_by(1)
    assert tell(world, StorageReport(ok=False, detail="disk full")) == [RunPaused(by="engine", why="disk full")]
    order(world, orders.SaveCheckpoint(id="1"))
    assert isinstance(world.manager.next_action(), Wait)
    assert "disk full" in refused(world, orders.Resume(id="2"))
    assert tell(world, StorageReport(ok=True)) == [RunContinued(by="engine")]
    assert world.manager.next_action() == SaveCheckpoint("manual")


def test_a_working_disk_does_not_end_the_pause_of_a_person() -> None:
    world = build().update_by(1)
    order(world, orders.Pause(id="1"))
    tell(world, StorageReport(ok=False, detail="disk full"))
    assert tell(world, StorageReport(ok=True)) == [RunPaused(by="user", why="ordered by user")]
    assert world.manager.is_paused


def test_short_memory_saves_and_then_pauses() -> None:
    world = build().until(Collect)
    world.step()
    assert tell(world, FaultReport(kind="memory_limit", detail="4 of 4 GiB")) == [
        RunPaused(by="engine", why="4 of 4 GiB")
    ]
    assert world.manager.next_action() == SaveCheckpoint("regular")
    world.step()
    assert isinstance(world.manager.next_action(), Wait)


def test_a_signal_continues_after_short_memory() -> None:
    world = build().update_by(1)
    tell(world, FaultReport(kind="memory_limit", detail="4 of 4 GiB"))
    assert tell(world, SignalReport(name="usr2")) == [RunContinued(by="signal")]


# --- difficulty and settings -----------------------------------------------------------------------------------------


def test_a_changed_difficulty_is_told_when_the_task_has_taken_it() -> None:
    world = build().update_by(1)
    events = order(world, orders.SetDifficulty(id="1", difficulty=Difficulty(level=2)))
    assert [type(e) for e in events] == [CommandApplied]
    assert world.manager.difficulty.level == 0
    assert world.manager.next_action() == ApplyDifficulty(Difficulty(level=2))
    assert world.step() == [
        DifficultyChanged(old=Difficulty(), new=Difficulty(level=2), by="user", why="ordered by user")
    ]


def test_a_difficulty_that_the_task_did_not_take_is_no_change() -> None:
    world = build().update_by(1)
    order(world, orders.SetDifficulty(id="1", difficulty=Difficulty(level=2)))
    assert tell(world, DifficultyReport(difficulty=Difficulty())) == []
    assert world.manager.next_action() == Collect()


def test_a_changed_setting_is_told_when_the_learner_has_taken_it() -> None:
    world = build().update_by(1)
    order(world, orders.SetSetting(id="1", key="ppo.learning_rate", value=1e-4))
    assert world.manager.next_action() == ApplySetting("ppo.learning_rate", 1e-4)
    assert world.step() == [
        SettingChanged(key="ppo.learning_rate", old=3e-4, new=1e-4, by="user", why="ordered by user")
    ]


def test_changes_during_a_pause_after_an_update_are_made_at_once() -> None:
    world = build().update_by(1)
    order(world, orders.Pause(id="1"))
    order(world, orders.SetDifficulty(id="2", difficulty=Difficulty(level=2)))
    assert world.manager.next_action() == ApplyDifficulty(Difficulty(level=2))


def test_changes_in_mid_rollout_wait_for_the_next_update() -> None:
    world = build().until(Collect)
    world.step()
    order(world, orders.Pause(id="1"))
    order(world, orders.SetDifficulty(id="2", difficulty=Difficulty(level=2)))
    assert isinstance(world.manager.next_action(), Wait)
    order(world, orders.Resume(id="3"))
    world.update_by(1)
    assert world.manager.next_action() == ApplyDifficulty(Difficulty(level=2))


def test_a_limit_lowered_below_what_is_done_ends_the_run() -> None:
    world = build(manager__termination__max_updates=100).update_by(5)
    events = order(world, orders.SetSetting(id="1", key="manager.termination.max_updates", value=3))
    assert [type(e) for e in events] == [CommandApplied, SettingChanged]
    assert ended(world).name == "max_updates"


def test_a_changed_limit_is_what_a_view_shows() -> None:
    world = build().update_by(1)
    state = RunState()
    for limit in (30, 0):
        events = order(world, orders.SetSetting(id="1", key="manager.termination.max_updates", value=limit))
        for event in events:
            state = state.apply(stamp(event, seq=state.seq + 1, time=0.0, update=1, global_step=20))
        assert state.limits == world.manager.limits


def test_how_often_is_evaluated_can_be_changed() -> None:
    world = build(manager__evaluation__every_updates=50).update_by(1)
    order(world, orders.SetSetting(id="1", key="manager.evaluation.every_updates", value=3))
    world.update_by(8).until(Collect)
    assert len(world.seen(EvaluationFinished)) == 3


def restored(world: World, **settings: object) -> World:
    manager = TrainingManager(config(**settings), SPEC, SPACE)
    manager.load_state_dict(world.manager.state_dict())
    return World(manager, world.skill).start()


def test_what_was_set_survives_a_resume() -> None:
    world = build(manager__termination__max_updates=100).update_by(5)
    order(world, orders.SetSetting(id="1", key="manager.termination.max_updates", value=50))
    assert restored(world, manager__termination__max_updates=100).manager.limits == {"max_updates": 50}


def test_a_limit_given_at_the_resume_wins_over_what_was_set_before() -> None:
    world = build(manager__termination__max_updates=100).update_by(5)
    order(world, orders.SetSetting(id="1", key="manager.termination.max_updates", value=50))
    assert restored(world, manager__termination__max_updates=80).manager.limits == {"max_updates": 80}


REFUSALS: list[tuple[AnyCommand, str]] = [
    (orders.Resume(id="c"), "not paused"),
    (orders.RunFor(id="c", updates=0), "at least one update"),
    (orders.Pause(id="c", when="win rate high"), "is not a condition"),
    (orders.Answer(id="c", recommendation=9, verdict="accept"), "no recommendation 9"),
    (orders.SetDifficulty(id="c", difficulty=Difficulty()), "already random"),
    (orders.SetDifficulty(id="c", difficulty=Difficulty(level=7)), "level 7 does not exist"),
    (orders.SetSetting(id="c", key="ppo.lerning_rate", value=1e-3), "did you mean ppo.learning_rate"),
    (orders.SetSetting(id="c", key="ppo.gamma", value=0.9), "cannot be changed while"),
    (orders.SetSetting(id="c", key="dqn.learning_rate", value=1e-3), "trains with ppo"),
    (orders.SetSetting(id="c", key="ppo.learning_rate", value=7), "<= 1.0"),
    (orders.SetSetting(id="c", key="ppo.ent_coef", value=float("inf")), "finite"),
    (orders.SetSetting(id="c", key="manager.evaluation.every_updates", value=0), ">= 1"),
    (orders.SetSetting(id="c", key="manager.evaluation.every_updates", value=2.5), "int"),
    (orders.SetSetting(id="c", key="manager.evaluation.every_updates", value=50), "already 50"),
]


@pytest.mark.parametrize(("command", "why"), REFUSALS)
def test_a_refusal_says_why_and_changes_nothing(command: AnyCommand, why: str) -> None:
    world = build().update_by(1)
    before = (world.manager.state_dict(), world.manager.next_action())
    assert why in refused(world, command)
    assert (world.manager.state_dict(), world.manager.next_action()) == before


def test_a_task_without_difficulty_refuses_to_change_it() -> None:
    world = build(space=None)
    assert refused(world, orders.SetDifficulty(id="1", difficulty=Difficulty(level=1))) == (
        "board has no difficulty to change"
    )


def test_a_second_pause_is_refused() -> None:
    world = build()
    order(world, orders.Pause(id="1"))
    assert "already paused" in refused(world, orders.Pause(id="2"))


# --- trials of a study -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        orders.SetDifficulty(id="c", difficulty=Difficulty(level=1)),
        orders.SetSetting(id="c", key="ppo.learning_rate", value=1e-3),
        orders.RunFor(id="c", updates=3),
        orders.Answer(id="c", recommendation=1, verdict="accept"),
    ],
)
def test_a_trial_refuses_orders_that_would_steer_it(command: AnyCommand) -> None:
    assert "optuna mode" in refused(build(manager__mode="optuna"), command)


def test_an_order_marks_a_trial_as_touched_once() -> None:
    world = build(manager__mode="optuna").update_by(1)
    first = order(world, orders.Pause(id="1"))
    again = order(world, orders.Resume(id="2"))
    assert [e.key for e in first if isinstance(e, AlertRaised)] == ["trial_touched"]
    assert not [e for e in again if isinstance(e, AlertRaised)]
    assert world.manager.is_touched


def test_a_trial_ignores_the_clock_and_says_so() -> None:
    world = build(manager__mode="optuna", manager__termination={"max_hours": 0.001, "max_updates": 50})
    assert next(e for e in world.events if isinstance(e, LogWritten)).text == (
        "optuna mode ignores manager.termination.max_hours and manager.checkpoints.every_minutes"
    )
    assert world.manager.limits == {"max_updates": 50}
    assert ended(world.run()).name == "max_updates"


@pytest.mark.parametrize(
    ("limits", "evaluated", "judge"),
    [({"max_updates": 6}, [4], True), ({"max_updates": 8}, [4], True), ({"max_steps": 110}, [4], True),
     ({"max_steps": 90}, [4], False)],
)  # fmt: skip
def test_a_trial_is_judged_by_what_it_was_at_its_limit(
    limits: dict[str, object], evaluated: list[int], judge: bool
) -> None:
    """An update is 20 steps: 90 are reached within the fifth, whose parameters were evaluated after the fourth."""
    world = build(manager__mode="optuna", manager__evaluation__every_updates=4, manager__termination=limits).run()
    end = world.manager.next_action()
    assert isinstance(end, End)
    assert (evaluated_at(world), end.judge, end.reason.name) == (evaluated, judge, next(iter(limits)))


def test_only_a_trial_is_judged_at_its_end() -> None:
    end = (
        build(manager__evaluation__every_updates=4, manager__termination={"max_updates": 6}).run().manager.next_action()
    )
    assert isinstance(end, End)
    assert not end.judge


# --- saving and restoring --------------------------------------------------------------------------------------------


def test_a_save_in_progress_is_not_repeated_by_a_resume() -> None:
    world = build(manager__evaluation__every_updates=2).until(SaveCheckpoint)
    after = restored(world, manager__evaluation__every_updates=2)
    assert isinstance(after.manager.next_action(), ApplyDifficulty)
    after.step()
    assert after.manager.next_action() == Collect()


def test_taking_a_checkpoint_leaves_what_decides_as_it_was() -> None:
    world = build(manager__evaluation__every_updates=2).until(SaveCheckpoint)
    before = world.manager.state_dict()["manager"]
    world.step()
    assert world.manager.state_dict()["manager"] == before


def test_a_difficulty_decided_before_the_end_is_applied_after_the_resume() -> None:
    world = build().until(Collect)
    world.step()
    order(world, orders.SetDifficulty(id="1", difficulty=Difficulty(level=2)))
    again = restored(world).update_by(2)
    assert again.manager.difficulty.level == 2
    assert [type(e) for e in again.seen(DifficultyChanged)] == [DifficultyChanged]


@pytest.mark.parametrize("split", [1, 7, 20, 33])
def test_a_run_cut_in_two_is_the_run_in_one(split: int) -> None:
    def skill(update: int, part: str) -> float:
        return min(0.97, update / 15) * {"random": 1.0, "1-ply": 0.6, "minimax-2": 0.3}[part]

    shared: dict[str, object] = {"manager__evaluation__every_updates": 2, "continuous__auto_accept": True}
    whole = build(skill, manager__termination__max_updates=40, **shared).run()
    half = build(skill, manager__termination__max_updates=split, **shared).run()
    rest = restored(half, manager__termination__max_updates=40, **shared).run()
    assert rest.manager.state_dict()["manager"] == whole.manager.state_dict()["manager"]
    assert whole.seen(DifficultyChanged)


def test_a_resume_of_a_run_whose_limit_was_not_raised_ends_at_once() -> None:
    world = build(manager__termination__max_updates=5).run()
    assert ended(restored(world, manager__termination__max_updates=5)).name == "max_updates"


def test_a_resume_goes_on_after_a_pause_and_after_a_plateau() -> None:
    world = build().update_by(2)
    order(world, orders.Pause(id="1"))
    assert not restored(world).manager.is_paused
    settings: dict[str, object] = {
        "manager__evaluation__every_updates": 1,
        "manager__termination": {"patience": 5, "min_updates": 0},
    }
    flat = build(**settings).run()
    again = restored(flat, **settings).update_by(4)
    assert again.manager.reason is None


# --- broken episodes, scripts that end ---------------------------------------------------------------------------


def test_broken_episodes_are_told_one_by_one_then_each_tenth_more() -> None:
    world, told = build(), []
    broken = CollectReport(steps=1, episodes=0, complete=False, failed_episodes=1, failure="it fell down")
    for _ in range(200):
        told += [event for event in tell(world, broken) if isinstance(event, EpisodeFailed)]
    totals = [event.failed for event in told]
    assert totals[:10] == list(range(1, 11))
    assert all(1.1 * before <= after <= 1.1 * before + 1.01 for before, after in pairwise(totals[9:]))
    assert len(totals) < 45
    assert {event.why for event in told} == {"it fell down"}
    assert world.manager.failed_episodes == 200


@pytest.mark.parametrize(
    ("how", "detail", "reason"),
    [
        ("done", "", Reason(name="finished", evidence="the script left its loop")),
        ("interrupted", "", Reason(name="signal", evidence="KeyboardInterrupt in the script", exit_code=130)),
        ("failed", "KeyError: 7", Reason(name="failed", evidence="KeyError: 7", exit_code=1)),
    ],
)
def test_the_reason_of_a_script_that_left_its_loop(how: str, detail: str, reason: Reason) -> None:
    assert host_end(how, detail) == reason

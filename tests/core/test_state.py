"""The fold: bounded, the same live and replayed, and a resume undoes what did not survive."""

from __future__ import annotations

import msgspec
import pytest

from tests.core.history import STEPS, Tale
from tui_trainer.core import state as core
from tui_trainer.core.events import (
    AlertCleared,
    AlertRaised,
    CheckpointsPruned,
    CommandRefused,
    DifficultyChanged,
    EvaluationFinished,
    LogWritten,
    RecommendationAnswered,
    RecommendationScored,
    ResourcesSampled,
    RunContinued,
    RunPaused,
    TrendAssessed,
    decode,
    encode,
)
from tui_trainer.core.state import RunState, difficulty_label, evaluation_metrics, fold
from tui_trainer.core.values import Difficulty, DifficultySpace, Gpu, Reason, Resources

HARDER = Difficulty(level=1, low=0.5)
TREND = TrendAssessed(
    trend="stable",
    confidence=0.5,
    slope=0.0,
    slope_ci=(0.0, 0.0),
    evaluations=3,
    stability=0.1,
    consistency=1.0,
    evidence="",
    termination="off",
)


def harder() -> DifficultyChanged:
    return DifficultyChanged(old=Difficulty(), new=HARDER, by="user", why="accepted 1", recommendation=1)


def told() -> Tale:
    """20 updates, a checkpoint at 10, then advice, an answer, a new difficulty; then a crash."""
    tale = Tale().start(max_updates=50).advise(1).train(10).evaluate(0.4).save(1).train(5).accept(1)
    tale.add(harder())
    tale.evaluate(0.9)
    tale.add(TREND)
    return tale.advise(2).train(5)


def test_a_resume_takes_back_what_came_after_its_checkpoint() -> None:
    state = fold(told().resume(10).events)
    assert (state.status, state.update, state.global_step) == ("running", 10, 10 * STEPS)
    assert [v.update for v in state.evaluations] == [10]
    assert [(r.id, r.is_open) for r in state.recommendations] == [(1, True)]
    assert state.trend is None
    assert state.metrics["train/loss"] == 10.0
    assert state.metrics["eval/win_rate"] == 0.4
    assert all(b.update <= 10 for series in state.series.values() for b in series.buckets)
    assert {m.update for m in state.marks} <= {0, 10}


def test_a_resume_brings_back_what_its_checkpoint_held() -> None:
    state = fold(told().resume(10, difficulty=Difficulty(), episodes=50, elapsed_s=1.0).events)
    assert (state.difficulty, state.episodes, state.elapsed_s) == (Difficulty(), 50, 1.0)


def test_a_resume_that_tells_of_no_difficulty_leaves_it() -> None:
    assert fold(told().resume(10).events).difficulty == HARDER


def test_an_answer_from_before_the_checkpoint_stays_answered() -> None:
    tale = Tale().start().advise(1).train(3).accept(1).train(7).save(1).train(5).resume(10)
    assert [r.verdict for r in fold(tale.events).recommendations] == ["accepted"]


def test_decisions_checkpoints_and_log_outlive_a_resume() -> None:
    before, after = fold(told().events), fold(told().resume(10).events)
    assert after.checkpoints == before.checkpoints
    assert after.decisions == before.decisions
    assert len(after.log) == len(before.log) + 1


def test_an_evaluation_repeated_after_a_resume_counts_once() -> None:
    tale = Tale().start().train(10).save(1).evaluate(0.4).train(2).resume(10).evaluate(0.4)
    assert [(v.update, v.seq) for v in fold(tale.events).evaluations] == [(10, len(tale.events))]


def test_training_on_after_a_resume_leaves_series_in_order() -> None:
    state = fold(told().resume(10).train(20).events)
    updates = [b.update for b in state.series["train/loss"].buckets]
    assert updates == list(range(1, 31))


def test_history_read_back_folds_to_the_same_state() -> None:
    tale = told().resume(10).train(5).end()
    assert fold([decode(encode(event)) for event in tale.events]) == fold(tale.events)


def test_folding_in_two_parts_is_folding_at_once() -> None:
    events = told().resume(10).train(5).end().events
    for cut in range(len(events)):
        assert fold(events[cut:], fold(events[:cut])) == fold(events)


def test_time_never_runs_backwards_when_the_clock_does() -> None:
    tale = Tale().start().train(2)
    tale.add(LogWritten(level="info", text="x"), after_s=-86_400)
    assert fold(tale.events).time == tale.events[-2].time


def test_a_state_is_bounded_however_long_the_run() -> None:
    tale = Tale().start()
    for number in range(1, 900):
        tale.train(1).evaluate().save(number).advise(number).accept(number)
        tale.add(harder())
    state = fold(tale.events)
    assert len(state.log) == core.KEPT_LOG
    assert len(state.decisions) == core.KEPT_DECISIONS
    assert len(state.evaluations) == core.KEPT_EVALUATIONS
    assert len(state.checkpoints) == core.KEPT_CHECKPOINTS
    assert len(state.recommendations) == core.KEPT_RECOMMENDATIONS
    assert len(state.marks) <= core.KEPT_MARKS
    assert state.log[-1].update == 899


def test_routine_marks_go_before_decisions() -> None:
    tale = Tale().start().train(1)
    tale.add(harder())
    for number in range(1, 500):
        tale.train(1).evaluate().save(number)
    kinds = [m.kind for m in fold(tale.events).marks]
    assert kinds.count("decision") == 1
    assert kinds.count("level") == 1


def test_pause_and_continue_show_and_leave_no_reason_behind() -> None:
    tale = Tale().start().train(1)
    tale.add(RunPaused(by="user", why="lunch"))
    paused = fold(tale.events)
    tale.add(RunContinued(by="user"))
    running = fold(tale.events)
    assert (paused.status, paused.paused_why, paused.paused_by) == ("paused", "lunch", "user")
    assert (running.status, running.paused_why, running.paused_by) == ("running", "", None)


def test_an_end_is_kept_with_its_reason_and_a_resume_opens_the_run_again() -> None:
    tale = Tale().start().train(1).save(1).end(Reason(name="max_updates", evidence="1 of 1"))
    ended = fold(tale.events)
    assert ended.ended is not None
    assert (ended.status, ended.ended.reason.name) == ("ended", "max_updates")
    again = fold(tale.resume(1).events)
    assert (again.status, again.ended) == ("running", None)


def test_a_refused_order_is_no_mark_but_a_line() -> None:
    tale = Tale().start()
    tale.add(CommandRefused(id="1", order="accept 9", by="user", why="no such recommendation"))
    state = fold(tale.events)
    assert not state.marks
    assert [d.applied for d in state.decisions] == [False]
    assert state.log[-1].level == "warning"


def test_an_alert_stands_until_it_is_cleared_and_never_twice() -> None:
    tale = Tale().start()
    for text in ("full", "fuller"):
        tale.add(AlertRaised(key="disk", severity="warning", text=text))
    assert [a.text for a in fold(tale.events).alerts] == ["fuller"]
    tale.add(AlertCleared(key="disk"))
    assert fold(tale.events).alerts == ()


def test_pruned_checkpoints_leave_the_list() -> None:
    tale = Tale().start().train(1).save(1).train(1).save(2, "best")
    tale.add(CheckpointsPruned(paths=("checkpoints/1-u1",)))
    state = fold(tale.events)
    assert [c.number for c in state.checkpoints] == [2]
    assert state.best is not None
    assert state.best.number == 2


def test_an_outcome_is_written_behind_its_decision() -> None:
    tale = Tale().start().advise(1).accept(1)
    tale.add(RecommendationScored(id=1, outcome="helped", evidence="+4 %"))
    state = fold(tale.events)
    assert state.decisions[-1].outcome == "helped: +4 %"
    assert state.recommendations[0].outcome == "helped"


def test_an_evaluation_gives_a_metric_for_each_part() -> None:
    event = Tale().start().train(1).evaluate(0.7).events[-1]
    assert isinstance(event, EvaluationFinished)
    assert evaluation_metrics(event) == {
        "eval/mean_reward": 0.0,
        "eval/win_rate": 0.7,
        "eval/win_rate/random": 0.7,
        "eval/win_rate/1-ply": 0.7,
    }


def test_only_the_reference_suite_is_a_trend_of_its_own() -> None:
    tale = Tale().start().train(1).evaluate(0.7)
    reference = tale.events[-1]
    assert isinstance(reference, EvaluationFinished)
    tale.add(msgspec.structs.replace(reference, suite="present"))
    tale.add(msgspec.structs.replace(reference, suite="final"))
    state = fold(tale.events)
    assert (len(state.evaluations), len(state.final_evaluations)) == (1, 1)
    assert state.metrics["eval_present/win_rate"] == 0.7


def test_resources_become_series_for_every_gpu() -> None:
    gpu = Gpu(index=1, name="H", utilisation=40.0, memory_used_gib=2.0, memory_total_gib=80.0)
    tale = Tale().start()
    tale.add(
        ResourcesSampled(
            resources=Resources(
                cpu_percent=50.0,
                process_cpu_percent=99.0,
                memory_used_gib=1.0,
                memory_total_gib=8.0,
                process_rss_gib=0.5,
                disk_free_gib=9.0,
                cores=2,
                gpus=(gpu,),
            )
        )
    )
    series = fold(tale.events).series
    assert [b.mean for b in series["system/gpu1_percent"].buckets] == [40.0]
    assert [b.mean for b in series["system/cpu_percent"].buckets] == [50.0]


@pytest.mark.parametrize(
    ("space", "label"),
    [
        (None, "fixed"),
        (DifficultySpace(levels=("random", "1-ply")), "1-ply"),
        (DifficultySpace(levels=("random",)), "1"),
        (DifficultySpace(ranged=True), "0.50-1.00"),
        (DifficultySpace(levels=("random", "1-ply"), ranged=True), "1-ply 0.50-1.00"),
    ],
)
def test_a_difficulty_is_said_in_the_tasks_own_words(space: DifficultySpace | None, label: str) -> None:
    event = Tale().start().events[0]
    state = RunState().apply(msgspec.structs.replace(event, space=space))
    assert difficulty_label(state, HARDER) == label


def test_the_advisers_record_counts_what_was_accepted_and_how_it_turned_out() -> None:
    tale = Tale().start()
    for number in range(1, 5):
        tale.advise(number).train(1)
    for number in range(1, 4):
        tale.accept(number)
    tale.add(RecommendationScored(id=1, outcome="helped", evidence=""))
    tale.add(RecommendationScored(id=2, outcome="helped", evidence=""))
    tale.add(RecommendationAnswered(id=3, verdict="undone", by="user"))
    assert fold(tale.events).advice.told == "accepted 3: 2 helped, 1 undone"
    tale.accept(4)
    assert fold(tale.events).advice.told == "accepted 4: 2 helped, 1 undone, 1 not told yet"
    assert RunState().advice.told == ""

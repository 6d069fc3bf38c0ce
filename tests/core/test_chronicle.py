"""All decisions of a history, and the model versions that it left."""

from __future__ import annotations

from tests.ui.history import UPDATES, history, state_at
from tui_trainer.core import events as e
from tui_trainer.core.chronicle import decisions, matching, merged
from tui_trainer.core.state import KEPT_DECISIONS, RunState, fold
from tui_trainer.core.values import Difficulty, EvalResult
from tui_trainer.core.versions import versions


def stamped(*events: e.Event) -> list[e.AnyEvent]:
    return [
        e.stamp(event, seq=i, time=float(i), update=i, global_step=10 * i)  # type: ignore[misc]
        for i, event in enumerate(events, 1)
    ]


def orders(count: int) -> list[e.AnyEvent]:
    return stamped(*(e.CommandRefused(id=str(i), order=f"order {i}", by="user", why="no") for i in range(count)))


def test_a_whole_history_gives_the_decisions_that_its_fold_holds() -> None:
    events = [event for event in history() if event.seq]
    assert tuple(decisions(events)) == fold(events).decisions
    assert any(each.outcome.startswith("helped") for each in decisions(events))


def test_more_decisions_than_a_state_keeps_are_all_there() -> None:
    events = orders(KEPT_DECISIONS + 50)
    assert len(fold(events).decisions) == KEPT_DECISIONS
    assert [each.what for each in decisions(events)] == [f"order {i}" for i in range(KEPT_DECISIONS + 50)]


def test_a_state_lies_among_what_came_before_and_what_is_to_come() -> None:
    events = orders(KEPT_DECISIONS + 50)
    whole = decisions(events)
    assert merged(whole, fold(events[:-10])) == tuple(whole)
    assert merged(whole, RunState()) == tuple(whole)
    assert merged((), fold(events[:5])) == tuple(whole[:5])


def test_a_filter_wants_every_word_anywhere_and_shows_the_newest_first() -> None:
    whole = decisions(event for event in history() if event.seq)
    found = matching(whole, "USER recommendation")
    assert [each.what for each in found] == ["difficulty → 1-ply"]
    assert matching(whole, "user nothing-like-it") == ()
    assert matching(whole, "")[0].what == "end"


def evaluated(value: float) -> e.EvaluationFinished:
    result = EvalResult(
        metric="mean_reward", value=value, ci=(value - 1, value + 1), mean=value, std=1, min=0, max=9, episodes=9, by={}
    )
    return e.EvaluationFinished(suite="reference", result=result)


def saved(number: int, at: int, parent: str = "", kind: str = "regular") -> e.CheckpointSaved:
    return e.CheckpointSaved(
        number=number, kind=kind, path=f"checkpoints/{number}-u{at}", at_update=at, at_step=10 * at,  # type: ignore[arg-type]
        size=5, state_sha256="ab", score=float(at), parent=parent,
    )  # fmt: skip


def test_versions_know_their_evaluation_their_level_and_where_they_came_from() -> None:
    found = versions(state_at(UPDATES))
    assert [version.number for version in found] == sorted((v.number for v in found), reverse=True)
    assert [version.number for version in found if version.is_best] == [23]
    assert {version.level for version in found} == {"1-ply"}
    assert found[1].value is not None
    assert set(found[1].by) == {"random", "1-ply", "minimax-2", "minimax-3", "minimax-4", "minimax-5"}


def test_a_version_after_a_resume_descends_from_the_checkpoint_that_was_loaded() -> None:
    """1 and 2 are saved, the run goes back to 1, and 3 is trained from it."""
    went_back = e.RunResumed(
        from_update=1, from_step=10, checkpoint="checkpoints/1-u1", pid=1, host="h", exact=True, limits={}
    )
    state = fold(stamped(saved(1, 1), saved(2, 2, "checkpoints/1-u1"), went_back, saved(3, 4, "checkpoints/1-u1")))
    assert {version.number: version.parent for version in versions(state)} == {1: None, 2: 1, 3: 1}


def test_stability_is_the_spread_of_the_last_five_evaluations_up_to_the_version() -> None:
    values = [100.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    state = fold(stamped(*map(evaluated, values), saved(1, 6), evaluated(90.0)))
    version = versions(state)[0]
    assert version.stability is not None
    assert abs(version.stability - 2.5**0.5) < 1e-12
    assert (version.value, version.ci, version.level) == (5.0, (4.0, 6.0), "")


def test_the_level_is_the_one_before_a_change_that_acts_after_the_same_update() -> None:
    begun = next(iter(history(0)))
    change = e.DifficultyChanged(old=Difficulty(level=0), new=Difficulty(level=2), by="user", why="x")
    events = [begun, e.stamp(change, seq=2, time=1, update=5, global_step=50)]
    events += [e.stamp(saved(n, at), seq=2 + n, time=2, update=9, global_step=9) for n, at in ((1, 5), (2, 6))]
    assert {version.number: version.level for version in versions(fold(events))} == {1: "random", 2: "minimax-2"}

"""Episodes that break in the task's own code: started afresh and counted, and no run ends by a few of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.algorithms.helpers import settings
from tests.tasks import toy_envs
from tests.tasks.toys import Walk
from tui_trainer import algorithms
from tui_trainer.core.protocols import Step
from tui_trainer.errors import TaskFailed, UsageError
from tui_trainer.tasks import check, make
from tui_trainer.tasks.arrays import Array
from tui_trainer.tasks.checks.kit import Kit
from tui_trainer.tasks.failures import MOST_IN_A_ROW, Guarded, broken
from tui_trainer.tasks.playing import RandomPlayer, difference, digest


class Fragile(Walk):
    """Raises in the steps that are named."""

    def __init__(self, num_envs: int, at: tuple[int, ...] = (5,), error: Exception | None = None) -> None:
        self.at, self.error, self.steps = at, error or RuntimeError("a leg broke"), 0
        super().__init__(num_envs, 12)

    def step(self, action: Array) -> Step:
        self.steps += 1
        if self.steps in self.at:
            raise self.error
        return super().step(action)


def played(task: Any, steps: int, seed: int = 3) -> list[Step]:
    """`steps` of a random player from a reset on."""
    last, player, found = task.reset(seed), RandomPlayer(task.spec, 1), []
    for _ in range(steps):
        last = task.step(player.act(last.obs, last.mask))
        found.append(last)
    return found


def test_a_step_that_raises_starts_every_episode_afresh_and_says_why() -> None:
    steps = played(Guarded(Fragile(4)), 9)
    failed = steps[4]
    assert [bool(step.failures) for step in steps] == [number == 4 for number in range(9)]
    assert failed.failures == ("RuntimeError: a leg broke",)
    assert broken(failed).all()
    assert not failed.terminated.any()
    assert not failed.reward.any()
    assert (failed.obs[:, 1] == 0).all(), "new episodes are no step old"
    assert all(step.valid.all() for step in steps if not step.failures)


def test_the_new_episodes_are_others_than_those_of_the_reset() -> None:
    task = Guarded(Fragile(64, at=(1, 2)))
    first = task.reset(3).obs
    one, two = (task.step(np.ones(64, np.int64)) for _ in range(2))
    assert not np.array_equal(one.obs, first)
    assert not np.array_equal(two.obs, one.obs)


def test_what_breaks_again_and_again_ends_with_the_last_reason() -> None:
    task = Guarded(Fragile(4, at=tuple(range(1, 99))))
    with pytest.raises(TaskFailed, match="44 episodes of walk broke and none was finished between them: RuntimeError"):
        played(task, MOST_IN_A_ROW + 1)


def test_a_finished_episode_between_them_lets_it_go_on() -> None:
    breaks = tuple(range(20, 2000, 20))
    steps = played(Guarded(Fragile(4, at=breaks)), 1999)
    assert sum(bool(step.failures) for step in steps) == len(breaks) > 3 * MOST_IN_A_ROW


@pytest.mark.parametrize("error", [MemoryError("no room"), UsageError("action 9 is illegal")], ids=repr)
def test_a_lack_of_memory_and_a_refusal_of_ours_are_no_episodes_failure(error: Exception) -> None:
    with pytest.raises(type(error)):
        played(Guarded(Fragile(4, error=error)), 9)


def test_a_restored_task_breaks_and_goes_on_as_the_saved_one() -> None:
    task = Guarded(Fragile(4, at=(5, 12)))
    last = played(task, 7)[-1]
    state = task.state_dict()
    inner = Fragile(4, at=(5, 12))
    twin = Guarded(inner)
    twin.load_state_dict(state)
    inner.steps = task.steps
    for t in range(9):
        action = RandomPlayer(task.spec, t).act(last.obs, last.mask)
        mine, yours = task.step(action), twin.step(action)
        assert difference(mine, yours) == ""
        last = mine
    assert digest(task.state_dict()) == digest(twin.state_dict())


def test_a_state_from_before_there_was_a_guard_loads() -> None:
    bare = Walk(4)
    played(bare, 3)
    task = Guarded(Walk(4))
    task.load_state_dict(bare.state_dict())
    assert task.state_dict().keys() - {"failures"} == bare.state_dict().keys()


def test_what_a_task_offers_beside_the_contract_is_reached_through_the_guard() -> None:
    task = make("tictactoe", {}, 2)
    assert Guarded(task).reference_player() is not None
    assert Guarded(task).table().__class__ is task.table().__class__  # type: ignore[attr-defined]


# --- learners ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", algorithms.ALGORITHMS)
def test_a_broken_episode_is_counted_apart_from_steps_and_episodes_and_from_every_statistic(algorithm: str) -> None:
    task = Guarded(Fragile(4, at=(5, 30)))
    small = {"num_envs": 4, "batch_size": 16}
    more = {"ppo": {"n_steps": 16}, "dqn": {"train_freq": 64, "learning_starts": 0, "buffer_size": 500}}[algorithm]
    learner = algorithms.build(algorithm, task, settings(**{algorithm: small | more}), "cpu")
    totals = {"steps": 0, "episodes": 0, "failed_episodes": 0}
    said = []
    for _ in range(4):
        while not (report := learner.collect(0.0)).complete:
            totals = {key: value + getattr(report, key) for key, value in totals.items()}
            said.append(report.failure)
        totals = {key: value + getattr(report, key) for key, value in totals.items()}
        said.append(report.failure)
        assert all(np.isfinite(v) for v in learner.learn().metrics.values() if v is not None)
        assert report.metrics.get("rollout/ep_len_mean", 0) <= 12, "no episode is longer than its limit"
    assert (totals["steps"], totals["failed_episodes"]) == (4 * (64 - 2), 8)
    assert [text for text in said if text] == ["RuntimeError: a leg broke"] * 2
    assert totals["episodes"] >= 4


# --- gymnasium ---------------------------------------------------------------------------------------------------


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say which of the environments made from now on break."""

    def choose(*places: int) -> None:
        monkeypatch.setattr(toy_envs.Fragile, "made", 0)
        monkeypatch.setattr(toy_envs.Fragile, "breaking", frozenset(places))

    return choose


def gym_task(mode: str, num_envs: int = 3) -> Any:
    return make(f"gym:{toy_envs.__name__}:Fragile-v0", {"autoreset": mode}, num_envs)


@pytest.mark.parametrize("mode", ["same_step", "next_step", "disabled"])
def test_an_environment_that_raises_costs_its_own_episode_only(mode: str, breaking: Callable[..., None]) -> None:
    """It raises at its third step in every second episode; in the others it ends after ten."""
    breaking(1)
    task = gym_task(mode)
    task.reset(0)
    steps = [task.step(np.zeros(3, np.int64)) for _ in range(40)]
    failed = [t for t, step in enumerate(steps) if step.failures]
    assert failed
    for t in failed:
        assert broken(steps[t]).tolist() == [False, True, False]
        assert steps[t].failures == ("ZeroDivisionError: in the environment",)
        assert steps[t].valid[[0, 2]].all() or mode == "next_step"
    ends = sum(step.terminated & step.valid for step in steps)
    assert ends[1] > 0, "its other episodes end as they should"
    assert ends[0] >= 3
    counts = np.array([step.obs[:, 0] for step in steps if step.valid.all()])
    assert counts.max() <= 10


def test_an_evaluation_leaves_broken_episodes_out_and_says_so_where_all_broke(breaking: Callable[..., None]) -> None:
    task = gym_task("same_step")
    player = RandomPlayer(task.spec, 1)
    breaking(0)
    result = task.evaluate(player, part="all", episodes=6, seed=1)
    breaking(*range(6))
    with pytest.raises(TaskFailed, match="all 6 episodes of an evaluation"):
        task.evaluate(player, part="all", episodes=6, seed=1)
    assert (result.episodes, result.mean) == (5, 10.0)


# --- the conformance kit -----------------------------------------------------------------------------------------


class SilentFailure(Walk):
    """Marks a row as broken and does not say why."""

    def step(self, action: Array) -> Step:
        step = super().step(action)
        cut = step.truncated.copy()
        cut[0] |= bool(self.age.max() == 7)
        return step._replace(truncated=cut, valid=step.valid & ~(cut & ~step.truncated))


def test_the_kit_tells_an_author_of_episodes_that_break() -> None:
    found = check.run_rule("no episode breaks", Kit(lambda n: Guarded(Fragile(n, at=(5, 40)))))
    assert (found.ok, found.detail) == (False, "32 episodes broke, the first by RuntimeError: a leg broke")
    raised = check.run_rule("no episode breaks", Kit(lambda n: Fragile(n)))
    assert not raised.ok
    assert raised.detail == "raised RuntimeError: a leg broke"
    silent = check.run_rule("flags agree", Kit(SilentFailure))
    assert not silent.ok
    assert "say why in failures" in silent.detail

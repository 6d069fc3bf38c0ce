"""Several ranks train one run: equal parameters, exact resumes, one rank's failure told to all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.threaded import Table, ThreadGroup, on_ranks
from tui_trainer.algorithms.moments import Moments
from tui_trainer.algorithms.sharing import seed_of, share_of
from tui_trainer.core.config import Config, Layer, resolve
from tui_trainer.core.reports import CollectReport
from tui_trainer.core.segments import Segment
from tui_trainer.core.values import Difficulty, RankLoad
from tui_trainer.engine import assembly, ranks
from tui_trainer.engine.ranks import Follower, Generators, Leader, LedTask
from tui_trainer.errors import ConfigError, Diverged, TaskFailed
from tui_trainer.sessions.checkpoints import frozen_copy, state_sha256

SMALL: dict[str, Any] = {
    "run": {"task": "tictactoe", "device": "cpu"},
    "task": {"opponent_share": 0.5},
    "ppo": {
        "num_envs": 12, "n_steps": 8, "batch_size": 48, "n_epochs": 2, "hidden": [8], "pool_every": 1, "pool_size": 2,
        "normalize_observations": True, "normalize_rewards": True,
    },
    "dqn": {
        "num_envs": 12, "train_freq": 72, "learning_starts": 100, "batch_size": 24, "buffer_size": 600,
        "target_update_interval": 120, "hidden": [8], "prioritized_replay": True, "n_steps": 2,
    },
}  # fmt: skip
ALGORITHMS = ("ppo", "dqn")
NO_GENERATORS = Generators(lambda: {"rng": {}}, lambda state: None)


def config_of(algorithm: str, **more: Any) -> Config:
    return resolve([Layer("small", SMALL), Layer("more", {"run": {"algorithm": algorithm}, **more})]).config


class Ranks:
    """A leader in this thread and followers in others."""

    def __init__(self, config: Config, size: int) -> None:
        self.loads: list[tuple[RankLoad, ...]] = []
        self.followers: list[Any] = [None] * (size - 1)
        self.raised: list[BaseException] = []
        table = Table(size)
        self._threads = [threading.Thread(target=self._follow, args=(config, table, r)) for r in range(1, size)]
        for thread in self._threads:
            thread.start()
        mine = share_of(config, 0, size)
        self.task = LedTask(assembly.bare_task(mine))
        learner = assembly.rank_learner(self.task, mine, "cpu")
        self.leader = Leader(ThreadGroup(table, 0), learner, "cpu", self.loads.append)
        self.task.leader = self.leader
        self.learners: list[Any] = [learner, *self.followers]

    def _follow(self, config: Config, table: Table, rank: int) -> None:
        mine = share_of(config, rank, table.size)
        task = assembly.make_task(mine)
        learner = assembly.rank_learner(task, mine, "cpu")
        self.followers[rank - 1] = learner
        try:
            Follower(ThreadGroup(table, rank), learner, task, "cpu", NO_GENERATORS).follow()
        except BaseException as error:
            self.raised.append(error)
            table.leave()

    def __enter__(self) -> Ranks:
        return self

    def __exit__(self, *error: object) -> None:
        self.leader.dismiss()
        for thread in self._threads:
            thread.join(170)
        assert not self.raised

    def update(self, times: int = 1) -> CollectReport:
        for _ in range(times):
            while not (report := self.leader.collect(10.0)).complete:
                pass
            self.leader.learn()
        return report

    def state(self) -> dict[str, Any]:
        return {key: frozen_copy(v) for key, v in (("learner", self.leader.state_dict()), ("task", task_of(self)))}

    @property
    def parameters(self) -> list[bytes]:
        return [bytes(each.state_dict()["parameters"].numpy()) for each in self.learners]


def task_of(run: Ranks) -> dict[str, object]:
    return run.task.state_dict()


# --- what each rank gets ---------------------------------------------------------------------------------------------


def test_ranks_divide_environments_and_batches_among_them() -> None:
    mine = share_of(config_of("ppo"), 1, 3)
    assert (mine.ppo.num_envs, mine.ppo.batch_size, mine.ppo.n_steps) == (4, 16, 8)
    mine = share_of(config_of("dqn"), 1, 3)
    assert (mine.dqn.num_envs, mine.dqn.batch_size, mine.dqn.train_freq, mine.dqn.buffer_size) == (4, 8, 24, 200)


def test_what_cannot_be_divided_is_refused_with_what_can() -> None:
    with pytest.raises(ConfigError, match=r"ppo.num_envs = 12 cannot be divided among 5 ranks; .*ppo.num_envs=10"):
        share_of(config_of("ppo"), 0, 5)


def test_rank_zero_has_the_runs_seed_and_no_other_rank_has_any_runs() -> None:
    seeds = {(seed, rank): seed_of(seed, rank) for seed in range(20) for rank in range(8)}
    assert all(seeds[seed, 0] == seed for seed in range(20))
    assert len(set(seeds.values())) == len(seeds)


# --- learning together -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_parameters_stay_equal_on_all_ranks_whose_episodes_differ(algorithm: str) -> None:
    with Ranks(config_of(algorithm), 3) as run:
        before = run.parameters[0]
        report = run.update(4)
        assert len(set(run.parameters)) == 1
        assert run.parameters[0] != before
        observations = {bytes(each._rollout.obs) for each in run.learners}
        assert len(observations) == 3
        assert report.steps == run.leader.steps_per_update == sum(each.steps_per_update for each in run.learners)


@pytest.mark.parametrize("gradients", ["derived", "autograd"])
def test_two_ranks_make_the_step_that_one_makes_on_both_batches(gradients: str) -> None:
    from tui_trainer.algorithms.mlp import Batch, Weights

    config = config_of("ppo", ppo={"gradients": gradients, "n_epochs": 1})
    rng = np.random.default_rng(1)
    rows = 32

    def batch(part: slice) -> Batch:
        x = rng_x[part]
        none = np.zeros(len(x), np.float32)
        return Batch(x, actions[part], none - 2, gains[part], gains[part], none, None, None)

    def stepped(part: Callable[[int], slice]) -> Callable[[ThreadGroup], Any]:
        def work(group: ThreadGroup) -> Any:
            learner = assembly.rank_learner(assembly.make_task(config), config, "cpu")
            learner._updater.join(group)  # type: ignore[attr-defined]
            told = learner._updater.step(  # type: ignore[attr-defined]
                batch(part(group.rank)), Weights(0.2, 0.0, 0.01, 0.5), learning_rate=0.1, max_grad_norm=9.0, max_kl=0.0
            )
            return told, learner.state_dict()["optimizer"]["m"].clone()  # type: ignore[index]

        return work

    inputs = assembly.make_task(config).spec.obs_shape
    rng_x = rng.standard_normal((rows, int(np.prod(inputs)))).astype(np.float32)
    actions, gains = rng.integers(0, 9, rows), rng.standard_normal(rows).astype(np.float32)
    (alone, moved_alone), *_ = on_ranks(1, stepped(lambda rank: slice(None)))
    both = on_ranks(2, stepped(lambda rank: slice(rank * 16, rank * 16 + 16)))
    for told, moved in both:
        np.testing.assert_allclose(told.losses, alone.losses, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(moved, moved_alone, rtol=1e-4, atol=1e-7)


def test_statistics_are_those_of_all_ranks_rows() -> None:
    rows = np.random.default_rng(3).standard_normal((60, 4)) * 3 + 1

    def work(group: ThreadGroup) -> Moments:
        moments = Moments(4)
        moments.group = group
        for part in (rows[:30], rows[30:]):
            moments.update(part[:7] if group.rank else part[7:])
        return moments

    whole = Moments(4)
    whole.update(rows)
    one, two = on_ranks(2, work)
    np.testing.assert_allclose(one.variance, whole.variance)
    assert np.array_equal(one.mean, two.mean)
    assert np.array_equal(one.variance, two.variance)
    assert one.count == whole.count


def test_a_rank_without_rows_takes_in_the_others() -> None:
    def work(group: ThreadGroup) -> Moments:
        moments = Moments(2)
        moments.group = group
        moments.update(np.ones((group.rank * 5, 2)))
        return moments

    assert [each.count for each in on_ranks(2, work)] == [5.0, 5.0]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_setting_and_a_difficulty_reach_every_rank(algorithm: str) -> None:
    with Ranks(config_of(algorithm), 2) as run:
        run.leader.set("learning_rate", 0.5)
        run.task.set_difficulty(Difficulty(level=2))
        run.update()
        assert [each._settings.learning_rate for each in run.learners] == [0.5, 0.5]
        levels = [each._collector._task.state_dict()["level"] for each in run.learners]
        assert levels == [2, 2]


# --- saving and resuming ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_resume_on_as_many_ranks_is_exact(algorithm: str) -> None:
    config = config_of(algorithm)
    with Ranks(config, 2) as run:
        run.update(3)
        run.leader.collect(0.0)  # in the middle of a rollout
        saved = run.state()
        run.update(3)
        wanted = state_sha256(run.state())
    with Ranks(config, 2) as again:
        ranks.restore(again.leader, again.task, saved)
        again.update(3)
        assert state_sha256(again.state()) == wanted


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 3)])
def test_another_number_of_ranks_goes_on_with_what_was_learned(algorithm: str, before: int, after: int) -> None:
    config = config_of(algorithm)
    saved = saved_by(config, before)
    with Ranks(config, after) as run:
        if after == 1:
            ranks.restore(run.learners[0], run.task, saved)
        else:
            ranks.restore(run.leader, run.task, saved)
        assert {bytes(each) for each in run.parameters} == {bytes(saved["learner"]["parameters"].numpy())}
        assert sum(each._collector.steps for each in run.learners) == 3 * 96 if algorithm == "ppo" else 3 * 72
        if algorithm == "dqn":
            kept = [saved["learner"], *(each["learner"] for each in saved["learner"].get("ranks", ()))]
            assert sum(each._replay.size for each in run.learners) == sum(each["replay"]["total"] for each in kept)
        run.update(2)
        assert len(set(run.parameters)) == 1


def saved_by(config: Config, size: int) -> dict[str, Any]:
    """The state after three updates on so many ranks."""
    if size > 1:
        with Ranks(config, size) as run:
            run.update(3)
            return run.state()
    task = assembly.make_task(config)
    learner = assembly.make_learner(task, config, "cpu")
    for _ in range(3):
        learner.collect(10.0)
        learner.learn()
    return {"learner": frozen_copy(learner.state_dict()), "task": frozen_copy(task.state_dict())}


def test_what_a_rank_kept_for_replay_is_sent_once() -> None:
    with Ranks(config_of("dqn", dqn={"buffer_size": 2000}), 2) as run:
        run.update(6)
        first = run.leader.state_dict()["ranks"][0]["learner"]["replay"]["segments"]  # type: ignore[index]
        run.update(3)
        second = run.leader.state_dict()["ranks"][0]["learner"]["replay"]["segments"]  # type: ignore[index]
        assert len(first) > 0
        assert all(isinstance(each, Segment) for each in second)
        assert [id(each) for each in second[: len(first)]] == [id(each) for each in first]
        assert len(second) > len(first)


def test_what_is_equal_everywhere_is_saved_once() -> None:
    with Ranks(config_of("ppo"), 2) as run:
        run.update(2)
        state: Mapping[str, Any] = run.leader.state_dict()
    assert {"parameters", "optimizer"} <= state.keys()
    (other,) = state["ranks"]
    assert not {"parameters", "optimizer", "moments"} & other["learner"].keys()
    assert "snapshots" not in other["learner"]["pool"]
    assert "generator" in other["learner"]["pool"]


KEYS = st.sampled_from(["a", "b", "c"])
NESTS = st.dictionaries(KEYS, st.integers() | st.dictionaries(KEYS, st.integers(), max_size=3), max_size=3)


@given(NESTS, st.lists(st.sampled_from(["a", "b", "a.b", "b.c", "c.a"]), max_size=3))
def test_what_is_shared_and_what_is_a_ranks_own_make_the_whole(state: dict[str, Any], keys: list[str]) -> None:
    assert ranks.joined(ranks.only(state, keys), ranks.without(state, keys)) == state


# --- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_number_that_is_not_finite_on_one_rank_stops_the_step_on_all(algorithm: str) -> None:
    with Ranks(config_of(algorithm), 2) as run:
        run.update(2)
        before = run.parameters
        while not run.leader.collect(10.0).complete:
            pass
        run.learners[1]._rollout.reward[...] = np.nan
        with pytest.raises(Diverged, match="rank 1"):
            run.leader.learn()
        assert run.parameters == before
        run.learners[1]._rollout.reward[...] = 0
        run.leader.learn()  # both can go on
        assert len(set(run.parameters)) == 1


def test_a_task_that_breaks_on_another_rank_is_rank_zeros_to_tell() -> None:
    with Ranks(config_of("ppo"), 2) as run:
        task = run.learners[1]._collector._task
        task.step = lambda action: (_ for _ in ()).throw(TaskFailed("the board is gone"))
        with pytest.raises(TaskFailed, match="rank 1: TaskFailed: the board is gone"):
            run.leader.collect(10.0)
        del task.step
        assert run.leader.collect(10.0).complete


def test_how_the_ranks_fare_is_told_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "LOADS_S", 0.0)
    with Ranks(config_of("ppo"), 2) as run:
        run.update(2)
        loads = run.loads[-1]
    assert [load.rank for load in loads] == [0, 1]
    assert all(load.sps > 0 and load.memory_gib > 0 and 0 < load.work <= 1 for load in loads)


def test_a_merged_slice_is_complete_when_all_are() -> None:
    parts = [
        CollectReport(steps=4, episodes=1, complete=True, metrics={"rollout/ep_rew_mean": 1.0}),
        CollectReport(steps=6, episodes=2, complete=False, failure="it fell", failed_episodes=1),
    ]
    merged = ranks.merged_collect(parts)
    assert (merged.steps, merged.episodes, merged.complete, merged.failed_episodes) == (10, 3, False, 1)
    assert merged.metrics == {"rollout/ep_rew_mean": 1.0}
    assert merged.failure == "rank 1: it fell"

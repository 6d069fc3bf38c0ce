"""PettingZoo's environments as tasks: games of turns, agents at once, masks, names, state."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pettingzoo")

from gymnasium.spaces import Box, Dict

from tests.tasks import toy_climbers
from tui_trainer import tasks
from tui_trainer.algorithms import build
from tui_trainer.core.config import assignments_layer, resolve
from tui_trainer.core.protocols import Arbiter, Task
from tui_trainer.errors import DamagedSession, MissingExtra, UsageError
from tui_trainer.tasks.check import run_rule
from tui_trainer.tasks.checks.kit import Kit
from tui_trainer.tasks.playing import RandomPlayer, digest, play
from tui_trainer.tasks.spaces import Views
from tui_trainer.tasks.zoo.pictures import picture

NIM, CLIMBERS = "pettingzoo:tests.tasks.toy_nim", "pettingzoo:tests.tasks.toy_climbers"
needs_pygame = pytest.mark.skipif(importlib.util.find_spec("pygame") is None, reason="its boards need pygame")


def nim(num_envs: int = 2, **options: Any) -> Task:
    return tasks.make(NIM, {"opening_plies": 0, **options}, num_envs)


def test_what_the_mover_of_a_game_was_told_in_info_is_told_of_the_step_that_ends_it_too() -> None:
    task = nim(2, kwargs={"least": 4, "most": 4})
    task.reset(1)
    first, last = task.step(np.array([0, 2])), task.step(np.array([2, 0]))
    assert first.info is not None
    assert last.info is not None
    assert set(first.info) == {"taken", "is_last"}
    assert [step.info["taken"].tolist() for step in (first, last)] == [[1, 3], [3, 1]]
    assert last.terminated.all()
    assert last.info["is_last"].tolist() == [1, 1]


def test_every_agents_own_numbers_of_info_are_told_and_none_of_one_that_is_gone() -> None:
    task = tasks.make(CLIMBERS, {"kwargs": {"top": 2}}, 3)
    task.reset(1)
    steps = [task.step(np.array(actions)) for actions in ([1, 0, 1], [1, 0, 0], [1, 0, 0])]
    told = [step.info["height"] for step in steps if step.info is not None]
    assert [one.tolist() for one in told[:2]] == [[1, 0, 1], [2, 0, 1]]
    assert np.isnan(told[2][0])
    assert told[2][1:].tolist() == [0, 1]


def test_who_takes_the_last_match_wins_and_the_game_starts_anew() -> None:
    task = nim(2, kwargs={"least": 4, "most": 4})
    task.reset(1)
    step = task.step(np.array([0, 2]))
    assert step.to_move.tolist() == [1, 1]
    assert step.mask is not None
    assert step.mask.tolist() == [[True] * 3, [True, False, False]]
    step = task.step(np.array([2, 0]))
    assert step.reward.tolist() == [1, 1]
    assert step.terminated.all()
    assert step.outcome.tolist() == [2, 2]
    assert step.obs.sum(axis=1).tolist() == [4, 4]
    assert step.final_obs.sum() == 0


def test_an_illegal_action_is_refused_before_the_environment_sees_it() -> None:
    task = nim(1, kwargs={"least": 2, "most": 2})
    task.reset(1)
    with pytest.raises(UsageError, match="action 2 is illegal in environment 0"):
        task.step(np.array([2]))


def test_a_mask_and_whole_numbers_0_and_1_are_recognised() -> None:
    spec = nim().spec
    assert (spec.masked, spec.obs_dtype, spec.obs_binary, spec.players) == (True, "uint8", True, 2)


def test_some_games_start_from_random_plies() -> None:
    task = tasks.make(NIM, {"opening_plies": 4, "kwargs": {"least": 12, "most": 12}}, 200)
    left = task.reset(1).obs.sum(axis=1)
    assert (left == 12).any()
    assert (left < 12).any()
    assert left.min() > 0


def test_perfect_play_wins_every_game_that_can_be_won() -> None:
    class Perfect:
        def act(self, obs: Any, mask: Any) -> Any:
            return (obs.sum(axis=1).astype(np.int64) % 4 - 1) % 4 % 3

        def probabilities(self, obs: Any, mask: Any) -> Any:
            return np.eye(3, dtype=np.float32)[self.act(obs, mask)]

        def value(self, obs: Any) -> Any:
            return np.zeros(len(obs), np.float32)

    task = nim(1)
    result = task.evaluate(Perfect(), part="random", episodes=200, seed=3)
    assert (result.win_rate or 0) > 0.75
    assert isinstance(task, Arbiter)
    score = task.match("random", Perfect(), games=200, seed=4)
    assert score.losses > 150


def test_agents_are_rows_and_one_that_is_gone_is_not_valid_until_all_begin_anew() -> None:
    task = tasks.make(CLIMBERS, {}, 3)
    task.reset(1)
    for _ in range(5):
        step = task.step(np.array([1, 0, 0]))
    assert step.terminated.tolist() == [True, False, False]
    assert step.final_obs[0, 0] == 1
    step = task.step(np.array([1, 1, 1]))
    assert step.valid.tolist() == [False, True, True]
    for _ in range(6):
        step = task.step(np.array([0, 0, 0]))
    assert step.truncated.tolist() == [False, True, True]
    assert step.obs[:, 0].tolist() == [0, 0, 0]
    assert task.step(np.array([0, 0, 0])).valid.all()


def test_an_agent_without_a_legal_action_is_reported_and_one_that_is_gone_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def seen(self: Any) -> Any:
        masks = {a: np.array([1, self.age != 3], np.int8) * (self.age != 3) for a in self.agents}
        box = {a: np.array([self.height[a] / self.top, 0], np.float32) for a in self.agents}
        return {a: {"observation": box[a], "action_mask": masks[a]} for a in self.agents}

    spaces = Dict({"observation": Box(-1, 1, (2,), np.float32), "action_mask": Box(0, 1, (2,), np.int8)})
    monkeypatch.setattr(toy_climbers.parallel_env, "_seen", seen)
    monkeypatch.setattr(toy_climbers.parallel_env, "observation_space", lambda self, agent: spaces)
    found = run_rule("masks leave a legal action", Kit(lambda n: tasks.make(CLIMBERS, {}, n)))
    assert not found.ok
    assert found.detail == "the mask of environment [0] has no legal action at step 2"
    monkeypatch.setattr(toy_climbers.parallel_env, "_seen", lambda self: seen(_Never(self)))
    assert run_rule("masks leave a legal action", Kit(lambda n: tasks.make(CLIMBERS, {}, n))).ok


class _Never:
    """A climber's environment to which it is never three steps late."""

    def __init__(self, env: Any) -> None:
        self.env, self.age = env, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)


def test_rows_need_not_be_a_multiple_of_the_agents() -> None:
    for count in (1, 4, 7):
        task = tasks.make(CLIMBERS, {}, count)
        start = task.reset(1)
        steps = list(play(task, RandomPlayer(task.spec, 1), start.obs, start.mask, 40))
        assert sum(int(step.terminated.sum()) for step in steps) > 0


def test_a_limit_ends_the_episodes_of_all_agents_at_once() -> None:
    task = tasks.make(CLIMBERS, {}, 3, 4)
    task.reset(1)
    for _ in range(4):
        step = task.step(np.array([0, 0, 1]))
    assert step.truncated.all()
    assert step.final_obs[2, 0] == np.float32(0.8)
    assert step.obs[2, 0] == 0


@pytest.mark.parametrize("task_id", [NIM, CLIMBERS])
def test_state_plays_the_episodes_again(task_id: str) -> None:
    task, twin = tasks.make(task_id, {}, 6), tasks.make(task_id, {}, 6)
    start = task.reset(3)
    *_, last = play(task, RandomPlayer(task.spec, 1), start.obs, start.mask, 33)
    twin.load_state_dict(task.state_dict())
    for one in (task, twin):
        list(play(one, RandomPlayer(one.spec, 2), last.obs, last.mask, 30))
    assert digest(twin.state_dict()) == digest(task.state_dict())
    for key in task.state_dict():
        with pytest.raises(DamagedSession):
            twin.load_state_dict({k: v for k, v in task.state_dict().items() if k != key})


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("conect_four_v3", UsageError, "did you mean pettingzoo:connect_four_v3"),
        ("tests.tasks.toys", UsageError, "no environment"),
        ("tests.tasks.own_task_without_its_import", MissingExtra, "a_module_that_is_not_there"),
    ],
)
def test_a_wrong_name_is_refused_with_the_next_step(name: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        tasks.check_id(f"pettingzoo:{name}")


def test_a_particle_environment_without_its_package_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpe2", None)
    with pytest.raises(MissingExtra, match="needs the module mpe2"):
        tasks.check_id("pettingzoo:simple_spread_v3")


def test_a_game_of_the_arcade_that_is_not_there_says_where_to_get_it(tmp_path: Path) -> None:
    pytest.importorskip("multi_agent_ale_py")
    with pytest.raises(MissingExtra, match=r"rom pong is not installed; install ale-py"):
        tasks.make("pettingzoo:pong_v3", {"kwargs": {"auto_rom_install_path": str(tmp_path)}}, 1)


def test_whether_an_observation_is_binary_is_a_plain_word() -> None:
    """A spec is written to a session: numpy's own truth would not go."""
    assert [Views(Box(0, high, (2,), np.uint8)).binary for high in (1, 255)] == [True, False]
    assert all(type(Views(Box(0, high, (2,), np.uint8)).binary) is bool for high in (1, 255))


def test_an_image_is_drawn_in_shades_and_numbers_with_bars() -> None:
    assert "@" in picture(np.eye(32, dtype=np.uint8)[None] * 200)
    assert picture(np.array([0.5, -0.5], np.float32)).count("o") == 2


def test_wrong_arguments_of_the_environment_are_refused() -> None:
    with pytest.raises(UsageError, match=r"task\.kwargs"):
        tasks.make(NIM, {"kwargs": {"matches": 3}}, 1)


def test_planes_that_come_last_are_turned_to_come_first() -> None:
    views = Views(Box(0, 1, (6, 7, 2), np.int8))
    assert views.shape == (2, 6, 7)
    board = np.zeros((6, 7, 2), np.int8)
    board[5, 3, 1] = 1
    assert np.argwhere(views.array(board)).tolist() == [[1, 5, 3]]


def test_self_play_learns_nim() -> None:
    config = resolve(
        [assignments_layer(["ppo.num_envs=32", "ppo.n_steps=16", "ppo.batch_size=256", "ppo.gamma=1.0",
                            "ppo.learning_rate=3e-3", "ppo.pool_size=0", "run.task=" + NIM])]
    ).config  # fmt: skip
    task = tasks.make(NIM, {}, 32)
    learner = build("ppo", task, config, "cpu")
    before = task.evaluate(learner.policy(), part="random", episodes=200, seed=5).win_rate or 0
    for _ in range(40):
        while not learner.collect(1e9).complete:
            pass
        learner.learn()
    after = task.evaluate(learner.policy(), part="random", episodes=200, seed=5).win_rate or 0
    assert before < 0.65
    assert after > 0.75


@needs_pygame
def test_connect_four_of_pettingzoo_is_ours() -> None:
    """The same columns in both give the same stones and masks."""
    theirs = tasks.make("pettingzoo:connect_four_v3", {"opening_plies": 0}, 2)
    ours = tasks.make("connect_four", {"opening_plies": 0, "opponent_share": 0.0}, 2)
    theirs.reset(1)
    start = ours.reset(1)
    player, obs, mask = RandomPlayer(ours.spec, 3), start.obs, start.mask
    for _ in range(120):
        action = player.act(obs, mask)
        a, b = ours.step(action), theirs.step(action)
        assert np.array_equal(a.obs, b.obs[:, :, ::-1])
        assert np.array_equal(a.mask, b.mask)  # type: ignore[arg-type]
        for name in ("reward", "terminated", "truncated", "to_move", "outcome"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), name
        obs, mask = a.obs, a.mask

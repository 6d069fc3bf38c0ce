"""Gymnasium environments under the Task contract, compared with Gymnasium itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

from tui_trainer import tasks  # noqa: E402
from tui_trainer.algorithms import build  # noqa: E402
from tui_trainer.algorithms.told import Told  # noqa: E402
from tui_trainer.core.config import assignments_layer, resolve  # noqa: E402
from tui_trainer.core.protocols import Step, Task  # noqa: E402
from tui_trainer.core.values import Difficulty  # noqa: E402
from tui_trainer.errors import UsageError  # noqa: E402
from tui_trainer.tasks.arrays import Array  # noqa: E402
from tui_trainer.tasks.check import check_task, run_rule  # noqa: E402
from tui_trainer.tasks.checks.kit import Kit  # noqa: E402
from tui_trainer.tasks.gym_pictures import picture  # noqa: E402
from tui_trainer.tasks.playing import LinearPlayer, RandomPlayer, play  # noqa: E402
from tui_trainer.tasks.spaces import actions_of  # noqa: E402

MODES: dict[str, dict[str, object]] = {
    "batched form": {},
    "same step": {"vectorization": "sync", "autoreset": "same_step"},
    "next step": {"vectorization": "sync", "autoreset": "next_step"},
    "disabled": {"vectorization": "sync", "autoreset": "disabled"},
}
modes = pytest.mark.parametrize("options", MODES.values(), ids=MODES.keys())


def toy(name: str, num_envs: int = 2, limit: int = 0, **options: object) -> Task:
    return tasks.make(f"gym:tests.tasks.toy_envs:{name}-v0", options, num_envs, limit)


def inner(task: Any) -> list[Any]:
    """The toy environments themselves."""
    return [env.unwrapped for env in task._env.envs]


@modes
def test_every_transition_is_one_that_gymnasium_would_make(options: dict[str, object]) -> None:
    """Each valid row, replayed in a plain CartPole at the same place, gives the same reward, end and picture."""
    task = tasks.make("gym:CartPole-v1", options, 8, 30)
    start = task.reset(3)
    player = RandomPlayer(task.spec, 1)
    plain: Any = gymnasium.make("CartPole-v1").unwrapped
    plain.reset()
    obs, ages, ends = start.obs, np.zeros(8, int), 0
    for _ in range(120):
        action = player.act(obs, None)
        step = task.step(action)
        for row in np.flatnonzero(step.valid):
            plain.state = obs[row].astype(np.float64)
            after, reward, terminated, _, _ = plain.step(int(action[row]))
            plain.steps_beyond_terminated = None
            ages[row] += 1
            assert step.reward[row] == reward
            assert step.terminated[row] == terminated
            assert step.truncated[row] == (ages[row] == 30 and not terminated)
            np.testing.assert_allclose(step.final_obs[row], after, atol=1e-5)
        ended = step.terminated | step.truncated
        ages[ended] = 0
        ends += int(ended.sum())
        obs = step.obs
    assert ends > 20


@modes
def test_an_action_that_the_environment_does_not_have_is_refused(options: dict[str, object]) -> None:
    task = tasks.make("gym:CartPole-v1", options, 2)
    task.reset(1)
    with pytest.raises(IndexError):
        task.step(np.array([0, 2]))


@modes
def test_a_row_that_only_reset_is_not_valid_and_begins_a_new_episode(options: dict[str, object]) -> None:
    task = tasks.make("gym:CartPole-v1", options, 4)
    start = task.reset(3)
    before: Step | None = None
    for step in play(task, RandomPlayer(task.spec, 1), start.obs, None, 200):
        if before is not None:
            ended = before.terminated | before.truncated
            first = np.where(step.valid[:, None], before.obs, step.obs)[ended]
            assert (np.abs(first) <= 0.05).all(), "the decision after an end stands at a reset observation"
            assert step.valid[~ended].all()
        before = step


def test_next_step_resets_cost_one_row_that_is_not_valid_and_same_step_none() -> None:
    counts = {}
    for mode in ("next_step", "same_step"):
        task = toy("Counter", autoreset=mode, kwargs={"length": 4})
        start = task.reset(1)
        counts[mode] = sum(int((~s.valid).sum()) for s in play(task, RandomPlayer(task.spec, 1), start.obs, None, 20))
    assert counts == {"next_step": 8, "same_step": 0}


def test_time_limits_truncate_and_a_true_end_at_the_limit_is_an_end() -> None:
    task = toy("Counter", limit=10, kwargs={"length": 10})
    start = task.reset(1)
    *_, last = play(task, RandomPlayer(task.spec, 1), start.obs, None, 10)
    assert last.terminated.all()
    assert not last.truncated.any()
    task = toy("Counter", limit=7, kwargs={"length": 10})
    start = task.reset(1)
    *_, last = play(task, RandomPlayer(task.spec, 1), start.obs, None, 7)
    assert last.truncated.all()
    assert last.final_obs.tolist() == [[7], [7]]


def test_discrete_actions_may_start_elsewhere_than_at_zero() -> None:
    task = toy("Counter")
    task.reset(1)
    task.step(np.array([0, 1]))
    assert [env.actions for env in inner(task)] == [[1], [2]]


def test_multi_discrete_actions_are_one_number() -> None:
    task = toy("Joint")
    assert (task.spec.action, task.spec.n) == ("discrete", 6)
    task.reset(1)
    task.step(np.array([1, 5]))
    assert [env.actions for env in inner(task)] == [[[0, 1]], [[1, 2]]]


def test_every_joint_action_belongs_to_the_space_and_no_other_number_is_one() -> None:
    space = gymnasium.spaces.MultiDiscrete(
        np.array([[2, 3], [1, 4]]), start=np.array([[0, 5], [2, -1]]), dtype=np.int32
    )
    actions = actions_of(space, "toy")
    chosen = actions.to_env(np.arange(actions.n))
    assert actions.n == 24
    assert all(space.contains(one) for one in chosen)
    assert len({one.tobytes() for one in chosen}) == 24
    for wrong in (24, -1):
        with pytest.raises(UsageError, match="there are 24 joint actions"):
            actions.to_env(np.array([0, wrong]))


@pytest.mark.parametrize(
    ("given", "legal"),
    [
        (np.array([1, 0, 1, 1, 0], np.int8), [True, True, False, False, False, False]),
        ((np.array([1, 0], np.int8), np.array([1, 1, 0], np.int8)), [True, True, False, False, False, False]),
        (np.array([0, 1, 0, 0, 0, 1], np.int8), [False, True, False, False, False, True]),
    ],
    ids=["by part", "a tuple of parts", "by action"],
)
def test_a_mask_of_a_multi_discrete_action_is_told_by_part_or_by_action(given: Any, legal: list[bool]) -> None:
    actions = actions_of(gymnasium.spaces.MultiDiscrete([2, 3]), "toy")
    assert actions.mask(given).tolist() == legal
    with pytest.raises(ValueError, match="an action mask has 4 entries, not 5 or 6"):
        actions.mask(np.ones(4))


sync_modes = pytest.mark.parametrize("mode", ["same_step", "next_step", "disabled"])


@sync_modes
@pytest.mark.parametrize("name", ["Armed", "Shown"])
def test_masks_of_an_environment_are_those_of_its_next_decision(name: str, mode: str) -> None:
    task = toy(name, 3, autoreset=mode)
    assert task.spec.masked
    assert task.spec.obs_shape == (1,)
    last: Any = task.reset(1)
    player = RandomPlayer(task.spec, 1)
    odd = 0
    for _ in range(40):
        assert last.mask is not None
        ended = np.zeros(3, bool) if not isinstance(last, Step) else last.terminated | last.truncated
        for row in range(3):
            count = int(last.obs[row, 0])
            expected = (1 if count % 2 else 2) if name == "Shown" else (4 if count % 2 else 6)
            odd += count % 2
            if not (mode == "next_step" and ended[row]):
                assert last.mask[row].sum() == expected, (row, count)
        last = task.step(player.act(last.obs, last.mask))
    assert odd > 20


def test_a_masked_action_is_refused_before_the_environment_sees_it() -> None:
    task = toy("Shown", 2)
    task.reset(1)
    task.step(np.array([0, 1]))
    with pytest.raises(UsageError, match="action 0 is illegal in environment 1"):
        task.step(np.array([1, 0]))
    free = toy("Shown", 2, masks=False)
    assert not free.spec.masked
    assert free.reset(1).mask is None


@pytest.mark.parametrize("name", ["Armed", "Shown"])
def test_a_masked_environment_keeps_the_rules_of_the_kit(name: str) -> None:
    assert [f for f in check_task(f"gym:tests.tasks.toy_envs:{name}-v0") if not f.ok] == []


def test_a_state_keeps_the_mask() -> None:
    task, twin = toy("Shown", 2), toy("Shown", 2)
    task.reset(1)
    task.step(np.array([0, 0]))
    twin.load_state_dict(task.state_dict())
    with pytest.raises(UsageError, match="is illegal"):
        twin.step(np.array([0, 1]))


def test_box_actions_are_clipped_to_the_bounds_that_the_spec_names() -> None:
    task = tasks.make("gym:Pendulum-v1", {}, 3)
    assert (task.spec.action, task.spec.n, task.spec.action_low, task.spec.action_high) == ("box", 1, -2, 2)
    results = []
    for torque in (2.0, 50.0):
        task.reset(4)
        results.append(task.step(np.full((3, 1), torque, np.float32)))
    assert np.array_equal(results[0].obs, results[1].obs)
    assert np.array_equal(results[0].reward, results[1].reward)


def test_uneven_box_bounds_are_scaled_to_minus_one_and_one() -> None:
    task = toy("UnevenBox", 3)
    assert (task.spec.action_low, task.spec.action_high) == (-1, 1)
    task.reset(1)
    task.step(np.array([[-1, -1], [0, 0], [9, 1]], np.float32))
    assert [env.actions[0] for env in inner(task)] == [[0, -10], [0.5, 10], [1, 30]]


def test_actions_that_no_learner_here_can_choose_are_refused() -> None:
    with pytest.raises(UsageError, match="actions of Dict are not supported"):
        toy("DictAction")


def test_discrete_observations_become_one_hot() -> None:
    task = tasks.make("gym:FrozenLake-v1", {}, 2)
    assert task.spec.obs_shape == (16,)
    assert task.reset(1).obs.sum(axis=1).tolist() == [1, 1]


def test_arguments_of_the_environment_go_through_and_wrong_ones_are_refused() -> None:
    task = toy("Counter", kwargs={"length": 3})
    start = task.reset(1)
    *_, last = play(task, RandomPlayer(task.spec, 1), start.obs, None, 3)
    assert last.terminated.all()
    with pytest.raises(UsageError, match=r"task\.kwargs"):
        toy("Counter", kwargs={"lenght": 3})


def test_a_batched_form_that_is_not_there_cannot_be_asked_for() -> None:
    with pytest.raises(UsageError, match="has no batched form"):
        tasks.make("gym:Acrobot-v1", {"vectorization": "vector"}, 2)


def test_an_environment_whose_state_cannot_be_copied_says_so_and_starts_afresh() -> None:
    task, twin = toy("HoldsAnObject"), toy("HoldsAnObject")
    assert task.spec.resume == "episode"
    start = task.reset(1)
    *_, last = play(task, RandomPlayer(task.spec, 1), start.obs, None, 5)
    twin.load_state_dict(task.state_dict())
    step = twin.step(RandomPlayer(twin.spec, 1).act(last.obs, None))
    assert not step.valid.any()
    assert step.obs.tolist() == [[0], [0]]
    assert twin.step(np.array([0, 0])).obs.tolist() == [[1], [1]]


@pytest.mark.parametrize("name", ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Pendulum-v1"])
def test_classic_control_resumes_exactly(name: str) -> None:
    assert tasks.spec_of(f"gym:{name}").resume == "exact"


def test_difficulty_is_handed_over_at_the_next_reset_where_the_environment_has_one() -> None:
    task = toy("Hard")
    space = task.difficulty_space()
    assert space is not None
    assert space.ranged
    start = task.reset(1)
    lengths = [env.length for env in inner(task)]
    task.set_difficulty(Difficulty(low=0.5))
    assert [env.length for env in inner(task)] == lengths, "not before the next reset"
    for _ in play(task, RandomPlayer(task.spec, 1), start.obs, None, 16):
        pass
    assert [env.length for env in inner(task)] == [10, 10]


def test_the_reference_evaluation_stands_at_the_hardest_whatever_training_plays() -> None:
    task = toy("Hard")
    for low in (0.9, 0.3):
        task.set_difficulty(Difficulty(low=low))
        assert task.evaluate(RandomPlayer(task.spec, 1), part="all", episodes=3, seed=1).mean == 6


def test_an_environment_without_difficulty_refuses_one() -> None:
    task = tasks.make("gym:CartPole-v1", {}, 2)
    assert task.difficulty_space() is None
    with pytest.raises(UsageError, match="has no difficulty"):
        task.set_difficulty(Difficulty(level=1))


class Balance:
    """Pushes towards where the pole falls."""

    def act(self, obs: Array, mask: Array | None) -> Array:
        return (obs[:, 2] + obs[:, 3] > 0).astype(np.int64)

    def probabilities(self, obs: Array, mask: Array | None) -> Array:
        return np.eye(2, dtype=np.float32)[self.act(obs, mask)]

    def value(self, obs: Array) -> Array:
        return np.zeros(len(obs), np.float32)


@modes
def test_an_evaluation_plays_whole_episodes_and_reports_their_returns(options: dict[str, object]) -> None:
    task = tasks.make("gym:CartPole-v1", options, 4)
    result = task.evaluate(Balance(), part="all", episodes=20, seed=5)
    assert result.episodes == 20
    assert 400 < result.mean <= 500
    assert result.ci is not None
    assert result.ci[0] < result.mean < result.ci[1]
    assert result.win_rate is None
    assert task.evaluate(LinearPlayer(task.spec, 1), part="all", episodes=20, seed=5).mean < 150


def test_an_evaluation_of_more_episodes_than_stand_side_by_side_goes_in_waves() -> None:
    task = toy("Counter", kwargs={"length": 3})
    result = task.evaluate(RandomPlayer(task.spec, 1), part="all", episodes=70, seed=5)
    assert (result.episodes, result.mean, result.std) == (70, 3, 0)


def test_the_threshold_that_counts_as_solved_is_a_baseline() -> None:
    assert tasks.make("gym:CartPole-v1", {}, 1).baselines() == {"solved": 475}
    assert tasks.make("gym:Pendulum-v1", {}, 1).baselines() == {}


def test_a_leaning_pole_is_drawn_over_its_cart() -> None:
    lines = picture("CartPole-v1", np.array([0, 0, 0.2, 0], np.float32)).splitlines()
    assert [len(line) - 1 for line in lines] == [24, 23, 22, 21, 20, 40]
    assert [line.strip() for line in lines[:5]] == ["/", "/", "/", "/", "#"]
    assert picture("CartPole-v1", np.array([-9, 0, 0, 0], np.float32)).splitlines()[4] == "#", "kept on the track"


def test_a_car_is_drawn_in_its_valley() -> None:
    lines = picture("MountainCar-v0", np.array([-0.52, 0], np.float32)).splitlines()
    assert "o" in lines[-1]
    assert "F" in lines[0]


def test_a_lander_stands_between_its_flags_and_a_leaning_one_flies() -> None:
    down = picture("LunarLander-v3", np.array([0, 0, 0, 0, 0, 0, 1, 1], np.float32)).splitlines()
    assert len(down) == 12
    assert down[-2].strip() == "|A|"
    assert down[-1].index("F") < down[-2].index("A") < down[-1].rindex("F")
    high = picture("LunarLander-v3", np.array([-5, 9, 0, 0, 0.5, 0, 0, 0], np.float32)).splitlines()
    assert high[0] == "/<\\", "kept in the picture"


def test_acrobot_hangs_and_rises_above_its_line() -> None:
    hanging = picture("Acrobot-v1", np.array([1, 0, 1, 0, 0, 0], np.float32)).splitlines()
    line = next(number for number, row in enumerate(hanging) if "----" in row)
    assert "*" in hanging[-1]
    raised = picture("Acrobot-v1", np.array([-1, 0, 1, 0, 0, 0], np.float32)).splitlines()
    assert "*" in raised[0]
    assert line > 0


def test_an_image_is_drawn_in_shades_and_a_small_thing_in_it_is_seen() -> None:
    frames = np.full((4, 84, 84), 90, np.uint8)
    frames[3, 40:42, 60:62] = 255
    frames[0, 10:20, 10:20] = 255
    lines = picture("ALE/Pong-v5", frames).splitlines()
    assert 10 <= len(lines) <= 24
    assert max(len(line) for line in lines) <= 42
    (row,) = (number for number, line in enumerate(lines) if "@" in line)
    assert abs(row / len(lines) - 40 / 84) < 0.1
    assert lines[row].strip() == "@"
    colours = np.zeros((3, 96, 96), np.uint8)
    colours[1, 48:] = 200
    assert picture("CarRacing-v3", colours).splitlines()[-1].strip("@") == ""


def test_an_image_of_one_shade_is_blank() -> None:
    assert picture("ALE/Pong-v5", np.full((4, 84, 84), 7, np.uint8)).strip() == ""


def test_other_observations_are_numbers_with_bars_even_where_they_are_not_finite() -> None:
    assert picture("HalfCheetah-v5", np.array([0, np.nan])).splitlines() == [
        "   +0.000 ----------o----------",
        "     +nan o--------------------",
    ]


class Still:
    """Always the first action."""

    def act(self, obs: Array, mask: Array | None) -> Array:
        return np.zeros(len(obs), np.int64)

    def probabilities(self, obs: Array, mask: Array | None) -> Array:
        return np.eye(4, dtype=np.float32)[self.act(obs, mask)]

    def value(self, obs: Array) -> Array:
        return np.zeros(len(obs), np.float32)


def test_an_evaluation_ends_even_where_an_episode_would_never() -> None:
    assert gymnasium.spec("CliffWalking-v1").max_episode_steps is None
    task = tasks.make("gym:CliffWalking-v1", {}, 1)
    assert task.evaluate(Still(), part="all", episodes=2, seed=1).mean == -2000


def test_an_image_comes_with_its_planes_first() -> None:
    task = toy("Image")
    assert (task.spec.obs_shape, task.spec.obs_dtype, task.spec.obs_binary) == ((3, 48, 40), "uint8", False)
    obs = task.reset(1).obs
    assert obs.dtype == np.uint8
    assert (obs[:, 0] == obs[:, 2]).all()


def test_an_image_is_learned_through_a_small_network() -> None:
    settings = ["ppo.network=conv", "ppo.hidden=[32]", "ppo.shared=true", "ppo.num_envs=16", "ppo.n_steps=16",
                "ppo.batch_size=128", "ppo.learning_rate=2e-3", "ppo.n_epochs=3"]  # fmt: skip
    config = resolve([assignments_layer(settings)]).config
    task = toy("Image", 16)
    learner = build("ppo", task, config, "cpu")
    assert learner.parameters_count < 300_000
    for _ in range(15):
        while not learner.collect(1e9).complete:
            pass
        learner.learn()
    assert task.evaluate(learner.policy(), part="all", episodes=16, seed=3).mean > 9


# --- environments with libraries of their own ------------------------------------------------------------------------

ABSENT = {
    "Box2D": ("gym:LunarLander-v3", 'pip install "tui-trainer[box2d]"'),
    "mujoco": ("gym:HalfCheetah-v5", 'pip install "tui-trainer[mujoco]"'),
    "ale_py": ("gym:ALE/Pong-v5", "pip install ale-py"),
}


def test_a_library_that_is_absent_is_named_with_how_to_get_it() -> None:
    program = f"""
import sys
from tui_trainer import tasks
from tui_trainer.errors import MissingExtra
for module, (task, _) in {ABSENT!r}.items():
    sys.modules[module] = None
    try:
        tasks.make(task, {{}}, 1)
    except MissingExtra as error:
        print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    lines = said.splitlines()
    assert len(lines) == len(ABSENT)
    for line, (module, (task, how)) in zip(lines, ABSENT.items(), strict=True):
        assert line.startswith(f"{task} needs the module {module}")
        assert how in line


@pytest.mark.parametrize(
    ("library", "name", "shape", "action"),
    [
        ("Box2D", "LunarLander-v3", (8,), ("discrete", 4)),
        ("mujoco", "HalfCheetah-v5", (17,), ("box", 6)),
        ("ale_py", "ALE/Pong-v5", (4, 84, 84), ("discrete", 6)),
    ],
)
def test_an_environment_of_an_outside_library_keeps_the_contract(
    library: str, name: str, shape: tuple[int, ...], action: tuple[str, int]
) -> None:
    pytest.importorskip(library)
    task_id = f"gym:{name}"
    spec = tasks.spec_of(task_id)
    assert (spec.obs_shape, (spec.action, spec.n), spec.resume) == (shape, action, "episode")
    for step in _some_steps(task_id):
        assert np.isfinite(step.reward).all()
    assert run_rule("text is clean", Kit(lambda num_envs: tasks.make(task_id, {}, num_envs))).ok


def _some_steps(task_id: str) -> list[Step]:
    """To the end of a first short episode and some more."""
    task = tasks.make(task_id, {}, 2, 12)
    start = task.reset(3)
    steps = list(play(task, RandomPlayer(task.spec, 1), start.obs, None, 20))
    task.close()
    cut = [number for number, step in enumerate(steps, start=1) if step.truncated.any()]
    assert cut[0] == 12
    return steps


def test_mujoco_warns_once_on_stderr_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    mujoco = pytest.importorskip("mujoco")
    monkeypatch.chdir(tmp_path)
    tasks.make("gym:HalfCheetah-v5", {}, 2).close()
    mujoco.get_mju_user_warning()("something to tell")
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err.count("something to tell") == 1


def test_the_arcade_counts_a_limit_in_frames_and_a_run_in_steps() -> None:
    pytest.importorskip("ale_py")
    task = tasks.make("gym:ALE/Pong-v5", {"kwargs": {"frameskip": 2}}, 1, 7)
    start = task.reset(3)
    ends = [step.truncated[0] for step in play(task, RandomPlayer(task.spec, 1), start.obs, None, 7)]
    task.close()
    assert ends == [False] * 6 + [True]


PONG = pytest.param("ale_py", "gym:ALE/Pong-v5", marks=pytest.mark.xfail(reason="its limit loses the last picture"))


@pytest.mark.long
@pytest.mark.parametrize(
    ("library", "task_id"),
    [("Box2D", "gym:LunarLander-v3"), ("mujoco", "gym:HalfCheetah-v5"), PONG,
     ("Box2D", "pettingzoo:multiwalker_v9"), ("mpe2", "pettingzoo:simple_spread_v3")],
)  # fmt: skip
def test_an_environment_of_an_outside_library_keeps_every_rule_of_the_kit(library: str, task_id: str) -> None:
    pytest.importorskip(library)
    assert [finding for finding in check_task(task_id) if not finding.ok] == []


@pytest.mark.parametrize("options", list(MODES.values())[1:], ids=list(MODES)[1:])
def test_the_numbers_of_info_are_those_of_the_step_and_not_of_the_reset_behind_it(options: dict[str, object]) -> None:
    task = toy("Talker", 2, **options)
    task.reset(0)
    counts: list[float] = []
    for _ in range(24):
        step = task.step(np.zeros(2, np.int64))
        assert step.info is not None or not step.valid.any()
        if step.valid.all():
            assert step.info is not None
            assert set(step.info) <= {"count", "is_late", "even", "\x1b[2Jbirth"}
            count = step.info["count"]
            assert count[0] == count[1]
            counts.append(float(count[0]))
            even = step.info.get("even", np.full(2, np.nan))
            assert np.isnan(even[0]) if counts[-1] % 2 else even[0] == counts[-1] / 2
            assert bool(step.info["is_late"][0]) == (counts[-1] > 8)
    assert counts[:20] == [*range(1, 11), *range(1, 11)]


def test_what_an_environment_tells_becomes_metrics_and_changes_no_bit() -> None:
    """The mean over a rollout, under a clean name. A state between rollouts knows nothing of it."""
    words = ["ppo.num_envs=2", "ppo.n_steps=10", "ppo.batch_size=20", "ppo.n_epochs=1"]
    config = resolve([assignments_layer(words)]).config
    told = {}
    for name in ("Talker", "Counter"):
        task = toy(name, 2, vectorization="sync")
        learner = build("ppo", task, config, "cpu")
        metrics: dict[str, float | None] = {}
        for _ in range(2):
            while not (report := learner.collect(1.0)).complete:
                pass
            learner.learn()
            metrics = report.metrics
        told[name] = ({k: v for k, v in metrics.items() if k.startswith("task/")}, learner.state_dict())
    (spoken, talker), (silent, counter) = told["Talker"], told["Counter"]
    assert silent == {}
    assert spoken["task/count"] == 5.5
    assert spoken["task/is_late"] == 0.2
    assert spoken["task/even"] == 3.0
    assert all(name.isprintable() for name in spoken)
    for part in ("collector", "params"):
        if part in talker:
            assert repr(talker[part]) == repr(counter[part])


def test_an_environment_that_tells_too_much_is_cut_short() -> None:
    task = toy("Talker", 2, vectorization="sync", kwargs={"crowd": 300})
    task.reset(0)
    told = Told()
    for _ in range(3):
        step = task.step(np.zeros(2, np.int64))
        assert step.info is not None
        assert len(step.info) == 50
        told.add({**step.info, "late": np.ones(2)}, step.valid)
    assert len(told.take()) == 50


def test_a_rollout_that_was_cut_by_a_save_tells_the_same_mean() -> None:
    told, other = Told(), Told()
    rows = np.ones(2, np.bool_)
    told.add({"a": np.array([1.0, 2.0])}, rows)
    other.load_state_dict(told.state_dict())
    for each in (told, other):
        each.add({"a": np.array([np.nan, 6.0]), "b": np.array(["x", "y"])}, rows)
        each.add({"a": np.array([100.0, 100.0])}, ~rows)
    assert told.take() == other.take() == {"task/a": 3.0}
    assert told.take() == {}
    assert told.state_dict() == {}

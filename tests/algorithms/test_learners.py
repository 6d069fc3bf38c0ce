"""What every registered learner keeps: it learns the probes, saves exactly, and follows its seed."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch

from tests.algorithms.helpers import FOREVER, differences, leaves, settings, update
from tests.algorithms.probes import Aim, Constant, Copy, Endless, Masked, Nim, Resetting, TwoSteps
from tui_trainer.algorithms import ALGORITHMS, build, settings_of
from tui_trainer.errors import DamagedSession, UsageError

SMALL = {
    "num_envs": 16,
    "n_steps": 16,
    "batch_size": 64,
    "learning_rate": 3e-3,
    "gamma": 0.9,
    "hidden": [16, 16],
    "ent_coef": 0.0,
}
POOLED = {"pool_every": 2, "pool_size": 3, "pool_share": 0.5}
NORMALISED = {"normalize_observations": True, "normalize_rewards": True, "target_kl": 0.02}
PROBES = (Constant, Copy, TwoSteps, Endless, Masked, Nim)
QUICK = {
    "num_envs": 16, "train_freq": 64, "learning_starts": 100, "batch_size": 32, "gradient_steps": 4, "hidden": [16, 16],
    "learning_rate": 3e-3, "gamma": 0.9, "buffer_size": 300, "exploration_steps": 1000, "target_update_interval": 128,
}  # fmt: skip
CASES = {
    "ppo derived": ("ppo", PROBES, SMALL | POOLED),
    "ppo autograd": ("ppo", (Copy, Nim, Aim), SMALL | POOLED | {"gradients": "autograd", "shared": True}),
    "ppo normalised": ("ppo", (Copy, Aim, Resetting), SMALL | NORMALISED),
    "dqn double": ("dqn", (Copy, Endless, Masked, Resetting, Nim), QUICK),
    "dqn plain": ("dqn", (Copy, Nim), QUICK | {"double": False, "tau": 0.5}),
}
EACH = [(case, probe) for case, (_, probes, _) in CASES.items() for probe in probes]
each = pytest.mark.parametrize(("case", "probe"), EACH)


def make(case, probe, seed=1, **changes):
    algorithm, _, table = CASES[case]
    task = probe()
    config = settings(run={"seed": seed}, **{algorithm: table | changes})
    return task, build(algorithm, task, config, "cpu")


def whole(task, learner) -> dict:
    """All state, through a file, as a checkpoint holds it."""
    file = io.BytesIO()
    torch.save({"learner": learner.state_dict()}, file)
    file.seek(0)
    return torch.load(file, weights_only=True) | {"task": copy.deepcopy(task.state_dict())}


def test_every_registered_algorithm_is_in_this_suite():
    assert {algorithm for algorithm, _, _ in CASES.values()} == set(ALGORITHMS)


@each
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(case, probe):
    task, learner = make(case, probe)
    splits = []
    for number in range(6):
        slices = 1
        while not learner.collect(0.0).complete:
            if number in (1, 4) and slices in (1, 3, 14):
                splits.append((number, whole(task, learner)))
            slices += 1
        if number in (0, 3):
            splits.append((number, whole(task, learner)))
        learner.learn()
        if number in (2, 4):
            splits.append((number + 1, whole(task, learner)))
    expected = whole(task, learner)
    assert len(splits) >= 8
    for number, state in splits:
        fresh_task, fresh = make(case, probe, seed=9)
        fresh_task.load_state_dict(state["task"])
        fresh.load_state_dict(state["learner"])
        for _ in range(number, 6):
            update(fresh)
        assert differences(whole(fresh_task, fresh), expected) == []


@each
def test_loading_gives_back_the_state_that_was_saved(case, probe):
    task, learner = make(case, probe)
    update(learner)
    learner.collect(0.0)
    state = whole(task, learner)
    fresh_task, fresh = make(case, probe, seed=9)
    fresh_task.load_state_dict(state["task"])
    fresh.load_state_dict(state["learner"])
    assert differences(whole(fresh_task, fresh), state) == []


@pytest.mark.parametrize(("case", "probe"), [*((case, probes[-1]) for case, (_, probes, _) in CASES.items()), EACH[3]])
def test_every_key_of_the_state_is_needed(case, probe):
    _, learner = make(case, probe)
    for _ in range(3):
        update(learner)
    for _ in range(5):
        learner.collect(0.0)
    state = learner.state_dict()
    paths = leaves(state)
    assert len(paths) > 30
    for path in paths:
        broken = without(state, path)
        with pytest.raises((DamagedSession, ValueError)):
            make(case, probe)[1].load_state_dict(broken)


def without(state, path):
    if len(path) == 1:
        return {k: v for k, v in state.items() if k != path[0]}
    inner = without(state[path[0]], path[1:])
    if isinstance(state, list):
        return [inner if i == path[0] else v for i, v in enumerate(state)]
    return state | {path[0]: inner}


@each
def test_slices_of_a_rollout_change_no_bit(case, probe):
    task, learner = make(case, probe)
    twin_task, twin = make(case, probe)
    for _ in range(3):
        update(learner, budget_s=FOREVER)
        update(twin, budget_s=0.0)
    assert differences(whole(task, learner), whole(twin_task, twin)) == []


@each
def test_the_same_seed_gives_the_same_curve_and_another_seed_another(case, probe):
    curves = []
    for seed in (1, 1, 2):
        _, learner = make(case, probe, seed)
        curves.append([update(learner) for _ in range(3)])
    assert curves[0] == curves[1]
    assert curves[0] != curves[2]


def test_steps_and_episodes_are_counted_once():
    _, learner = make("ppo normalised", Resetting)
    reports = []
    for _ in range(4):
        while not (report := learner.collect(0.0)).complete:
            reports.append(report)
        reports.append(report)
        learner.learn()
    # one row in three resets: 16 environments x 64 rows hold 43 of 64 transitions each
    assert sum(r.steps for r in reports) == 16 * 43
    assert sum(r.episodes for r in reports) == 16 * 21


def test_a_policy_is_a_frozen_copy():
    task, learner = make("ppo derived", Copy)
    obs = task.observe()
    policy, before = learner.policy(), learner.policy().probabilities(obs, None)
    update(learner)
    assert np.array_equal(policy.probabilities(obs, None), before)
    assert not np.array_equal(learner.policy().probabilities(obs, None), before)


@each
def test_the_policy_of_a_saved_state_plays_as_the_learner_then_did(case, probe):
    task, learner = make(case, probe)
    update(learner)
    state = whole(task, learner)["learner"]
    obs = task.observe()
    then = learner.policy().value(obs)
    update(learner)
    now = whole(task, learner)["learner"]
    assert np.array_equal(learner.policy_from(state).value(obs), then)
    assert differences(whole(task, learner)["learner"], now) == []


@each
def test_learning_leaves_python_numpy_and_torch_generators_alone(case, probe):
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    update(make(case, probe)[1])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


@pytest.mark.parametrize("case", CASES)
def test_a_live_setting_changes_and_gives_back_what_it_was(case):
    _, learner = make(case, Copy)
    table = CASES[case][0]
    assert learner.set("learning_rate", 1e-4) == pytest.approx(3e-3)
    assert learner.set(f"{table}.learning_rate", 2e-4) == pytest.approx(1e-4)
    update(learner)
    assert update(learner)["train/learning_rate"] == pytest.approx(2e-4)


@pytest.mark.parametrize("case", CASES)
def test_an_impossible_setting_is_refused_and_changes_nothing(case):
    _, learner = make(case, Copy)
    with pytest.raises(UsageError, match="num_envs"):
        learner.set("num_envs", 3)
    with pytest.raises(UsageError, match="learning_rate"):
        learner.set("learning_rate", -1)
    assert learner.set("learning_rate", 1e-4) == pytest.approx(3e-3)


def test_an_unknown_algorithm_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="ppo"):
        build("pppo", Copy(), settings(), "cpu")


def test_an_algorithms_settings_are_its_own_table():
    config = settings(ppo={"gamma": 0.5})
    assert settings_of(config, "ppo") is config.ppo


# --- learning ----------------------------------------------------------------------------------------------------


def trained(case, probe, updates, **changes):
    task, learner = make(case, probe, **changes)
    for _ in range(updates):
        metrics = update(learner)
    return task, learner, metrics


@pytest.mark.parametrize("case", CASES)
def test_it_learns_to_do_what_the_observation_says(case):
    _, learner, metrics = trained(case, Copy, 40)
    obs = np.array([[0.0], [1.0]], np.float32)
    assert learner.policy().act(obs, None).tolist() == [0, 1]
    assert metrics["rollout/ep_rew_mean"] > 0.8


def test_ppo_values_a_constant_reward_at_the_reward():
    task, learner, _ = trained("ppo derived", Constant, 60)
    assert learner.policy().value(task.observe()) == pytest.approx(1.0, abs=0.02)


def test_ppo_discounts_over_two_steps():
    _, learner, _ = trained("ppo derived", TwoSteps, 60)
    value = learner.policy().value(np.array([[0.0], [1.0]], np.float32))
    assert value == pytest.approx([0.9, 1.0], abs=0.02)


def test_ppo_bootstraps_where_an_episode_was_only_cut():
    task, learner, _ = trained("ppo derived", Endless, 60)
    assert learner.policy().value(task.observe()) == pytest.approx(10.0, abs=0.1)


def test_ppo_finds_the_best_action_that_the_mask_allows():
    task, learner, _ = trained("ppo derived", Masked, 60)
    best = np.where(task.legal(), np.arange(5), -1).max(1)
    assert (learner.policy().act(task.observe(), task.legal()) == best).all()


@pytest.mark.parametrize("case", ["ppo derived", "ppo autograd"])
def test_ppo_plays_nim_perfectly_by_self_play(case):
    _, learner, metrics = trained(case, Nim, 80)
    stones = np.array([1, 2, 4, 5, 7])
    obs = np.eye(8, dtype=np.uint8)[stones]
    legal = np.stack([stones >= 1, stones >= 2], 1)
    assert (learner.policy().act(obs, legal) == stones % 3 - 1).all()
    values = learner.policy().value(np.eye(8, dtype=np.uint8)[[3, 6]])
    assert (values < -0.5).all(), "who faces a multiple of three has lost"
    assert metrics["game/black_rate"] + metrics["game/white_rate"] == pytest.approx(1.0)


def test_ppo_aims_a_box_action():
    _, learner, _ = trained("ppo autograd", Aim, 80)
    obs = np.array([[-0.6], [0.0], [0.6]], np.float32)
    assert learner.policy().act(obs, None)[:, 0] == pytest.approx(obs[:, 0], abs=0.1)


def test_dqn_plays_nim_perfectly_by_self_play():
    _, learner, _ = trained("dqn double", Nim, 300, gamma=1.0)
    stones = np.array([1, 2, 4, 5, 7])
    legal = np.stack([stones >= 1, stones >= 2], 1)
    assert (learner.policy().act(np.eye(8, dtype=np.uint8)[stones], legal) == stones % 3 - 1).all()


def test_dqn_bootstraps_where_an_episode_was_only_cut():
    task, learner, _ = trained("dqn double", Endless, 300, learning_rate=1e-2)
    assert learner.policy().value(task.observe()) == pytest.approx(10.0, abs=0.7)


def test_dqn_values_only_the_actions_that_the_mask_allows():
    task, learner, _ = trained("dqn double", Masked, 100)
    best = np.where(task.legal(), np.arange(5), -1).max(1)
    assert (learner.policy().act(task.observe(), task.legal()) == best).all()

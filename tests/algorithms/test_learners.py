"""What every registered learner keeps: it learns the probes, saves exactly, and follows its seed."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.algorithms.helpers import FOREVER, QuickDisk, differences, leaves, settings, update
from tests.algorithms.probes import Aim, Constant, Copy, Endless, Masked, Nim, Resetting, TwoSteps
from tui_trainer.algorithms import ALGORITHMS, build, steps_per_update
from tui_trainer.errors import DamagedSession, UsageError
from tui_trainer.sessions.checkpoints import CheckpointStore

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
PRIORITISED = {"prioritized_replay": True, "prioritized_replay_beta_steps": 2000}
CASES = {
    "ppo derived": ("ppo", PROBES, SMALL | POOLED),
    "ppo autograd": ("ppo", (Copy, Nim, Aim), SMALL | POOLED | {"gradients": "autograd", "shared": True}),
    "ppo normalised": ("ppo", (Copy, Aim, Resetting), SMALL | NORMALISED),
    "ppo squashed": ("ppo", (Copy, Aim), SMALL | {"squash_output": True, "ent_coef": 0.001}),
    "ppo bfloat16": ("ppo", (Copy, Nim, Aim), SMALL | POOLED | {"precision": "bfloat16"}),
    "ppo annealed": ("ppo", (Copy, Nim), SMALL | {"learning_rate_final": 0.5, "clip_range_final": 0.2}),
    "dqn double": ("dqn", (Copy, Endless, Masked, Resetting, Nim), QUICK),
    "dqn plain": ("dqn", (Copy, Nim), QUICK | {"double": False, "tau": 0.5}),
    "dqn dueling": ("dqn", (Copy, Endless, Masked, Nim), QUICK | {"dueling": True}),
    "dqn n-step": ("dqn", (Copy, Endless, Masked, Resetting, Nim), QUICK | {"n_steps": 3}),
    "dqn prioritised": ("dqn", (Copy, Endless, Resetting, Nim), QUICK | PRIORITISED),
    "dqn all": ("dqn", (Copy, Endless, Masked, Resetting, Nim), QUICK | PRIORITISED | {"dueling": True, "n_steps": 7}),
}
EACH = [(case, probe) for case, (_, probes, _) in CASES.items() for probe in probes]
each = pytest.mark.parametrize(("case", "probe"), EACH)


def make(case, probe, seed=1, **changes):
    algorithm, _, table = CASES[case]
    task = probe()
    limits = {"termination": {"max_updates": 60}}
    config = settings(run={"seed": seed}, manager=limits, **{algorithm: table | changes})
    return task, build(algorithm, task, config, "cpu")


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    for name in ("a", "a/checkpoints"):
        (tmp_path / name).mkdir()
    return CheckpointStore(tmp_path / "a", QuickDisk())


def whole(task, learner, store: CheckpointStore) -> dict:
    """All state, through a checkpoint."""
    manifest = store.save(store.snapshot({"learner": learner.state_dict()}), kind="manual", update=1, global_step=1)
    return store.load(manifest)[0] | {"task": copy.deepcopy(task.state_dict())}


def test_every_registered_algorithm_is_in_this_suite():
    assert {algorithm for algorithm, _, _ in CASES.values()} == set(ALGORITHMS)


@pytest.mark.parametrize(
    ("case", "changes"), [("ppo derived", {}), ("dqn double", {}), ("dqn plain", {"train_freq": 65})]
)
def test_the_steps_of_an_update_are_known_from_the_settings(case, changes):
    _, learner = make(case, Copy, **changes)
    algorithm, _, table = CASES[case]
    config = settings(run={"algorithm": algorithm}, **{algorithm: table | changes})
    assert steps_per_update(config) == learner.steps_per_update
    steps = learner.collect(60.0).steps
    assert steps == learner.steps_per_update


@each
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(case, probe, store):
    task, learner = make(case, probe)
    splits = []
    for number in range(6):
        slices = 1
        while not learner.collect(0.0).complete:
            if number in (1, 4) and slices in (1, 3, 14):
                splits.append((number, whole(task, learner, store)))
            slices += 1
        if number in (0, 3):
            splits.append((number, whole(task, learner, store)))
        learner.learn()
        if number in (2, 4):
            splits.append((number + 1, whole(task, learner, store)))
    expected = whole(task, learner, store)
    assert len(splits) >= 8
    for number, state in splits:
        fresh_task, fresh = make(case, probe, seed=9)
        fresh_task.load_state_dict(state["task"])
        fresh.load_state_dict(state["learner"])
        for _ in range(number, 6):
            update(fresh)
        assert differences(whole(fresh_task, fresh, store), expected) == []


@each
def test_loading_gives_back_the_state_that_was_saved(case, probe, store):
    task, learner = make(case, probe)
    update(learner)
    learner.collect(0.0)
    state = whole(task, learner, store)
    fresh_task, fresh = make(case, probe, seed=9)
    fresh_task.load_state_dict(state["task"])
    fresh.load_state_dict(state["learner"])
    assert differences(whole(fresh_task, fresh, store), state) == []


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
        if set(path) & LATER:
            continue
        broken = without(state, path)
        with pytest.raises((DamagedSession, ValueError)):
            make(case, probe)[1].load_state_dict(broken)


LATER = {"stays", "totals", "pool_share"}
"""Keys that checkpoints made before them lack, and that have a default that is right for those."""


@pytest.mark.parametrize(("case", "probe"), [(case, probes[-1]) for case, (_, probes, _) in CASES.items()])
def test_a_checkpoint_made_before_later_keys_loads(case, probe):
    _, learner = make(case, probe)
    update(learner)
    learner.collect(0.0)
    state = learner.state_dict()
    old = state
    for path in leaves(state):
        if set(path) & LATER:
            old = without(old, path[: [key in LATER for key in path].index(True) + 1])
    assert differences(old, state) != []
    fresh = make(case, probe)[1]
    fresh.load_state_dict(old)
    assert differences(fresh.state_dict()["collector"]["rollout"], state["collector"]["rollout"]) == []


def without(state, path):
    if len(path) == 1:
        return {k: v for k, v in state.items() if k != path[0]}
    inner = without(state[path[0]], path[1:])
    if isinstance(state, list):
        return [inner if i == path[0] else v for i, v in enumerate(state)]
    return state | {path[0]: inner}


@each
def test_slices_of_a_rollout_change_no_bit(case, probe, store):
    task, learner = make(case, probe)
    twin_task, twin = make(case, probe)
    for _ in range(3):
        update(learner, budget_s=FOREVER)
        update(twin, budget_s=0.0)
    assert differences(whole(task, learner, store), whole(twin_task, twin, store)) == []


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
def test_the_policy_of_a_saved_state_plays_as_the_learner_then_did(case, probe, store):
    task, learner = make(case, probe)
    update(learner)
    state = whole(task, learner, store)["learner"]
    obs = task.observe()
    then = learner.policy().value(obs)
    update(learner)
    now = whole(task, learner, store)["learner"]
    assert np.array_equal(learner.policy_from(state).value(obs), then)
    assert differences(whole(task, learner, store)["learner"], now) == []


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
    assert update(learner)["train/learning_rate"] == pytest.approx(2e-4, rel=0.01)


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


@pytest.mark.parametrize("case", ["ppo derived", "ppo autograd", "ppo annealed"])
def test_ppo_plays_nim_perfectly_by_self_play(case):
    _, learner, metrics = trained(case, Nim, 80)
    stones = np.array([1, 2, 4, 5, 7])
    obs = np.eye(8, dtype=np.uint8)[stones]
    legal = np.stack([stones >= 1, stones >= 2], 1)
    assert (learner.policy().act(obs, legal) == stones % 3 - 1).all()
    values = learner.policy().value(np.eye(8, dtype=np.uint8)[[3, 6]])
    assert (values < -0.5).all(), "who faces a multiple of three has lost"
    assert metrics["game/black_rate"] + metrics["game/white_rate"] == pytest.approx(1.0)


@pytest.mark.parametrize("case", ["ppo autograd", "ppo normalised", "ppo squashed", "ppo bfloat16"])
def test_ppo_aims_a_box_action(case):
    _, learner, _ = trained(case, Aim, 80)
    obs = np.array([[-0.6], [0.0], [0.6]], np.float32)
    assert learner.policy().act(obs, None)[:, 0] == pytest.approx(obs[:, 0], abs=0.1)


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("dqn")])
def test_dqn_plays_nim_perfectly_by_self_play(case):
    _, learner, _ = trained(case, Nim, 300, gamma=1.0)
    stones = np.array([1, 2, 4, 5, 7])
    legal = np.stack([stones >= 1, stones >= 2], 1)
    assert (learner.policy().act(np.eye(8, dtype=np.uint8)[stones], legal) == stones % 3 - 1).all()


@pytest.mark.parametrize("case", ["dqn double", "dqn dueling", "dqn n-step", "dqn prioritised", "dqn all"])
def test_dqn_bootstraps_where_an_episode_was_only_cut(case):
    task, learner, _ = trained(case, Endless, 300, learning_rate=1e-2)
    assert learner.policy().value(task.observe()) == pytest.approx(10.0, abs=1.5)


@pytest.mark.parametrize("case", ["dqn double", "dqn dueling", "dqn all"])
def test_dqn_values_only_the_actions_that_the_mask_allows(case):
    task, learner, _ = trained(case, Masked, 100)
    best = np.where(task.legal(), np.arange(5), -1).max(1)
    assert (learner.policy().act(task.observe(), task.legal()) == best).all()

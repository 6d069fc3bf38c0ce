"""DQN's own rules: the replay buffer, targets worked out by hand, exploration, the target network."""

import numpy as np
import pytest

from tests.algorithms.helpers import settings, update
from tests.algorithms.probes import Aim, Copy, Endless, Masked, Nim
from tui_trainer.algorithms import build
from tui_trainer.algorithms.replay import Replay, Transitions
from tui_trainer.algorithms.rollout import Rollout
from tui_trainer.core.protocols import Reset, Step
from tui_trainer.errors import ConfigError, Diverged

SMALL = {
    "num_envs": 16, "train_freq": 64, "learning_starts": 128, "batch_size": 32, "gradient_steps": 2, "hidden": [16],
    "buffer_size": 1000, "exploration_steps": 256,
}  # fmt: skip


def learner_of(task, seed=1, device="cpu", **table):
    return build("dqn", task, settings(run={"seed": seed}, dqn=SMALL | table), device)


def rollout_of(rewards, *, terminated=(), truncated=(), invalid=(), movers=None, task=None) -> Rollout:
    """One environment whose observation at time t is t."""
    spec = (task or Copy(1)).spec
    rollout, length = Rollout(spec, len(rewards)), len(rewards)
    mover = np.array(movers or [0] * (length + 1), np.int8)[:, None]
    mask = np.ones((1, spec.n), np.bool_) if spec.masked else None

    def obs(t):
        return np.full((1, *spec.obs_shape), t, spec.obs_dtype)

    def flag(t, steps):
        return np.array([t in steps])

    rollout.begin(Reset(obs(0), mask, mover[0]))
    for t, reward in enumerate(rewards):
        step = Step(
            obs(t + 1), np.array([reward], np.float32), flag(t, terminated), flag(t, truncated), obs(50 + t), mask,
            mover[t + 1], ~flag(t, invalid), np.zeros(1, np.int8),
        )  # fmt: skip
        rollout.put(np.array([t % 2]), step)
    return rollout


def held(replay: Replay) -> dict[str, list[float]]:
    state = replay.state_dict()
    return {name: state[name].numpy().reshape(state["size"], -1)[:, 0].tolist() for name in ("obs", "next_obs", "sign")}


def test_a_transition_leads_to_the_next_observation_or_to_the_true_last_one():
    replay = Replay(Copy(1).spec, 10)
    replay.add(rollout_of([1, 1, 1, 1], terminated=[1], truncated=[2]))
    assert held(replay) == {"obs": [0, 1, 2, 3], "next_obs": [1, 2, 52, 4], "sign": [1, 0, 1, 1]}


def test_a_row_that_is_no_transition_is_not_kept():
    replay = Replay(Copy(1).spec, 10)
    replay.add(rollout_of([1, 99, 1], invalid=[1]))
    assert held(replay)["obs"] == [0, 2]


def test_what_the_other_side_can_get_counts_against_the_mover():
    task = Nim(1)
    replay = Replay(task.spec, 10)
    replay.add(rollout_of([0, 0, 1], movers=[0, 1, 1, 0], terminated=[2], task=task))
    assert held(replay)["sign"] == [-1, 1, 0]


def test_a_full_buffer_forgets_the_oldest():
    replay = Replay(Copy(1).spec, 3)
    replay.add(rollout_of([0, 0]))
    replay.add(rollout_of([0, 0]))
    assert replay.size == 3
    assert sorted(held(replay)["obs"]) == [0, 1, 1]
    replay.add(rollout_of([0, 0, 0, 0, 0]))
    assert sorted(held(replay)["obs"]) == [2, 3, 4]


def test_a_target_is_the_reward_and_the_discounted_signed_value_of_what_follows():
    task = Copy()
    learner = learner_of(task, gamma=0.5, double=False)
    x = np.array([[1.0], [1.0], [1.0]], np.float32)
    best = learner.policy().value(x)
    rows = Transitions(
        x, np.zeros(3, np.int64), np.array([1, 2, 3], np.float32), np.array([1, 0, -1], np.float32), x, None
    )
    expected = [1 + 0.5 * best[0], 2, 3 - 0.5 * best[0]]
    assert learner._targets(rows) == pytest.approx(expected, rel=1e-5)


def test_a_target_values_only_legal_actions():
    task = Masked()
    learner = learner_of(task, double=False)
    obs = np.ones((5, 5), np.uint8)
    values = []
    for k in range(5):
        legal = np.eye(5, dtype=np.bool_)[[k] * 5]
        rows = Transitions(obs, np.zeros(5, np.int64), np.zeros(5, np.float32), np.ones(5, np.float32), obs, legal)
        values.append(learner._targets(rows)[0] / 0.99)
    assert max(values) == pytest.approx(learner.policy().value(obs)[0], rel=1e-5)
    assert len(set(values)) == 5


def test_the_double_estimate_takes_the_online_choice_at_the_targets_value():
    learner, plain = learner_of(Copy(), gamma=1.0), learner_of(Copy(), gamma=1.0, double=False)
    for _ in range(6):
        update(learner)
    plain.load_state_dict(learner.state_dict() | {"settings": plain.state_dict()["settings"]})
    x = np.linspace(-3, 3, 64, dtype=np.float32)[:, None]
    rows = Transitions(x, np.zeros(64, np.int64), np.zeros(64, np.float32), np.ones(64, np.float32), x, None)
    assert (learner._targets(rows) <= plain._targets(rows)).all()


def test_exploration_falls_linearly_to_its_end():
    learner = learner_of(Copy(), exploration_initial_eps=1.0, exploration_final_eps=0.2)
    seen = [update(learner)["rollout/exploration_rate"] for _ in range(6)]
    assert seen == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.2])


def test_the_share_of_random_actions_is_epsilon():
    task = Copy(2000)
    learner = learner_of(task, num_envs=2000, train_freq=2000, exploration_initial_eps=0.5, exploration_final_eps=0.5)
    learner.collect(0.0)
    rollout = learner.state_dict()["collector"]["rollout"]
    greedy = learner.policy().act(rollout["obs"][0].numpy(), None)
    assert (rollout["action"][0].numpy() != greedy).mean() == pytest.approx(0.25, abs=0.04)


def test_nothing_is_learned_before_learning_starts():
    learner = learner_of(Copy())
    before = learner.state_dict()["parameters"].numpy().copy()
    assert "train/loss" not in update(learner)
    assert np.array_equal(learner.state_dict()["parameters"].numpy(), before)
    assert "train/loss" in update(learner)
    assert not np.array_equal(learner.state_dict()["parameters"].numpy(), before)


def test_the_target_network_moves_only_when_due():
    learner = learner_of(Copy(), target_update_interval=256, learning_starts=0)
    moved, last = [], learner.state_dict()["target"].numpy().copy()
    for _ in range(8):
        update(learner)
        target = learner.state_dict()["target"].numpy().copy()
        moved.append(not np.array_equal(target, last))
        last = target
    assert moved == [False, False, False, True] * 2


def test_a_box_of_actions_is_refused():
    with pytest.raises(ConfigError, match="discrete"):
        learner_of(Aim())


def test_on_a_gpu_machine_it_says_that_it_runs_on_the_cpu():
    assert any("CPU" in note for note in learner_of(Copy(), device="cuda").notes)


class Poisoned(Endless):
    """NaN in the rewards from step 20 on."""

    count = 0

    def play(self, action):
        self.count += 1
        reward, terminated, truncated = super().play(action)
        return (reward * np.nan if self.count >= 20 else reward), terminated, truncated


def test_a_reward_that_is_not_finite_is_named_before_any_step():
    learner = learner_of(Poisoned(), learning_starts=0)
    with pytest.raises(Diverged, match="reward"):
        [update(learner) for _ in range(9)]
    state = learner.state_dict()
    assert np.isfinite(state["parameters"].numpy()).all()
    assert np.isfinite(state["replay"]["reward"].numpy()).all()

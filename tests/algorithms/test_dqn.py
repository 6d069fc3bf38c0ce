"""DQN's own rules: the replay buffer, targets worked out by hand, exploration, the target network."""

import itertools

import numpy as np
import pytest
import torch

from tests.algorithms.helpers import settings, update
from tests.algorithms.probes import Aim, Copy, Endless, Masked, Nim
from tui_trainer.algorithms import build
from tui_trainer.algorithms.mlp import MlpForward, Shape, Tape, duel, torch_heads
from tui_trainer.algorithms.priorities import Priorities, SumTree, importance
from tui_trainer.algorithms.replay import Replay, left_behind, with_none_kept
from tui_trainer.algorithms.rollout import Rollout
from tui_trainer.algorithms.transitions import Joiner, Transitions, stretch_of
from tui_trainer.core.protocols import Reset, Step
from tui_trainer.core.segments import Segment
from tui_trainer.errors import ConfigError, DamagedSession, Diverged

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


def joined(n, *rollouts, gamma=0.5, task=None) -> list[Transitions]:
    """What an n-step joiner makes of each rollout."""
    spec = (task or Copy(1)).spec
    joiner = Joiner(spec, n)
    return [joiner(stretch_of(rollout, spec), gamma) for rollout in rollouts]


def first(array) -> list[float]:
    return array.reshape(len(array), -1)[:, 0].tolist()


def test_a_transition_leads_to_the_next_observation_or_to_the_true_last_one():
    [found] = joined(1, rollout_of([1, 1, 1, 1], terminated=[1], truncated=[2]))
    assert (first(found.obs), first(found.next_obs)) == ([0, 1, 2, 3], [1, 2, 52, 4])
    assert found.carry.tolist() == [1, 0, 1, 1]


def test_a_row_that_is_no_transition_is_not_kept():
    [found] = joined(1, rollout_of([1, 99, 1], invalid=[1]))
    assert first(found.obs) == [0, 2]


def test_what_the_other_side_can_get_counts_against_the_mover():
    [found] = joined(1, rollout_of([0, 0, 1], movers=[0, 1, 1, 0], terminated=[2], task=Nim(1)), task=Nim(1))
    assert found.carry.tolist() == [-1, 1, 0]


# --- several steps -------------------------------------------------------------------------------------------------


def test_three_steps_are_summed_with_the_discount_and_lead_to_the_state_after_them():
    [found] = joined(3, rollout_of([1, 2, 4, 8, 16]))
    assert first(found.obs) == [0, 1, 2]
    assert found.reward.tolist() == [1 + 1 + 1, 2 + 2 + 2, 4 + 4 + 4]
    assert found.carry.tolist() == [0.25] * 3  # the target multiplies by one more gamma
    assert first(found.next_obs) == [3, 4, 5]


def test_several_steps_stop_where_an_episode_ends_and_bootstrap_only_where_it_was_cut():
    [found] = joined(3, rollout_of([1, 2, 4, 8, 16, 32, 64], terminated=[2], truncated=[4]))
    assert found.reward.tolist() == [1 + 1 + 1, 2 + 2, 4, 8 + 8, 16]
    assert found.carry.tolist() == [0, 0, 0, 0.5, 1]
    assert first(found.next_obs) == [3, 3, 3, 54, 54]


def test_steps_wait_for_those_that_follow_in_the_next_rollout():
    one, two = joined(3, rollout_of([1, 2]), rollout_of([4, 8]))
    assert len(one.reward) == 0
    assert (first(two.obs), two.reward.tolist()) == ([0, 1], [1 + 1 + 1, 2 + 2 + 2])


def test_several_steps_leave_out_rows_that_are_no_transitions():
    [found] = joined(2, rollout_of([1, 2, np.nan, 4, 8], terminated=[1], invalid=[2]))
    assert (first(found.obs), found.reward.tolist()) == ([0, 1, 3], [1 + 1, 2, 4 + 4])


def test_over_several_plies_rewards_change_sign_with_the_mover():
    rollout = rollout_of([1, 2, 4, 8], movers=[0, 1, 0, 1, 0], task=Nim(1))
    [found] = joined(3, rollout, task=Nim(1))
    assert found.reward.tolist() == [1 - 1 + 1, 2 - 2 + 2]
    assert found.carry.tolist() == [-0.25, -0.25]


# --- the buffer ----------------------------------------------------------------------------------------------------


def numbered(*numbers) -> Transitions:
    x = np.array(numbers, np.float32)
    return Transitions(x[:, None], x.astype(np.int64), x, x, x[:, None], None)


def held(replay: Replay) -> list[int]:
    """What is drawn sooner or later."""
    return sorted(set(replay.sample(np.random.default_rng(0), 2000, 1.0).rows.action.tolist()))


@pytest.mark.parametrize("priorities", [None, {"alpha": 0.5, "eps": 0.1}])
def test_a_full_buffer_forgets_the_oldest(priorities):
    replay = Replay(Copy(1).spec, 3, priorities)
    replay.add(numbered(0, 1))
    assert held(replay) == [0, 1]
    replay.add(numbered(2, 3))
    assert held(replay) == [1, 2, 3]
    replay.add(numbered(4, 5, 6, 7, 8))
    assert held(replay) == [6, 7, 8]
    for number in range(9, 500):
        replay.add(numbered(number))
    assert held(replay) == [497, 498, 499]


def test_segments_are_the_same_objects_until_they_leave_and_hold_what_was_put_in():
    replay = Replay(Copy(1).spec, 200)
    kept = []
    for start in range(0, 1000, 50):
        replay.add(numbered(*range(start, start + 50)))
        kept.append(replay.state_dict()["segments"])
    assert max(len(segments) for segments in kept) == 4
    assert all(set(earlier) & set(later) for earlier, later in itertools.pairwise(kept[3:]))
    row = np.dtype([("action", np.int64), ("rest", np.uint8, kept[-1][0].array.shape[1] - 8)])
    actions = [segment.array.copy().view(row)["action"].ravel().tolist() for segment in kept[-1]]
    assert actions == [list(range(start, start + 64)) for start in range(768, 960, 64)]


def test_a_buffer_of_another_size_is_refused():
    replay = Replay(Copy(1).spec, 200)
    replay.add(numbered(*range(150)))
    with pytest.raises(DamagedSession, match="not one of this run"):
        Replay(Copy(1).spec, 20).load_state_dict(replay.state_dict())


def test_a_state_without_its_segments_rows_says_so():
    replay = Replay(Copy(1).spec, 200)
    replay.add(numbered(*range(150)))
    state = replay.state_dict() | {"segments": [Segment(None, "0" * 64), Segment(None, "1" * 64)]}
    with pytest.raises(DamagedSession, match="beside"):
        Replay(Copy(1).spec, 200).load_state_dict(state)


# --- priorities ----------------------------------------------------------------------------------------------------


def test_a_point_finds_the_slot_that_it_lies_in():
    tree = SumTree(5)
    tree.set(np.arange(5), np.array([1.0, 0.0, 2.0, 3.0, 0.5]))
    assert tree.total == 6.5
    points = np.array([0.0, 0.99, 1.0, 2.99, 3.0, 5.99, 6.0, 6.49])
    assert tree.find(points).tolist() == [0, 0, 2, 2, 3, 3, 4, 4]


def test_transitions_are_drawn_in_proportion_to_their_error_to_the_power_alpha():
    priorities = Priorities(4, alpha=0.5, eps=0.0001)
    priorities.admit(np.arange(4))
    priorities.judge(np.arange(4), np.array([0.0, 1.0, -4.0, 9.0], np.float32))
    slots, probabilities = priorities.draw(np.random.default_rng(1), 6000)
    weights = np.array([0.01, 1, 2, 3]) / 6.01
    assert np.bincount(slots, minlength=4) / 6000 == pytest.approx(weights, abs=0.002)
    assert probabilities[:10] == pytest.approx(weights[slots[:10]], rel=1e-3)


def test_a_new_transition_has_the_highest_priority_seen():
    priorities = Priorities(3, alpha=1.0, eps=0.5)
    priorities.admit(np.array([0, 1]))
    priorities.judge(np.array([0]), np.array([4.5], np.float32))
    priorities.admit(np.array([2]))
    assert priorities.state_dict()["weights"].tolist() == [5.0, 1.0, 5.0]


def test_importance_weights_take_out_the_bias_of_drawing_and_are_at_most_one():
    # size 4: (4 * [1/2, 1/4])^-1 = [1/2, 1], so [1/2, 1]; with beta 1/2 the square roots
    assert importance(np.array([0.5, 0.25]), 4, 1.0).tolist() == [0.5, 1.0]
    assert importance(np.array([0.5, 0.25]), 4, 0.5) == pytest.approx([0.5**0.5, 1.0])
    assert importance(np.array([0.5, 0.25]), 4, 0.0).tolist() == [1.0, 1.0]


def test_what_was_drawn_is_judged_by_its_error():
    learner = learner_of(Copy(), prioritized_replay=True)
    for _ in range(5):
        update(learner)
    weights = learner.state_dict()["replay"]["priorities"]["weights"].numpy()
    assert len(set(weights[weights > 0])) > 20
    assert (weights > 0).sum() == 5 * 64


# --- duelling ------------------------------------------------------------------------------------------------------


def test_a_duelling_network_adds_the_value_to_advantages_of_mean_zero():
    advantages, values = np.array([[1.0], [5.0], [3.0]], np.float32), np.array([10.0], np.float32)
    assert duel(advantages, values)[:, 0].tolist() == [8.0, 12.0, 10.0]


@pytest.mark.parametrize("shared", [True, False])
def test_a_duelling_networks_gradient_is_autograds(shared):
    shape = Shape(3, 4, (8, 6), "relu", shared, False)
    flat = shape.initial(np.random.default_rng(1))
    x = np.random.default_rng(2).standard_normal((5, 3)).astype(np.float32)
    slope = np.random.default_rng(3).standard_normal((4, 5)).astype(np.float32)
    tape = Tape(shape, flat)
    activations = tape.forward(x)
    values = tape.action_values(activations[-1]).copy()
    tape.backward_values(x, activations, slope)
    leaf = torch.from_numpy(flat).requires_grad_()
    advantages, value = torch_heads(shape, leaf, torch.from_numpy(x))
    q = value[:, None] + advantages - advantages.mean(1, keepdim=True)
    (q * torch.from_numpy(slope.T)).sum().backward()
    assert pytest.approx(q.detach().numpy(), abs=1e-5) == values.T
    assert MlpForward(shape, flat).action_values(x) == pytest.approx(values.T, abs=1e-5)
    assert tape.gradient == pytest.approx(leaf.grad.numpy(), abs=1e-5)


# --- targets -------------------------------------------------------------------------------------------------------


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


def test_the_learning_rate_falls_linearly_to_its_end_and_starts_from_what_a_person_sets():
    learner = learner_of(
        Copy(), learning_rate=1e-2, learning_rate_final=2e-3, learning_rate_steps=256, learning_starts=0
    )
    seen = [update(learner)["train/learning_rate"] for _ in range(3)]
    assert seen == pytest.approx([1e-2, 8e-3, 6e-3])
    learner.set("learning_rate", 6e-3)
    assert [update(learner)["train/learning_rate"] for _ in range(3)] == pytest.approx([3e-3, 2e-3, 2e-3])
    learner.set("learning_rate", 1e-3)
    assert update(learner)["train/learning_rate"] == pytest.approx(1e-3)
    still = learner_of(Copy(), learning_rate=1e-2, learning_starts=0)
    assert [update(still)["train/learning_rate"] for _ in range(6)] == [1e-2] * 6


def test_a_buffer_that_was_left_behind_is_filled_anew_before_anything_is_learned():
    learner, other = (learner_of(Copy(), prioritized_replay=True) for _ in range(2))
    for _ in range(20):
        update(learner)
    state = learner.state_dict()
    assert left_behind(state) == 0
    for segment in state["replay"]["segments"]:
        segment.array = None
    assert left_behind(state) == 1280
    other.load_state_dict(with_none_kept(state))
    assert ["train/loss" in update(other) for _ in range(3)] == [False, True, True]
    twin = learner_of(Copy(), prioritized_replay=True)
    twin.load_state_dict(other.state_dict())
    assert twin.state_dict()["refilled_from"] == 1280
    assert "train/loss" in update(twin)
    alone = learner_of(Copy(), prioritized_replay=True)
    alone.take_over(with_none_kept(state), 0, 1)
    assert ["train/loss" in update(alone) for _ in range(2)] == [False, True]


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
    assert state["replay"]["total"] == 256, "the rollout with the bad reward is not taken in"

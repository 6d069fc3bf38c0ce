"""PPO's own rules: annealing, stopping early, non-finite numbers, the pool, box actions, networks."""

import msgspec
import numpy as np
import pytest
import torch

from tests.algorithms.helpers import settings, update
from tests.algorithms.probes import Aim, Copy, Endless, Masked, Nim, Probe, Resetting
from tui_trainer.algorithms import build
from tui_trainer.algorithms.episodes import Episodes
from tui_trainer.algorithms.mlp import Batch, Shape, Weights
from tui_trainer.algorithms.moments import Moments
from tui_trainer.algorithms.networks import HalfNet, MlpNet
from tui_trainer.algorithms.rollout import Rollout
from tui_trainer.algorithms.updates import AutogradUpdater, squashing
from tui_trainer.core.protocols import Reset, Step
from tui_trainer.errors import ConfigError, Diverged

SMALL = {"num_envs": 16, "n_steps": 16, "batch_size": 64, "hidden": [16], "learning_rate": 3e-3}


def learner_of(task, limits=None, **table):
    config = settings(ppo=SMALL | table, manager={"termination": limits or {}})
    return build("ppo", task, config, "cpu")


def parameters(learner) -> np.ndarray:
    return learner.state_dict()["parameters"].numpy().copy()


# --- settings ----------------------------------------------------------------------------------------------------


def test_the_learning_rate_is_annealed_towards_the_nearest_limit():
    learner = learner_of(Copy(), {"max_updates": 4, "max_steps": 10**9}, learning_rate=1e-3, learning_rate_final=0.2)
    seen = [update(learner)["train/learning_rate"] for _ in range(6)]
    assert seen == pytest.approx([1e-3, 0.8e-3, 0.6e-3, 0.4e-3, 0.2e-3, 0.2e-3])


def test_the_clip_range_is_annealed_too():
    learner = learner_of(Copy(), {"max_updates": 2}, clip_range=0.3, clip_range_final=0.1)
    assert [update(learner)["train/clip_range"] for _ in range(3)] == pytest.approx([0.3, 0.165, 0.03])


def test_a_resumed_run_anneals_as_the_uninterrupted_one():
    limits = {"max_steps": 16 * 16 * 8}
    first = learner_of(Copy(), limits, learning_rate_final=0.0)
    update(first)
    update(first)
    second = learner_of(Copy(), limits, learning_rate_final=0.0)
    second.load_state_dict(first.state_dict())
    assert update(second)["train/learning_rate"] == update(first)["train/learning_rate"] < 3e-3


def test_annealing_without_a_limit_is_said_to_do_nothing():
    assert any("not annealed" in note for note in learner_of(Copy(), learning_rate_final=0.0).notes)
    assert not any("not annealed" in note for note in learner_of(Copy(), {"max_updates": 9}).notes)


def test_a_kl_bound_ends_the_epochs_before_the_step_that_passes_it():
    free, bound = learner_of(Copy(), learning_rate=0.05), learner_of(Copy(), learning_rate=0.05, target_kl=1e-4)
    update(free)
    update(bound)
    steps = [learner.state_dict()["optimizer"]["steps"] for learner in (free, bound)]
    assert steps[0] == 16
    assert 1 <= steps[1] < 16


def test_the_notes_say_which_gradients_are_used():
    assert "hand-derived" in learner_of(Copy()).notes[0]
    assert "autograd" in learner_of(Copy(), gradients="autograd").notes[0]
    assert "autograd" in learner_of(Aim()).notes[0]


# --- precision -----------------------------------------------------------------------------------------------------


def gradient_of(net, flat, rows: int) -> np.ndarray:
    """Of PPO's loss on made-up rows."""
    rng = np.random.default_rng(5)
    updater = AutogradUpdater(net, torch.from_numpy(flat.copy()))
    x = rng.standard_normal((rows, 6)).astype(np.float32)
    column = [rng.standard_normal(rows).astype(np.float32) for _ in range(4)]
    batch = Batch(x, rng.integers(0, 4, rows), column[0] - 1.5, column[1], column[2], column[3], None, None)
    updater.step(batch, Weights(0.2, 0.0, 0.01, 0.5), learning_rate=1e-9, max_grad_norm=1e9, max_kl=0.0)
    return updater.gradient().numpy()


@pytest.mark.parametrize("hidden", [(64, 64), (256, 256)])
def test_a_gradient_in_bfloat16_is_float32s_within_a_hundredth(hidden):
    net = MlpNet(Shape(6, 4, hidden, "tanh", False, False))
    flat = net.initial(np.random.default_rng(1))
    whole, half = gradient_of(net, flat, 2048), gradient_of(HalfNet(net), flat, 2048)
    assert np.linalg.norm(half - whole) < 0.01 * np.linalg.norm(whole)
    assert not np.array_equal(half, whole)


def test_a_policy_trained_in_bfloat16_leaves_in_float32():
    learner, plain = learner_of(Copy(), precision="bfloat16"), learner_of(Copy())
    update(learner)
    state = learner.state_dict()
    obs = Copy().observe()
    assert "bfloat16" in learner.notes[0]
    np.testing.assert_array_equal(learner.policy().value(obs), plain.policy_from(state).value(obs))


# --- squashed actions --------------------------------------------------------------------------------------------


def test_what_tanh_adds_to_the_entropy_is_the_mean_logarithm_of_its_slope():
    mean, log_std = torch.tensor([[0.0, 1.5], [-3.0, 0.3]]), torch.tensor([-1.0, 0.2])
    u = np.linspace(-14, 14, 280_001)
    expected = []
    for row in mean.numpy():
        total = 0.0
        for m, s in zip(row, log_std.exp().numpy(), strict=True):
            density = np.exp(-0.5 * ((u - m) / s) ** 2) / (s * np.sqrt(2 * np.pi))
            total += float((density * np.log(1 - np.tanh(np.clip(u, -18, 18)) ** 2 + 1e-300)).sum() * (u[1] - u[0]))
        expected.append(total)
    assert squashing(mean, log_std).tolist() == pytest.approx(expected, abs=2e-3)


def test_a_squashed_action_is_the_tangent_of_what_the_loss_sees():
    task = Sent()
    learner = learner_of(task, squash_output=True)
    learner.collect(0.0)
    drawn = learner.state_dict()["collector"]["rollout"]["action"][0].numpy()
    assert np.abs(drawn).max() > 0.8
    np.testing.assert_allclose(task.sent[0], np.tanh(drawn), rtol=1e-5)
    obs = task.observe()
    assert (np.abs(learner.policy().act(obs, None)) < 1).all()


class Sent(Aim):
    """Keeps the actions that it gets."""

    def __init__(self, num_envs=16):
        super().__init__(num_envs)
        self.sent = []

    def play(self, action):
        self.sent.append(action)
        return super().play(action)


# --- networks ----------------------------------------------------------------------------------------------------


def test_derived_gradients_are_refused_where_there_are_none():
    with pytest.raises(ConfigError, match="derived"):
        learner_of(Aim(), gradients="derived")


def test_derived_and_autograd_gradients_walk_the_same_path():
    derived, autograd = learner_of(Nim(), pool_every=1), learner_of(Nim(), pool_every=1, gradients="autograd")
    for _ in range(3):
        update(derived)
        update(autograd)
    np.testing.assert_allclose(parameters(derived), parameters(autograd), atol=1e-4)


class Corner(Probe):
    """A 3x3 board of noise; the action that the upper left cell names is right."""

    width = 9

    def __init__(self, num_envs=16):
        super().__init__(num_envs)
        self.spec = type(self.spec)(
            **{f: getattr(self.spec, f) for f in self.spec.__struct_fields__} | {"obs_shape": (1, 3, 3)}
        )

    def observe(self):
        return self.cue.astype(np.float32).reshape(-1, 1, 3, 3)

    def play(self, action):
        return np.where(action == self.cue[:, 0], 1.0, -1.0), ~self._none(), self._none()


def test_a_convolution_learns_from_a_board():
    learner = learner_of(Corner(), network="conv", gamma=0.9, ent_coef=0.0, learning_rate=1e-3)
    for _ in range(25):
        metrics = update(learner)
    assert metrics["rollout/ep_rew_mean"] > 0.9


def test_a_convolution_needs_a_board():
    with pytest.raises(ConfigError, match="board or image"):
        learner_of(Copy(), network="conv")


def test_an_unknown_network_is_refused():
    with pytest.raises(ConfigError, match="no network"):
        learner_of(Copy(), network="cnov")


def test_a_checkpoint_of_another_network_is_refused():
    with pytest.raises(ConfigError, match="parameters"):
        learner_of(Copy(), hidden=[8]).load_state_dict(learner_of(Copy()).state_dict())


def test_a_checkpoint_made_without_normalisation_is_refused_by_a_run_that_normalises():
    with pytest.raises(ConfigError, match="without moments"):
        learner_of(Copy(), normalize_observations=True).load_state_dict(learner_of(Copy()).state_dict())


def test_a_checkpoint_of_another_algorithm_is_refused():
    other = build("dqn", Copy(), settings(), "cpu")
    with pytest.raises(ConfigError, match="made by dqn"):
        learner_of(Copy()).load_state_dict(other.state_dict())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("network", "task"), [("mlp", Nim), ("mlp", Aim), ("conv", Corner)])
def test_a_learner_on_the_gpu_learns_and_its_state_goes_on_on_the_cpu(network, task, precision):
    config = settings(ppo=SMALL | {"network": network, "pool_every": 2, "precision": precision})
    learner, here = build("ppo", task(), config, "cuda"), build("ppo", task(), config, "cpu")
    for _ in range(5):
        update(learner)
    assert any("cuda" in note for note in learner.notes)
    here.load_state_dict(learner.state_dict())
    np.testing.assert_array_equal(parameters(here), learner.state_dict()["parameters"].cpu().numpy())
    assert np.isfinite(update(here)["train/loss"])


# --- non-finite numbers ------------------------------------------------------------------------------------------


class Poisoned(Copy):
    """Gives NaN in the named place at step 20."""

    def __init__(self, where: str) -> None:
        self.where, self.count = where, 0
        super().__init__()

    def play(self, action):
        self.count += 1
        reward, terminated, truncated = super().play(action)
        if self.where == "reward" and self.count == 20:
            reward = reward * np.nan
        return reward, terminated, truncated

    def observe(self):
        obs = super().observe()
        return obs * np.nan if self.where == "observation" and self.count == 20 else obs


@pytest.mark.parametrize("gradients", ["derived", "autograd"])
@pytest.mark.parametrize("where", ["reward", "observation"])
def test_a_number_that_is_not_finite_is_named_before_any_step(where, gradients):
    learner = learner_of(Poisoned(where), gradients=gradients)
    update(learner)
    before = parameters(learner)
    with pytest.raises(Diverged, match=where):
        update(learner)
    assert np.array_equal(parameters(learner), before)


@pytest.mark.parametrize("gradients", ["derived", "autograd"])
def test_a_loss_that_is_not_finite_is_named_and_the_parameters_stay_finite(gradients):
    learner = learner_of(Copy(), gradients=gradients, vf_coef=1e38)
    with pytest.raises(Diverged, match=r"loss|gradient"):
        update(learner)
    assert np.isfinite(parameters(learner)).all()


# --- episodes and the rollout --------------------------------------------------------------------------------------


def test_episode_statistics_count_lengths_returns_and_outcomes_across_rollouts():
    spec = Nim(2).spec
    rollout, episodes = Rollout(spec, 2), Episodes(spec)
    obs, mask = np.zeros((2, 8), np.uint8), np.ones((2, 2), np.bool_)

    def step(reward, over, outcome, mover):
        none = np.zeros(2, np.bool_)
        return Step(
            obs, np.array(reward, np.float32), np.array(over), none, obs, mask, np.array(mover, np.int8), ~none,
            np.array(outcome, np.int8),
        )  # fmt: skip

    rollout.begin(Reset(obs, mask, np.array([0, 0], np.int8)))
    rollout.put(np.zeros(2, np.int64), step([0, 1], [False, True], [0, 1], [1, 0]))
    rollout.put(np.zeros(2, np.int64), step([0, 0], [False, False], [0, 0], [0, 1]))
    episodes.add(rollout)
    rollout.restart()
    # environment 0's third ply is the first player's: +1; environment 1's second ply is the second player's win: -1
    rollout.put(np.zeros(2, np.int64), step([1, 1], [True, True], [1, 2], [0, 0]))
    rollout.put(np.zeros(2, np.int64), step([0, 0], [False, False], [0, 0], [1, 1]))
    episodes.add(rollout)
    metrics = episodes.metrics()
    assert metrics["rollout/ep_len_mean"] == pytest.approx((1 + 3 + 2) / 3)
    assert metrics["rollout/ep_rew_mean"] == pytest.approx((1 + 1 - 1) / 3)
    assert metrics["game/black_rate"] == pytest.approx(2 / 3)
    assert metrics["game/white_rate"] == pytest.approx(1 / 3)
    assert metrics["game/draw_rate"] == 0


def test_before_the_first_episode_end_there_is_no_mean():
    assert Episodes(Nim(2).spec).metrics() == {}


def test_a_reset_row_reaches_no_statistics():
    learner = learner_of(Resetting(), n_steps=64)
    metrics = update(learner)
    assert metrics["rollout/ep_len_mean"] == 2
    assert -2 <= metrics["rollout/ep_rew_mean"] <= 2, "the 99 of the reset row is not counted"


def test_a_reset_row_reaches_no_loss():
    """The reward of 99 on rows that are no transitions would dwarf everything else."""
    assert update(learner_of(Resetting(), n_steps=64))["train/value_loss"] < 10


class Stale(Copy):
    """No row is a transition, as after a resume of a task that cannot be saved exactly."""

    def step(self, action):
        return super().step(action)._replace(valid=self._none())


def test_a_rollout_without_a_transition_changes_no_parameter():
    learner = learner_of(Stale())
    before = parameters(learner)
    metrics = update(learner)
    assert np.array_equal(parameters(learner), before)
    assert "train/loss" not in metrics


# --- the pool ----------------------------------------------------------------------------------------------------


def test_snapshots_are_kept_up_to_the_pools_size_the_oldest_leaving():
    learner = learner_of(Nim(), pool_every=2, pool_size=2)
    kept = []
    for number in range(1, 9):
        update(learner)
        if number % 2 == 0:
            kept.append(parameters(learner))
    held = [s.numpy() for s in learner.state_dict()["pool"]["snapshots"]]
    assert len(held) == 2
    assert all(np.array_equal(a, b) for a, b in zip(held, kept[-2:]))


def test_a_snapshot_plays_one_seat_of_the_pools_environments_only():
    learner = learner_of(Nim(), pool_every=1, pool_share=0.5)
    update(learner)
    for _ in range(3):
        learner.collect(0.0)
    state = learner.state_dict()
    own, to_move = state["collector"]["rollout"]["own"].numpy(), state["collector"]["rollout"]["to_move"].numpy()
    assert own[:, 8:].all()
    assert not own[:, :8].all()
    assert own[:, :8].any()
    assert len(to_move) == len(own) + 1


def test_the_pools_share_can_change_while_it_runs_and_is_resumed():
    learner = learner_of(Nim(), pool_every=1, pool_share=0.5)
    update(learner)
    assert learner.set("pool_share", 0.75) == 0.5
    for _ in range(3):
        learner.collect(0.0)
    own = learner.state_dict()["collector"]["rollout"]["own"].numpy()
    assert own[:, 12:].all()
    assert not own[:, 8:12].all()
    again = learner_of(Nim(), pool_every=1, pool_share=0.5)
    again.load_state_dict(learner.state_dict())
    assert again.state_dict()["settings"]["pool_share"] == 0.75
    assert len(again.state_dict()["pool"]["seats"]) == 12


def test_without_a_pool_every_row_is_the_learners():
    learner = learner_of(Nim(), pool_size=0)
    update(learner)
    learner.collect(0.0)
    assert learner.state_dict()["pool"] is None
    assert learner.state_dict()["collector"]["rollout"]["own"].all()


# --- actions and normalisation --------------------------------------------------------------------------------------


class Wide(Aim):
    """Aim with bounds [10, 20]; keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = msgspec.structs.replace(self.spec, action_low=10.0, action_high=20.0)
        self.seen: list[np.ndarray] = []

    def play(self, action):
        self.seen.append(action)
        return super().play((action - 15) / 5)


def test_a_box_action_is_scaled_to_the_tasks_bounds_and_never_leaves_them():
    task = Wide()
    update(learner_of(task))
    seen = np.concatenate(task.seen)
    assert seen.min() == 10
    assert seen.max() == 20
    assert seen.mean() == pytest.approx(15, abs=0.5)


def test_a_masked_action_is_never_played_and_has_no_probability():
    task = Masked()
    learner = learner_of(task)
    update(learner)
    p = learner.policy().probabilities(task.observe(), task.legal())
    assert (p[~task.legal()] == 0).all()
    assert p.sum(1) == pytest.approx(1)


def test_sampled_actions_follow_the_policys_probabilities():
    task = Copy(4096)
    learner = learner_of(task, num_envs=4096, n_steps=2, batch_size=64)
    learner.collect(0.0)
    state = learner.state_dict()["collector"]["rollout"]
    action, obs = state["action"].numpy()[0], state["obs"].numpy()[0]
    p = learner.policy().probabilities(obs, None)[:, 1].mean()
    assert action.mean() == pytest.approx(p, abs=0.04)


def test_moments_of_parts_equal_moments_of_the_whole():
    rows = np.random.default_rng(0).normal(3, 2, (1000, 2)).astype(np.float32)
    moments = Moments(2)
    for part in np.array_split(rows, 7):
        moments.update(part)
    assert moments.mean == pytest.approx(rows.mean(0), abs=1e-5)
    assert moments.variance == pytest.approx(rows.var(0), rel=1e-5)
    assert moments.normalise(rows).std(0) == pytest.approx([1, 1], abs=1e-3)


def test_bytes_that_are_not_binary_are_scaled_to_one():
    class Bytes(Copy):
        dtype = "uint8"

        def __init__(self, binary):
            super().__init__()
            self.spec = msgspec.structs.replace(self.spec, obs_binary=binary)

    learner, twin = learner_of(Bytes(False)), learner_of(Bytes(True))
    obs = np.array([[255], [0]], np.uint8)
    assert np.array_equal(learner.policy().value(obs), twin.policy().value(np.array([[1], [0]], np.uint8)))


def test_truncated_values_come_from_the_last_observation_not_from_the_next_episode():
    class Marked(Endless):
        """The last observation of an episode is 5, all others are 1."""

        def observe(self):
            return np.where(self.phase == 4, 5.0, 1.0)[:, None].astype(np.float32)

    learner = learner_of(Marked(), n_steps=8)
    while not learner.collect(0.0).complete:
        pass
    final = learner.state_dict()["collector"]["rollout"]["final_obs"]
    assert list(final) == ["3", "7"]
    assert (final["3"] == 5).all()
    assert torch.equal(learner.state_dict()["collector"]["rollout"]["obs"][4], torch.ones(16, 1))

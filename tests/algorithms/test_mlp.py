"""The hand-derived gradient, Adam and the numpy passes against torch's."""

import numpy as np
import pytest
import torch

from tui_trainer.algorithms import mlp
from tui_trainer.algorithms.arrays import generator_of, orthogonal
from tui_trainer.algorithms.networks import MlpNet, TorchForward
from tui_trainer.algorithms.updates import AutogradUpdater
from tui_trainer.errors import Diverged

ROWS, INPUTS, ACTIONS = 257, 11, 5


def network(shared=False, activation="tanh", hidden=(24, 16), box=False) -> tuple[MlpNet, torch.Tensor]:
    net = MlpNet(mlp.Shape(INPUTS, ACTIONS, hidden, activation, shared, box))
    flat = torch.from_numpy(net.initial(generator_of(1, 0)))
    return net, flat * 1.5 + 0.01


def batch(masked=False, pooled=False, seed=0) -> mlp.Batch:
    """Rows whose ratios and value changes fall on both sides of every clip."""
    rng = np.random.default_rng(seed)

    def normal(*size):
        return rng.standard_normal(size).astype(np.float32)

    action = rng.integers(0, ACTIONS, ROWS)
    mask = rng.random((ROWS, ACTIONS)) < 0.7
    mask[np.arange(ROWS), action] = True
    return mlp.Batch(
        x=normal(ROWS, INPUTS),
        action=action,
        log_prob=np.float32(-np.log(ACTIONS)) + 0.4 * normal(ROWS),
        advantage=normal(ROWS),
        returns=normal(ROWS),
        value=normal(ROWS),
        mask=mask if masked else None,
        own=(rng.random(ROWS) < 0.8).astype(np.float32) if pooled else None,
    )


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize(("masked", "pooled", "clip_vf"), [(False, False, 0.0), (True, False, 0.3), (True, True, 0.0)])
def test_the_hand_derived_gradient_equals_autograds(shared, activation, masked, pooled, clip_vf):
    net, flat = network(shared, activation)
    weights = mlp.Weights(clip_range=0.2, clip_range_vf=clip_vf, ent_coef=0.03, vf_coef=0.7)
    rows = batch(masked, pooled)
    derived = mlp.Derived(net.shape, flat.numpy())
    losses = derived(rows, weights)
    reference = AutogradUpdater(net, flat.clone())
    stepped = reference.step(rows, weights, learning_rate=0.1, max_grad_norm=1e9, max_kl=0)
    expected = reference.gradient().numpy()
    error = np.linalg.norm(derived.gradient - expected) / np.linalg.norm(expected)
    assert error <= 1e-6
    np.testing.assert_allclose(losses, stepped.losses, rtol=2e-5, atol=2e-6)
    assert 0.05 < losses.clip_fraction < 0.95, "both sides of the clip are exercised"


def test_a_gradient_is_right_for_every_batch_size_in_turn():
    net, flat = network()
    weights = mlp.Weights(0.2, 0.0, 0.01, 0.5)
    derived = mlp.Derived(net.shape, flat.numpy())
    whole = batch()
    half = mlp.Batch(*(None if field is None else field[: ROWS // 2] for field in whole))
    derived(half, weights)
    first = derived.gradient.copy()
    derived(whole, weights)
    derived(half, weights)
    assert np.array_equal(derived.gradient, first)


def test_adam_walks_where_torchs_adam_walks():
    rng = np.random.default_rng(3)
    flat = rng.standard_normal(100).astype(np.float32)
    leaf = torch.nn.Parameter(torch.from_numpy(flat.copy()))
    ours, theirs = mlp.Adam(flat, eps=1e-5), torch.optim.Adam([leaf], lr=0.01, eps=1e-5)
    for _ in range(50):
        gradient = rng.standard_normal(100).astype(np.float32)
        ours.step(gradient, 0.01)
        leaf.grad = torch.from_numpy(gradient)
        theirs.step()
    np.testing.assert_allclose(flat, leaf.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shared", [False, True])
def test_the_numpy_pass_equals_torchs(shared):
    net, flat = network(shared)
    x = batch().x
    outputs, values = net.bind(flat).heads(x)
    expected = TorchForward(net, flat).heads(x)
    np.testing.assert_allclose(outputs, expected[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(values, expected[1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(net.bind(flat).outputs(x), outputs, rtol=1e-6, atol=1e-6)


def test_initial_weights_are_orthogonal_and_the_first_policy_almost_uniform():
    matrix = orthogonal(np.random.default_rng(0), (6, 3), 2.0)
    np.testing.assert_allclose(matrix.T @ matrix, 4 * np.eye(3), atol=1e-5)
    net = MlpNet(mlp.Shape(INPUTS, ACTIONS, (32, 32), "tanh", False, False))
    flat = torch.from_numpy(net.initial(generator_of(1, 0)))
    assert np.abs(net.bind(flat).outputs(batch().x)).max() < 0.2


def test_a_long_gradient_is_shortened_to_the_bound_and_a_short_one_left_alone():
    gradient = np.array([3.0, 4.0], np.float32)
    assert mlp.clip_norm(gradient, 10.0) == 5.0
    assert gradient.tolist() == [3.0, 4.0]
    assert mlp.clip_norm(gradient, 0.5) == 5.0
    np.testing.assert_allclose(gradient, [0.3, 0.4], rtol=1e-5)


def test_a_gradient_that_is_not_finite_raises():
    with pytest.raises(Diverged, match="gradient"):
        mlp.clip_norm(np.array([1.0, np.nan], np.float32), 1.0)

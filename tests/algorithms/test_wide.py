"""Arithmetic on legal actions alone agrees with whole rows."""

from __future__ import annotations

import numpy as np
import torch

from tui_trainer.algorithms import wide
from tui_trainer.algorithms.mlp import FORBIDDEN
from tui_trainer.algorithms.networks import PlanesNet
from tui_trainer.core.config import PPOSettings
from tui_trainer.core.protocols import TaskSpec

ROWS, N = 32, 2000


def case(seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    outputs = rng.normal(size=(ROWS, N)).astype(np.float32) * 3
    mask = rng.random((ROWS, N)) < 0.02
    mask[0] = False
    mask[0, 7] = True
    mask[1:, 5] = True
    action = np.array([rng.choice(np.flatnonzero(row)) for row in mask])
    return outputs, mask, action


def dense(outputs: np.ndarray, mask: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.where(mask, outputs, FORBIDDEN)).double().log_softmax(1)


def test_log_probabilities_are_those_of_the_masked_softmax() -> None:
    outputs, mask, action = case()
    expected = dense(outputs, mask)[torch.arange(ROWS), torch.from_numpy(action)]
    np.testing.assert_allclose(wide.log_prob(outputs, mask, action), expected, atol=1e-5)


def test_torchs_log_probabilities_entropies_and_gradients_are_those_of_the_masked_softmax() -> None:
    outputs, mask, action = case()
    plain, picked = (torch.from_numpy(outputs.copy()).requires_grad_(True) for _ in "ab")
    log_p = plain.masked_fill(~torch.from_numpy(mask), float(FORBIDDEN)).log_softmax(1)
    chosen = log_p.gather(1, torch.from_numpy(action)[:, None])[:, 0]
    entropy = -(log_p.exp() * log_p).sum(1)
    found, its_entropy = wide.torch_log_prob(picked, torch.from_numpy(mask), torch.from_numpy(action))
    torch.testing.assert_close(found, chosen, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(its_entropy, entropy, atol=1e-5, rtol=1e-5)
    (chosen.sum() + 0.3 * entropy.sum()).backward()
    (found.sum() + 0.3 * its_entropy.sum()).backward()
    torch.testing.assert_close(picked.grad, plain.grad, atol=1e-5, rtol=1e-4)


def test_draws_follow_the_probabilities_and_are_always_legal() -> None:
    outputs, mask, _ = case()
    p = dense(outputs, mask).exp().numpy()
    counts = np.zeros((ROWS, N))
    draws = 4000
    for luck in np.random.default_rng(2).random((draws, ROWS), np.float32):
        counts[np.arange(ROWS), wide.sample(outputs, mask, luck)] += 1
    assert not counts[~mask].any()
    assert np.abs(counts / draws - p).max() < 5 * 0.5 / draws**0.5


def test_the_least_and_the_greatest_luck_are_legal_too() -> None:
    outputs, mask, _ = case()
    for luck in (0.0, np.nextafter(np.float32(1), np.float32(0))):
        chosen = wide.sample(outputs, mask, np.full(ROWS, luck, np.float32))
        assert mask[np.arange(ROWS), chosen].all()


def board() -> TaskSpec:
    return TaskSpec(
        id="board", obs_shape=(3, 4, 5), obs_dtype="float32", action="discrete", n=40, action_planes=2, num_envs=2
    )


def test_a_planes_networks_outputs_lie_plane_by_plane_over_the_squares() -> None:
    """Only the square that differs, and its neighbours within two convolutions' reach, answer differently."""
    net = PlanesNet(board(), PPOSettings(network="planes", hidden=(6, 6)))
    flat = torch.from_numpy(net.initial(np.random.default_rng(1)))
    assert len(flat) == net.count
    x = np.zeros((2, 60), np.float32)
    x[1, 0] = 1
    outputs, values = net.bind(flat).heads(x)
    assert outputs.shape == (2, 40)
    assert values.shape == (2,)
    changed = (np.abs(outputs[1] - outputs[0]) > 1e-9).reshape(2, 4, 5)
    assert changed[:, :3, :3].any()
    assert not changed[:, 3:, :].any()
    assert not changed[:, :, 3:].any()

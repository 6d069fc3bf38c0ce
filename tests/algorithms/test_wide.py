"""Arithmetic on legal actions alone agrees with whole rows."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from tui_trainer.algorithms import wide
from tui_trainer.algorithms.mlp import FORBIDDEN
from tui_trainer.algorithms.networks import MovesNet, PlanesNet
from tui_trainer.core.config import PPOSettings
from tui_trainer.core.protocols import TaskSpec
from tui_trainer.errors import ConfigError

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


def logits_of(outputs: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, wide.Legal]:
    legal = wide.legal_of(mask)
    return wide.picked(outputs, legal), legal


def test_legal_actions_are_picked_out_row_by_row_and_spread_back() -> None:
    outputs, mask, _ = case()
    logits, legal = logits_of(outputs, mask)
    rows, actions = np.nonzero(mask)
    np.testing.assert_array_equal(legal.rows, rows)
    np.testing.assert_array_equal(legal.actions, actions)
    np.testing.assert_array_equal(logits, outputs[mask])
    np.testing.assert_array_equal(wide.spread(logits, legal, N, FORBIDDEN), np.where(mask, outputs, FORBIDDEN))


def test_some_rows_legal_actions_come_in_the_order_asked_for() -> None:
    outputs, mask, _ = case()
    logits, legal = logits_of(outputs, mask)
    rows = np.array([7, 0, 31, 7])
    numbers, among = legal.among(rows)
    np.testing.assert_array_equal(logits[numbers], outputs[rows][mask[rows]])
    np.testing.assert_array_equal(among.actions, np.nonzero(mask[rows])[1])
    np.testing.assert_array_equal(among.rows, np.nonzero(mask[rows])[0])


def test_log_probabilities_are_those_of_the_masked_softmax() -> None:
    outputs, mask, action = case()
    expected = dense(outputs, mask)[torch.arange(ROWS), torch.from_numpy(action)]
    np.testing.assert_allclose(wide.log_prob(*logits_of(outputs, mask), action), expected, atol=1e-5)


def test_torchs_log_probabilities_entropies_and_gradients_are_those_of_the_masked_softmax() -> None:
    outputs, mask, action = case()
    plain, whole = (torch.from_numpy(outputs.copy()).requires_grad_(True) for _ in "ab")
    log_p = plain.masked_fill(~torch.from_numpy(mask), float(FORBIDDEN)).log_softmax(1)
    chosen = log_p.gather(1, torch.from_numpy(action)[:, None])[:, 0]
    entropy = -(log_p.exp() * log_p).sum(1)
    legal = wide.legal_of(mask)
    found, its_entropy = wide.torch_log_prob(wide.picked(whole, legal), legal, action)
    torch.testing.assert_close(found, chosen, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(its_entropy, entropy, atol=1e-5, rtol=1e-5)
    (chosen.sum() + 0.3 * entropy.sum()).backward()
    (found.sum() + 0.3 * its_entropy.sum()).backward()
    torch.testing.assert_close(whole.grad, plain.grad, atol=1e-5, rtol=1e-4)


def test_draws_follow_the_probabilities_and_are_always_legal() -> None:
    outputs, mask, _ = case()
    p = dense(outputs, mask).exp().numpy()
    counts = np.zeros((ROWS, N))
    draws = 4000
    logits, legal = logits_of(outputs, mask)
    for luck in np.random.default_rng(2).random((draws, ROWS), np.float32):
        counts[np.arange(ROWS), wide.sample(logits, legal, luck)] += 1
    assert not counts[~mask].any()
    assert np.abs(counts / draws - p).max() < 5 * 0.5 / draws**0.5


def test_the_least_and_the_greatest_luck_are_legal_too() -> None:
    outputs, mask, _ = case()
    for luck in (0.0, np.nextafter(np.float32(1), np.float32(0))):
        chosen = wide.sample(*logits_of(outputs, mask), np.full(ROWS, luck, np.float32))
        assert mask[np.arange(ROWS), chosen].all()


def board() -> TaskSpec:
    return TaskSpec(
        id="board", obs_shape=(3, 4, 5), obs_dtype="float32", action="discrete", n=40, action_planes=2, num_envs=2,
        action_steps=((0, 3), (1, 0)),
    )  # fmt: skip


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


def moves_net() -> tuple[MovesNet, torch.Tensor]:
    net = MovesNet(board(), PPOSettings(network="moves", hidden=(6,)))
    flat = torch.from_numpy(net.initial(np.random.default_rng(1)))
    assert len(flat) == net.count
    return net, flat


def test_a_move_is_judged_from_the_square_it_leaves_and_the_one_it_reaches() -> None:
    """Square (0, 3), seen by its neighbours, moves what plane 0 does from there and from three to the left of there."""
    net, flat = moves_net()
    x = np.zeros((2, 60), np.float32)
    x[1, 3] = 1
    outputs, values = net.bind(flat).heads(x)
    assert outputs.shape == (2, 40)
    assert values.shape == (2,)
    changed = (np.abs(outputs[1] - outputs[0]) > 1e-9).reshape(2, 4, 5)
    near = np.zeros((4, 5), np.bool_)
    near[:2, 2:] = True
    reaches_near = np.zeros((4, 5), np.bool_)
    reaches_near[:2, :2] = True
    np.testing.assert_array_equal(changed[0], near | reaches_near)
    below = np.zeros((4, 5), np.bool_)
    below[0, 2:] = True
    np.testing.assert_array_equal(changed[1], near | below)


def test_a_moves_networks_legal_logits_and_their_gradient_are_those_of_all_its_logits() -> None:
    net, flat = moves_net()
    rng = np.random.default_rng(3)
    x, mask = rng.normal(size=(7, 60)).astype(np.float32), rng.random((7, 40)) < 0.3
    legal = wide.legal_of(mask)
    weights = torch.from_numpy(rng.normal(size=(7, 40)).astype(np.float32))
    leaves = [flat.clone().requires_grad_(True) for _ in "ab"]
    every, values = net.torch_heads(leaves[0], torch.from_numpy(x))
    alone, same = net.torch_heads(leaves[1], torch.from_numpy(x), legal)
    torch.testing.assert_close(alone, every[torch.from_numpy(mask)])
    torch.testing.assert_close(same, values)
    ((every * weights)[torch.from_numpy(mask)].sum() + values.sum()).backward()
    ((alone * weights[torch.from_numpy(mask)]).sum() + same.sum()).backward()
    torch.testing.assert_close(leaves[1].grad, leaves[0].grad)


def test_a_moves_network_says_which_task_it_cannot_serve() -> None:
    spec = msgspec.structs.replace(board(), action_steps=())
    with pytest.raises(ConfigError, match="from square to square"):
        MovesNet(spec, PPOSettings(network="moves"))

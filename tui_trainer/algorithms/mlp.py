"""A small actor-critic MLP over one flat vector, with PPO's gradient worked out by hand.

Layout: every hidden layer holds K towers side by side, (K, in, out): K = 2 for separate policy and value networks,
K = 1 where they share. Tower 0 feeds the policy head, the last tower the value head. All arrays are views of the
flat vector, so that one Adam step over it moves everything.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch

from tui_trainer.algorithms.arrays import Bool, Float, Int, as_tensor, copy_into, orthogonal, take
from tui_trainer.algorithms.wide import Legal
from tui_trainer.errors import Diverged

FORBIDDEN = np.float32(-1e8)
"""Logit of an action that the mask forbids: its probability is exactly 0."""


class Layers(NamedTuple):
    """Views of a flat vector: hidden weights (K, in, out), hidden biases (K, 1, out), heads, log_std (n,) or empty."""

    weights: list[Any]
    biases: list[Any]
    policy_w: Any
    policy_b: Any
    value_w: Any
    value_b: Any
    log_std: Any


class Shape(NamedTuple):
    """What fixes an actor-critic MLP."""

    inputs: int
    outputs: int
    hidden: tuple[int, ...]
    activation: str
    shared: bool
    box: bool
    critic: bool = True
    """False: there is no value head, as in a network of action values."""

    @property
    def towers(self) -> int:
        return 1 if self.shared else 2

    def sizes(self) -> list[tuple[int, ...]]:
        """Shapes in the order of the flat vector."""
        widths = (self.inputs, *self.hidden)
        hidden: list[tuple[int, ...]] = []
        for before, after in itertools.pairwise(widths):
            hidden += [(self.towers, before, after), (self.towers, 1, after)]
        policy: list[tuple[int, ...]] = [(widths[-1], self.outputs), (self.outputs,)]
        value: list[tuple[int, ...]] = [(widths[-1],), (1,)] if self.critic else [(0,), (0,)]
        return [*hidden, *policy, *value, (self.outputs if self.box else 0,)]

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(math.prod(size) for size in self.sizes())

    def layers(self, flat: Any) -> Layers:
        """Views of a flat vector, numpy or torch alike."""
        views, start = [], 0
        for size in self.sizes():
            length = math.prod(size)
            views.append(flat[start : start + length].reshape(size))
            start += length
        depth = 2 * len(self.hidden)
        return Layers(views[0:depth:2], views[1:depth:2], *views[depth:])

    def initial(self, rng: np.random.Generator, log_std: float = -0.5) -> Float:
        """Orthogonal weights (gain sqrt 2, policy head 0.01, value head 1), biases 0, as Stable-Baselines3."""
        flat = np.zeros(self.size, np.float32)
        layers = self.layers(flat)
        for weight in layers.weights:
            for tower in weight:
                tower[...] = orthogonal(rng, tower.shape, 2**0.5)
        layers.policy_w[...] = orthogonal(rng, layers.policy_w.shape, 0.01)
        if self.critic:
            layers.value_w[...] = orthogonal(rng, (len(layers.value_w), 1), 1.0)[:, 0]
        layers.log_std[...] = log_std
        return flat


def _activate(shape: Shape, z: Float) -> Float:
    if shape.activation == "tanh":
        return np.tanh(z, out=z)
    return np.maximum(z, _zeros(z.shape[-1]), out=z)


@lru_cache(maxsize=64)
def _zeros(width: int) -> Float:
    """A row of zeros: numpy compares with an array three times as fast as with a scalar."""
    return np.zeros(width, np.float32)


@lru_cache(maxsize=64)
def _ones(rows: int) -> Float:
    """Sums over a batch are a product with ones, which BLAS does faster than numpy sums."""
    return np.ones(rows, np.float32)


@lru_cache(maxsize=64)
def _even(rows: int) -> Float:
    """Equal shares that sum to 1."""
    return np.full(rows, 1 / rows, np.float32)


@lru_cache(maxsize=64)
def _columns(rows: int) -> Int:
    return np.arange(rows)


class MlpForward:
    """Passes without a gradient over parameters in the CPU's memory; a step of few rows is mostly calls, so that the
    views are made once."""

    def __init__(self, shape: Shape, flat: Float) -> None:
        self.shape = shape
        self.layers = layers = shape.layers(flat)
        hidden = list(zip(layers.weights, layers.biases, strict=True))
        self._actor = [(w[0], b[0, 0]) for w, b in hidden]
        self._critic = self._actor if shape.shared else [(w[-1], b[-1, 0]) for w, b in hidden]

    def outputs(self, x: Float, legal: Legal | None = None) -> Float:
        """Logits or mean actions, (B, inputs) -> (B, outputs), or (K,) of the legal actions."""
        return self._policy(self._through(self._actor, x), legal)

    def heads(self, x: Float, legal: Legal | None = None) -> tuple[Float, Float]:
        """Policy outputs as above and values (B,) in one pass."""
        h = self._through(self._actor, x)
        outputs = self._policy(h, legal)
        if not self.shape.shared:
            h = self._through(self._critic, x)
        values: Float = h.dot(self.layers.value_w)
        values += self.layers.value_b
        return outputs, values

    def action_values(self, x: Float) -> Float:
        """Q(s, a), (B, inputs) -> (B, outputs). With a value head the network duels: see `duel`."""
        if not self.shape.critic:
            return self.outputs(x)
        advantages, values = self.heads(x)
        return duel(advantages.T, values).T

    def _through(self, tower: list[tuple[Float, Float]], x: Float) -> Float:
        h = x
        for w, b in tower:
            h = h.dot(w)
            h += b
            _activate(self.shape, h)
        return h

    def _policy(self, h: Float, legal: Legal | None) -> Float:
        out: Float = h.dot(self.layers.policy_w)
        out += self.layers.policy_b
        return out if legal is None else out[legal.rows, legal.actions]


def duel(advantages: Float, values: Float) -> Float:
    """Q(s, a) = V(s) + A(s, a) - mean_a A(s, a), (outputs, B) and (B,) -> (outputs, B). Wang et al. 2016, eq. 9."""
    found: Float = advantages + (values - advantages.mean(0))
    return found


def torch_heads(shape: Shape, flat: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same pass in torch, for autograd."""
    layers = shape.layers(flat)
    act = torch.tanh if shape.activation == "tanh" else torch.relu
    h = x
    for w, b in zip(layers.weights, layers.biases, strict=True):
        h = act(h @ w + b)
    return h[0] @ layers.policy_w + layers.policy_b, h[-1] @ layers.value_w + layers.value_b


class Batch(NamedTuple):
    """A minibatch of PPO, in arrays or in tensors. `own` is 1 where the learner chose the action, 0 where a pool
    snapshot did."""

    x: Any
    action: Any
    log_prob: Any
    advantage: Any
    returns: Any
    value: Any
    mask: Any
    own: Any
    legal: Legal | None = None
    """Instead of the mask, where actions are many (wide.py)."""


class Weights(NamedTuple):
    """The coefficients of PPO's loss."""

    clip_range: Any
    """A number, or one in a tensor."""
    clip_range_vf: float
    ent_coef: float
    vf_coef: float


class Losses(NamedTuple):
    """What a minibatch showed, as means."""

    policy: float
    value: float
    entropy: float
    approx_kl: float
    clip_fraction: float

    def total(self, weights: Weights) -> float:
        """policy + vf_coef * value - ent_coef * entropy."""
        return self.policy + weights.vf_coef * self.value - weights.ent_coef * self.entropy


class Tape:
    """A forward pass that keeps its activations, and the way back, in buffers of its own.

    The buffers matter: fresh arrays of a megabyte cost more in page faults than the arithmetic on them.
    """

    def __init__(self, shape: Shape, flat: Float) -> None:
        self._shape = shape
        self.layers = shape.layers(flat)
        self.gradient = np.zeros_like(flat)
        self._grads = shape.layers(self.gradient)
        self._capacity = 0
        self._activations: list[Float] = []
        self._deltas: list[Float] = []

    def forward(self, x: Float) -> list[Float]:
        """The hidden layers' activations, (K, B, width) each; good until the next pass."""
        self._reserve(len(x))
        activations = [buffer[:, : len(x)] for buffer in self._activations]
        h = x
        for w, b, out in zip(self.layers.weights, self.layers.biases, activations, strict=True):
            np.matmul(h, w, out=out)
            out += b
            h = _activate(self._shape, out)
        return activations

    def outputs(self, top: Float) -> Float:
        """The policy head over the last activations, (outputs, B)."""
        found: Float = self.layers.policy_w.T @ top[0].T
        found += self.layers.policy_b[:, None]
        return found

    def values(self, top: Float) -> Float:
        """The value head over the last activations, (B,)."""
        found: Float = top[-1] @ self.layers.value_w
        found += self.layers.value_b
        return found

    def action_values(self, top: Float) -> Float:
        """Action values over the last activations, (outputs, B)."""
        outputs = self.outputs(top)
        return duel(outputs, self.values(top)) if self._shape.critic else outputs

    def _reserve(self, rows: int) -> None:
        if rows > self._capacity:
            self._capacity = rows
            sizes = [(self._shape.towers, rows, width) for width in self._shape.hidden]
            self._activations = [np.zeros(size, np.float32) for size in sizes]
            self._deltas = [np.zeros(size, np.float32) for size in sizes]

    def backward(self, x: Float, activations: list[Float], d_outputs: Float, d_values: Float | None) -> None:
        """Fill `gradient` from d loss / d outputs (outputs, B) and d loss / d values (B,); spends the activations."""
        deltas = [buffer[:, : len(x)] for buffer in self._deltas]
        self._through_heads(activations[-1], d_outputs, d_values, deltas[-1])
        for depth in range(len(activations) - 1, -1, -1):
            d_z, before = deltas[depth], activations[depth - 1].transpose(0, 2, 1) if depth else x.T
            self._through_activation(activations[depth], d_z)
            np.matmul(before, d_z, out=self._grads.weights[depth])
            np.matmul(_ones(len(x)), d_z, out=self._grads.biases[depth][:, 0])
            if depth:
                np.matmul(d_z, self.layers.weights[depth].transpose(0, 2, 1), out=deltas[depth - 1])

    def backward_values(self, x: Float, activations: list[Float], d_values: Float) -> None:
        """As `backward`, from d loss / d action values (outputs, B).

        d Q_a / d A_k = 1[k = a] - 1 / outputs          d Q_a / d V = 1
        """
        if not self._shape.critic:
            self.backward(x, activations, d_values, None)
        else:
            self.backward(x, activations, d_values - d_values.mean(0), d_values.sum(0))

    def _through_heads(self, top: Float, d_outputs: Float, d_values: Float | None, d_h: Float) -> None:
        """Gradients of the heads, and d loss / d top into d_h."""
        layers, grads = self.layers, self._grads
        np.matmul(top[0].T, d_outputs.T, out=grads.policy_w)
        np.matmul(d_outputs, _ones(d_outputs.shape[1]), out=grads.policy_b)
        np.matmul(d_outputs.T, layers.policy_w.T, out=d_h[0])
        if d_values is None:
            return
        np.matmul(d_values, top[-1], out=grads.value_w)
        grads.value_b[0] = d_values.sum()
        if self._shape.shared:
            d_h[0] += d_values[:, None] * layers.value_w
        else:
            np.dot(d_values[:, None], layers.value_w[None], out=d_h[-1])

    def _through_activation(self, h: Float, d_h: Float) -> None:
        """d_h times the activation's slope, (h > 0) or (1 - h^2), in place; h is spent."""
        if self._shape.activation == "relu":
            d_h *= h > 0
            return
        h *= h
        h *= d_h
        d_h -= h


class Derived:
    """Loss and gradient of PPO for discrete actions, without a graph."""

    def __init__(self, shape: Shape, flat: Float) -> None:
        self._tape = Tape(shape, flat)
        self.gradient = self._tape.gradient

    def __call__(self, batch: Batch, weights: Weights) -> Losses:
        """Fill `gradient` with d loss / d flat, loss as in `Losses.total`; return the losses."""
        tape = self._tape
        activations = tape.forward(batch.x)
        values = tape.values(activations[-1])
        policy, entropy, kl, clipped, d_logits = _policy_loss(tape.outputs(activations[-1]), batch, weights)
        value, d_values = _value_loss(values, batch, weights)
        tape.backward(batch.x, activations, d_logits, d_values)
        return Losses(policy, value, entropy, kl, clipped)


def _policy_loss(logits: Float, batch: Batch, weights: Weights) -> tuple[float, float, float, float, Float]:
    """Clipped surrogate and entropy over logits (n, B): loss, entropy, approximate KL, clipped share, d_logits.

    d log p(a) / d logit_k = 1[k = a] - p_k          d H / d logit_k = -p_k (log p_k + H)
    Schulman et al. 2017, eq. 7; the KL estimate is (r - 1) - log r (Schulman 2020).
    """
    log_p, p = _log_softmax(logits, batch.mask)
    chosen = batch.action * logits.shape[1] + _columns(logits.shape[1])
    log_ratio = log_p.ravel().take(chosen) - batch.log_prob
    ratio = np.exp(log_ratio)
    clipped = _clip(ratio, 1 - weights.clip_range, 1 + weights.clip_range)
    gain = batch.advantage * ratio
    gain_clipped = batch.advantage * clipped
    own = _shares(batch.own, logits.shape[1])
    p_log_p = p * log_p
    entropy = -p_log_p.sum(0)
    pull = np.where(gain <= gain_clipped, gain, np.float32(0)) * own
    spread = own * np.float32(weights.ent_coef)
    d_logits = p_log_p
    d_logits *= spread
    d_logits += p * (spread * entropy + pull)
    d_logits.reshape(-1)[chosen] -= pull
    policy = -float(np.dot(np.minimum(gain, gain_clipped), own))
    kl = float(np.dot(ratio - 1 - log_ratio, own))
    outside = float(np.dot((ratio != clipped).astype(np.float32), own))
    return policy, float(np.dot(entropy, own)), kl, outside, d_logits


def _clip(numbers: Float, low: float, high: float) -> Float:
    """np.clip without its overhead on short arrays."""
    found: Float = np.maximum(numbers, np.float32(low))
    return np.minimum(found, np.float32(high), out=found)


def _log_softmax(logits: Float, mask: Bool | None) -> tuple[Float, Float]:
    """Log-probabilities and probabilities over axis 0; spends `logits`."""
    if mask is not None:
        np.copyto(logits, FORBIDDEN, where=~mask.T)
    logits -= logits.max(0)
    p = np.exp(logits)
    total = p.sum(0)
    p /= total
    logits -= np.log(total)
    return logits, p


def _shares(own: Float | None, rows: int) -> Float:
    """Each row's share of the policy loss: they sum to 1, and a snapshot's rows have none."""
    if own is None:
        return _even(rows)
    return own / np.float32(max(1.0, float(own.sum())))


def _value_loss(values: Float, batch: Batch, weights: Weights) -> tuple[float, Float]:
    """Mean squared error (clipped around the old value where asked), and vf_coef times its slope."""
    error = values - batch.returns
    scale = np.float32(2 * weights.vf_coef / len(values))
    if weights.clip_range_vf <= 0:
        return float(np.dot(error, error)) / len(values), error * scale
    bound = weights.clip_range_vf
    change = values - batch.value
    inside = np.abs(change) <= np.float32(bound)
    error_clipped: Float = batch.value + _clip(change, -bound, bound) - batch.returns
    plain = error * error >= error_clipped * error_clipped
    worst = np.where(plain, error, error_clipped)
    return float(np.dot(worst, worst)) / len(values), worst * (scale * (plain | inside))


class Adam:
    """Adam over one flat vector, in place. Kingma and Ba 2015; eps inside as in torch.optim.Adam."""

    def __init__(self, flat: Float, *, eps: float) -> None:
        self._flat = flat
        self._eps = np.float32(eps)
        self.m = np.zeros_like(flat)
        self.v = np.zeros_like(flat)
        self.steps = 0
        self._scratch = np.empty_like(flat)

    def step(self, gradient: Float, learning_rate: float, beta1: float = 0.9, beta2: float = 0.999) -> None:
        """Move the vector against the gradient."""
        self.steps += 1
        scratch = self._scratch
        np.subtract(gradient, self.m, out=scratch)
        scratch *= np.float32(1 - beta1)
        self.m += scratch
        np.multiply(gradient, gradient, out=scratch)
        scratch -= self.v
        scratch *= np.float32(1 - beta2)
        self.v += scratch
        np.sqrt(self.v, out=scratch)
        scratch /= np.float32((1 - beta2**self.steps) ** 0.5)
        scratch += self._eps
        np.divide(self.m, scratch, out=scratch)
        scratch *= np.float32(learning_rate / (1 - beta1**self.steps))
        self._flat -= scratch

    def state_dict(self) -> dict[str, object]:
        return {"m": as_tensor(self.m), "v": as_tensor(self.v), "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        copy_into(self.m, state, "m")
        copy_into(self.v, state, "v")
        self.steps = int(take(state, "steps"))


def clip_norm(gradient: Float, bound: float) -> float:
    """Shorten the gradient to norm `bound`; returns the norm before. Raises Diverged where it is not finite."""
    with np.errstate(over="ignore"):
        norm = float(np.sqrt(np.dot(gradient, gradient)))
    if not math.isfinite(norm):
        raise Diverged("the gradient is not finite", "lower the learning rate and resume from the last good checkpoint")
    if norm > bound:
        gradient *= np.float32(bound / (norm + 1e-6))
    return norm

"""One step of PPO on a minibatch, in two ways with one interface: derived by hand, or by autograd."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import numpy as np
import torch
from torch.nn import functional

from tui_trainer.algorithms import mlp, wide
from tui_trainer.algorithms.arrays import take
from tui_trainer.algorithms.mlp import Batch, Losses, Weights
from tui_trainer.algorithms.networks import MlpNet, Net
from tui_trainer.errors import Diverged

if TYPE_CHECKING:
    from tui_trainer.algorithms.group import Group

_EPS = 1e-5
_NODES = 16
_HINT = "lower the learning rate and resume from the last good checkpoint"


class Stepped(NamedTuple):
    """A minibatch's losses, the gradient's norm before clipping, and whether the KL bound let the step happen."""

    losses: Losses
    grad_norm: float
    moved: bool


class Updater(Protocol):
    """Owns the optimizer of a flat parameter vector."""

    takes_legal: bool
    """Whether a batch of many actions names the legal ones instead of masking the others."""

    def step(
        self, batch: Batch, weights: Weights, *, learning_rate: float, max_grad_norm: float, max_kl: float
    ) -> Stepped:
        """Move the parameters, unless the KL passes `max_kl` (0 = no bound). Raises Diverged before a bad step."""
        ...

    def join(self, group: Group) -> None:
        """From now on gradients and losses are means over the ranks: all make the same step, or none does."""
        ...

    def state_dict(self) -> dict[str, object]: ...

    def load_state_dict(self, state: Mapping[str, object]) -> None: ...


def _require_finite(losses: Losses, weights: Weights) -> None:
    total = losses.total(weights)
    if not math.isfinite(total):
        bad = [name for name, value in losses._asdict().items() if not math.isfinite(value)]
        raise Diverged(f"the loss is not finite ({', '.join(bad)})", _HINT)


class DerivedUpdater:
    """Hand-derived gradients and Adam in numpy; discrete MLPs on the CPU."""

    takes_legal = False

    def __init__(self, net: MlpNet, flat: torch.Tensor) -> None:
        self._loss = mlp.Derived(net.shape, flat.numpy())
        self._adam = mlp.Adam(flat.numpy(), eps=_EPS)
        self._gradient = torch.from_numpy(self._loss.gradient)
        self._group: Group | None = None

    def join(self, group: Group) -> None:
        self._group = group

    def step(
        self, batch: Batch, weights: Weights, *, learning_rate: float, max_grad_norm: float, max_kl: float
    ) -> Stepped:
        losses = self._loss(batch, weights)
        if self._group is not None:
            losses = Losses(*self._group.average(self._gradient, losses))
        _require_finite(losses, weights)
        norm = mlp.clip_norm(self._loss.gradient, max_grad_norm)
        if 0 < max_kl < losses.approx_kl:
            return Stepped(losses, norm, moved=False)
        self._adam.step(self._loss.gradient, learning_rate)
        return Stepped(losses, norm, moved=True)

    def state_dict(self) -> dict[str, object]:
        return self._adam.state_dict()

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        self._adam.load_state_dict(state)


class AutogradUpdater:
    """Autograd and torch's fused Adam, on any device, for any network and action."""

    takes_legal = True

    def __init__(self, net: Net, flat: torch.Tensor, *, squash: bool = False) -> None:
        self._net, self._squash = net, squash
        self._flat = flat.requires_grad_(False)
        self._leaf = torch.nn.Parameter(flat)
        self._adam = torch.optim.Adam([self._leaf], eps=_EPS, fused=True)
        self._adam.state[self._leaf] = {
            "step": torch.zeros((), dtype=torch.float32, device=flat.device),
            "exp_avg": torch.zeros_like(flat),
            "exp_avg_sq": torch.zeros_like(flat),
        }
        self._group: Group | None = None

    def join(self, group: Group) -> None:
        self._group = group

    def step(
        self, batch: Batch, weights: Weights, *, learning_rate: float, max_grad_norm: float, max_kl: float
    ) -> Stepped:
        terms = self._terms(batch, weights)
        losses = Losses(*torch.stack(terms).tolist())
        if self._group is None:
            _require_finite(losses, weights)
        self._adam.zero_grad()
        (terms[0] + weights.vf_coef * terms[1] - weights.ent_coef * terms[2]).backward()  # type: ignore[no-untyped-call]
        if self._group is not None:
            losses = Losses(*self._group.average(self.gradient(), losses))
            _require_finite(losses, weights)
        norm = float(torch.nn.utils.clip_grad_norm_(self._leaf, max_grad_norm))
        if not math.isfinite(norm):
            raise Diverged("the gradient is not finite", _HINT)
        if 0 < max_kl < losses.approx_kl:
            return Stepped(losses, norm, moved=False)
        self._adam.param_groups[0]["lr"] = learning_rate
        self._adam.step()
        return Stepped(losses, norm, moved=True)

    def gradient(self) -> torch.Tensor:
        """The last gradient: as clipped, once it has been."""
        assert self._leaf.grad is not None
        return self._leaf.grad

    def _terms(self, batch: Batch, weights: Weights) -> list[torch.Tensor]:
        """Policy loss, value loss, entropy, approximate KL and clipped share, as in Losses."""
        device = self._flat.device
        x, advantage, old = (torch.from_numpy(a).to(device) for a in (batch.x, batch.advantage, batch.log_prob))
        returns, old_value = torch.from_numpy(batch.returns).to(device), torch.from_numpy(batch.value).to(device)
        outputs, values = self._net.torch_heads(self._leaf, x, batch.legal)
        log_prob, entropy = self._log_prob(outputs, batch)
        share = self._shares(batch)
        log_ratio = log_prob - old
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1 - weights.clip_range, 1 + weights.clip_range)
        policy = -(torch.minimum(advantage * ratio, advantage * clipped) * share).sum()
        value = _value_loss(values, returns, old_value, weights.clip_range_vf)
        with torch.no_grad():
            kl = ((ratio - 1 - log_ratio) * share).sum()
            outside = ((ratio != clipped) * share).sum()
        return [policy, value, (entropy * share).sum(), kl, outside]

    def _log_prob(self, outputs: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        action = torch.from_numpy(batch.action).to(outputs.device)
        log_std = self._net.log_std(self._leaf)
        if len(log_std):
            log_prob, entropy = gaussian(outputs, log_std, action)
            return log_prob, entropy + squashing(outputs, log_std) if self._squash else entropy
        if batch.legal is not None:
            return wide.torch_log_prob(outputs, batch.legal, batch.action)
        if batch.mask is not None:
            outputs = outputs.masked_fill(~torch.from_numpy(batch.mask).to(outputs.device), float(mlp.FORBIDDEN))
        log_p = outputs.log_softmax(1)
        return log_p.gather(1, action[:, None])[:, 0], -(log_p.exp() * log_p).sum(1)

    def _shares(self, batch: Batch) -> torch.Tensor:
        rows = len(batch.x)
        own = torch.ones(rows) if batch.own is None else torch.from_numpy(batch.own)
        return (own / own.sum().clamp(min=1)).to(self._flat.device)

    def state_dict(self) -> dict[str, object]:
        state = self._adam.state[self._leaf]
        return {"m": state["exp_avg"], "v": state["exp_avg_sq"], "steps": int(state["step"])}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        own = self._adam.state[self._leaf]
        own["exp_avg"].copy_(take(state, "m"))
        own["exp_avg_sq"].copy_(take(state, "v"))
        own["step"].fill_(float(take(state, "steps")))


def gaussian(mean: torch.Tensor, log_std: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-density of actions (B, n) under a diagonal Gaussian, and its entropy, both (B,)."""
    z = (action - mean) * (-log_std).exp()
    log_prob = -0.5 * (z * z + np.log(2 * np.pi)) - log_std
    entropy = (log_std + 0.5 * (1 + np.log(2 * np.pi))).sum().expand(len(mean))
    return log_prob.sum(1), entropy


def squashing(mean: torch.Tensor, log_std: torch.Tensor) -> torch.Tensor:
    """What tanh adds to a diagonal Gaussian's entropy: E[sum_i log(1 - tanh^2 u_i)], (B, n) -> (B,).

    The mean over each u_i is a Gauss-Hermite sum. The density of tanh(u) has the same factor (Haarnoja et al. 2018,
    appendix C), which cancels in the ratio of two policies: PPO's loss needs it nowhere else.
    """
    nodes, weights = (torch.from_numpy(a).to(mean) for a in np.polynomial.hermite_e.hermegauss(_NODES))
    u = mean[..., None] + log_std.exp()[:, None] * nodes
    slopes = 2 * (np.log(2) - u - functional.softplus(-2 * u))
    return cast(torch.Tensor, (slopes @ (weights / weights.sum())).sum(1))


def _value_loss(values: torch.Tensor, returns: torch.Tensor, old: torch.Tensor, bound: float) -> torch.Tensor:
    error = (values - returns) ** 2
    if bound <= 0:
        return error.mean()
    clipped = old + (values - old).clamp(-bound, bound)
    return torch.maximum(error, (clipped - returns) ** 2).mean()

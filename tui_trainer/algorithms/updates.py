"""One step of PPO on a minibatch, in two ways with one interface: derived by hand, or by autograd."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

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
        x, advantage, old = (_there(device, a) for a in (batch.x, batch.advantage, batch.log_prob))
        returns, old_value = _there(device, batch.returns), _there(device, batch.value)
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
        action = _there(outputs.device, batch.action)
        log_std = self._net.log_std(self._leaf)
        if len(log_std):
            log_prob, entropy = gaussian(outputs, log_std, action)
            return log_prob, entropy + squashing(outputs, log_std) if self._squash else entropy
        if batch.legal is not None:
            return wide.torch_log_prob(outputs, batch.legal, batch.action)
        if batch.mask is not None:
            outputs = outputs.masked_fill(~_there(outputs.device, batch.mask), float(mlp.FORBIDDEN))
        log_p = outputs.log_softmax(1)
        return log_p.gather(1, action[:, None])[:, 0], -(log_p.exp() * log_p).sum(1)

    def _shares(self, batch: Batch) -> torch.Tensor:
        device = self._flat.device
        own = torch.ones(len(batch.x), device=device) if batch.own is None else _there(device, batch.own)
        return own / own.sum().clamp(min=1)

    def state_dict(self) -> dict[str, object]:
        state = self._adam.state[self._leaf]
        return {"m": state["exp_avg"], "v": state["exp_avg_sq"], "steps": int(state["step"])}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        own = self._adam.state[self._leaf]
        own["exp_avg"].copy_(take(state, "m"))
        own["exp_avg_sq"].copy_(take(state, "v"))
        own["step"].fill_(float(take(state, "steps")))


class DeviceUpdater(AutogradUpdater):
    """The same loss and Adam where nothing waits for the host: what a step finds out stays on the device.

    `begin`, then any number of `move`s, then `read`. From the minibatch on whose losses or gradient are not finite, or
    whose KL passes the bound, no parameter moves until the next `begin`.
    """

    def __init__(self, net: Net, flat: torch.Tensor) -> None:
        super().__init__(net, flat)
        zero = torch.zeros((), device=flat.device)
        self._stopped, self._bad, self._count = zero.clone(), zero.clone(), zero.clone()
        self._sums = torch.zeros(len(Losses._fields) + 1, device=flat.device)
        self.clip_range = zero.clone()
        self._adam.param_groups[0]["lr"] = zero.clone()
        self._adam.param_groups[0]["capturable"] = flat.device.type == "cuda"

    def begin(self, learning_rate: float, clip_range: float) -> None:
        """A new update."""
        self._adam.param_groups[0]["lr"].fill_(learning_rate)
        self.clip_range.fill_(clip_range)
        for part in (self._stopped, self._bad, self._count, self._sums):
            part.zero_()

    def move(self, batch: Batch, weights: Weights, *, max_grad_norm: float, max_kl: float) -> None:
        """As `step`, with the learning rate of `begin`; `weights.clip_range` may be `clip_range`."""
        terms = self._terms(batch, weights)
        loss = terms[0] + weights.vf_coef * terms[1] - weights.ent_coef * terms[2]
        (gradient,) = torch.autograd.grad(loss, self._leaf)
        norm = torch.linalg.vector_norm(gradient)
        found = torch.stack([*(term.detach() for term in terms), norm])
        counts = 1 - self._stopped
        self._sums += torch.where(counts > 0, found, 0)
        self._count += counts
        self._bad.copy_(torch.maximum(self._bad, counts * (~found.isfinite().all()).float()))
        self._stopped.copy_(torch.maximum(self._stopped, self._bad))
        if max_kl > 0:
            self._stopped.copy_(torch.maximum(self._stopped, (found[3] > max_kl).float()))
        self._leaf.grad = gradient * (max_grad_norm / (norm + 1e-6)).clamp(max=1)
        self._adam.found_inf = self._stopped  # type: ignore[attr-defined]  # the fused step leaves all as it is where this is 1
        self._adam.step()

    def read(self) -> tuple[list[float], float]:
        """Means of the losses over the minibatches up to the one that stopped, and the gradient norm's: waits for the
        device. Raises Diverged where one was not finite."""
        *sums, count, bad = torch.cat([self._sums, torch.stack([self._count, self._bad])]).tolist()
        *losses, norm = (value / max(count, 1.0) for value in sums)
        if bad:
            names = [name for name, value in zip(Losses._fields, losses, strict=True) if not math.isfinite(value)]
            what = f"the loss is not finite ({', '.join(names)})" if names else "the gradient is not finite"
            raise Diverged(what, _HINT)
        return losses, norm

    @property
    def has_stopped(self) -> bool:
        """Whether no parameter moves any more in this update: waits for the device."""
        return bool(self._stopped)


def _there(device: torch.device, numbers: Any) -> torch.Tensor:
    """An array or a tensor as a tensor on the device; without a copy where it is there."""
    return torch.as_tensor(numbers, device=device)


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

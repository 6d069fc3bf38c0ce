"""Advantages of a rollout: generalised advantage estimation for one or two players."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tui_trainer.algorithms.arrays import Bool, Float


def gae(
    rewards: Float,
    values: Float,
    following: Float,
    terminated: Bool,
    truncated: Bool,
    flips: Bool,
    valid: Bool,
    *,
    gamma: float,
    lam: float,
) -> Float:
    """Generalised advantage estimates of the side that moved, (T, N) -> (T, N).

    d_t = r_t + gamma * s_t * V'_t - V_t          V' is 0 where terminated
    A_t = d_t + gamma * lam * s_t * A_{t+1}       cut where terminated or truncated

    `following` holds V': the value of what came after step t, seen by the side then to move (a truncated step's is
    the value of its true last observation). s_t is -1 where `flips`: the other side is then to move, and its gain is
    this side's loss. A row that is not `valid` has advantage 0 and hands nothing back. Schulman et al. 2016, eq. 16.
    """
    sign = np.where(flips, np.float32(-gamma), np.float32(gamma))
    deltas = rewards + sign * np.where(terminated, np.float32(0), following) - values
    deltas *= valid
    carry = sign * (~(terminated | truncated) & valid) * np.float32(lam)
    advantages: Float = np.empty_like(deltas)
    later = np.zeros_like(deltas[0])
    for row, kept, delta in zip(advantages[::-1], carry[::-1], deltas[::-1], strict=True):
        later = np.multiply(kept, later, out=row)
        later += delta
    return advantages


def gae_on_device(
    rewards: Tensor,
    values: Tensor,
    following: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    flips: Tensor,
    *,
    gamma: float,
    lam: float,
) -> Tensor:
    """`gae` in tensors of any device, where every row is valid."""
    sign = torch.where(flips, -gamma, gamma).to(rewards.dtype)
    advantages = rewards + sign * following.masked_fill(terminated, 0) - values
    carry = (sign * lam).masked_fill(terminated | truncated, 0)
    for t in range(len(rewards) - 2, -1, -1):
        advantages[t].addcmul_(carry[t], advantages[t + 1])
    return advantages

"""Policies over thousands of actions of which a mask leaves some dozens: arithmetic on the legal ones alone."""

from __future__ import annotations

import numpy as np
import torch

from tui_trainer.algorithms.arrays import Array, Bool, Float, Int
from tui_trainer.core.protocols import TaskSpec

WIDE = 1024
"""From so many actions on; below, whole rows are faster."""


def is_wide(spec: TaskSpec) -> bool:
    """Whether the legal actions are worth picking out."""
    return spec.action == "discrete" and spec.masked and spec.n >= WIDE


def sample(outputs: Float, mask: Bool, luck: Float) -> Int:
    """Actions (B,) drawn from the softmax of the legal logits (B, n), by numbers `luck` (B,) in [0, 1)."""
    rows, actions = np.nonzero(mask)
    starts = np.searchsorted(rows, np.arange(len(outputs)))
    logits = outputs[rows, actions].astype(np.float64)
    p = np.exp(logits - np.maximum.reduceat(logits, starts)[rows])
    reached = np.cumsum(p)
    before = reached[starts] - p[starts]
    goal = before + luck * np.add.reduceat(p, starts)
    last = np.append(starts[1:], len(rows)) - 1
    found: Int = actions[np.clip(np.searchsorted(reached, goal, side="right"), starts, last)]
    return found


def log_prob(outputs: Float, mask: Bool, action: Array) -> Float:
    """Log-probabilities (B,) of legal actions (B,) under the softmax of the legal logits (B, n)."""
    rows, actions = np.nonzero(mask)
    starts = np.searchsorted(rows, np.arange(len(outputs)))
    logits = outputs[rows, actions]
    top = np.maximum.reduceat(logits, starts)
    total = np.add.reduceat(np.exp(logits - top[rows]), starts)
    found: Float = outputs[np.arange(len(outputs)), action] - top - np.log(total)
    return found


def torch_log_prob(
    outputs: torch.Tensor, mask: torch.Tensor, action: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same and the entropies (B,), differentiable."""
    rows, actions = mask.nonzero(as_tuple=True)
    logits = outputs[rows, actions]
    zeros = torch.zeros(len(outputs), dtype=outputs.dtype, device=outputs.device)
    top = zeros.scatter_reduce(0, rows, logits.detach(), "amax", include_self=False)
    weights = (logits - top[rows]).exp()
    log_total = zeros.index_add(0, rows, weights).log() + top
    log_p = logits - log_total[rows]
    entropy = -zeros.index_add(0, rows, log_p.exp() * log_p)
    return outputs.gather(1, action[:, None])[:, 0] - log_total, entropy

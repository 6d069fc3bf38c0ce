"""Policies over thousands of actions of which a mask leaves some dozens: arithmetic on the legal ones alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from tui_trainer.algorithms.arrays import Array, Bool, Float, Int
from tui_trainer.core.protocols import TaskSpec

WIDE = 1024
"""From so many actions on; below, whole rows are faster."""


class Legal(NamedTuple):
    """The K legal actions of B rows, row by row; every row has one at least. Their logits are (K,), in this order."""

    starts: Int
    """(B + 1,): row b's are numbers starts[b] to starts[b + 1] - 1."""
    actions: Int
    """(K,)"""

    @property
    def counts(self) -> Int:
        """How many each row has, (B,)."""
        return np.diff(self.starts)

    @property
    def rows(self) -> Int:
        """The row of each, (K,)."""
        return np.repeat(np.arange(len(self.starts) - 1), self.counts)

    def among(self, rows: Int) -> tuple[Int, Legal]:
        """The numbers, in all, of some rows' legal actions, and these rows alone, in the order given."""
        counts = self.counts[rows]
        starts = np.append(0, np.cumsum(counts))
        numbers: Int = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], counts)
        return numbers, Legal(starts, self.actions[numbers])


def is_wide(spec: TaskSpec) -> bool:
    """Whether the legal actions are worth picking out."""
    return spec.action == "discrete" and spec.masked and spec.n >= WIDE


def legal_of(mask: Bool) -> Legal:
    """What a mask (B, n) leaves."""
    found = np.flatnonzero(mask)
    starts = np.searchsorted(found, np.arange(len(mask) + 1) * mask.shape[1])
    return Legal(starts, found - np.repeat(np.arange(len(mask)) * mask.shape[1], np.diff(starts)))


def nothing(rows: int) -> Legal:
    """No action at all, where only values are wanted."""
    return Legal(np.zeros(rows + 1, np.int64), np.zeros(0, np.int64))


def picked(outputs: Any, legal: Legal | None) -> Any:
    """The legal actions' logits (K,) of all (B, n), numpy or torch alike; all of them where `legal` is None."""
    return outputs if legal is None else outputs[legal.rows, legal.actions]


def spread(logits: Float, legal: Legal, n: int, rest: np.float32) -> Float:
    """The way back: (K,) -> (B, n), with `rest` wherever no action is legal."""
    found = np.full((len(legal.starts) - 1, n), rest, np.float32)
    found[legal.rows, legal.actions] = logits
    return found


def sample(logits: Float, legal: Legal, luck: Float) -> Int:
    """Actions (B,) drawn from the softmax of the legal logits (K,), by numbers `luck` (B,) in [0, 1)."""
    starts, last = legal.starts[:-1], legal.starts[1:] - 1
    exact = logits.astype(np.float64)
    p = np.exp(exact - np.repeat(np.maximum.reduceat(exact, starts), legal.counts))
    reached = np.cumsum(p)
    before = reached[starts] - p[starts]
    goal = before + luck * np.add.reduceat(p, starts)
    found: Int = legal.actions[np.clip(np.searchsorted(reached, goal, side="right"), starts, last)]
    return found


def log_prob(logits: Float, legal: Legal, action: Array) -> Float:
    """Log-probabilities (B,) of legal actions (B,) under the softmax of the legal logits (K,)."""
    starts = legal.starts[:-1]
    top = np.maximum.reduceat(logits, starts)
    total = np.add.reduceat(np.exp(logits - np.repeat(top, legal.counts)), starts)
    found: Float = logits[_numbers(legal, action)] - top - np.log(total)
    return found


def torch_log_prob(logits: torch.Tensor, legal: Legal, action: Array) -> tuple[torch.Tensor, torch.Tensor]:
    """The same and the entropies (B,), differentiable."""
    rows = torch.from_numpy(legal.rows).to(logits.device)
    chosen = torch.from_numpy(_numbers(legal, action)).to(logits.device)
    zeros = torch.zeros(len(action), dtype=logits.dtype, device=logits.device)
    top = zeros.scatter_reduce(0, rows, logits.detach(), "amax", include_self=False)
    weights = (logits - top[rows]).exp()
    log_total = zeros.index_add(0, rows, weights).log() + top
    log_p = logits - log_total[rows]
    entropy = -zeros.index_add(0, rows, log_p.exp() * log_p)
    return log_p[chosen], entropy


def _numbers(legal: Legal, action: Array) -> Int:
    """Which of the K each row's action (B,) is."""
    return np.flatnonzero(legal.actions == np.repeat(np.asarray(action), legal.counts))

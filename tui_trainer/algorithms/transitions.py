"""What a step leaves to learn from, over one step or several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tui_trainer.algorithms.arrays import Array, Bool, Float, Int, as_tensor, take_array
from tui_trainer.algorithms.rollout import Rollout
from tui_trainer.core.protocols import TaskSpec


class Transitions(NamedTuple):
    """Rows (B, ...). A target is reward + gamma * carry * (value of next_obs to the side that then moves)."""

    obs: Array
    action: Int
    reward: Float
    carry: Float
    """0 where terminated, negative where the other side then moves, less by gamma for each further step."""
    next_obs: Array
    next_mask: Bool | None


class Stretch(NamedTuple):
    """Steps of every environment in order, (T, N, ...). `carry` is as in Transitions, over one step."""

    obs: Array
    action: Int
    reward: Float
    carry: Float
    next_obs: Array
    next_mask: Bool | None
    ended: Bool
    valid: Bool

    @property
    def length(self) -> int:
        return len(self.valid)

    def cut(self, steps: slice) -> Stretch:
        """Some of the steps."""
        arrays: list[Any] = [None if array is None else array[steps] for array in self]
        return Stretch(*arrays)

    def copy(self) -> Stretch:
        """The same in arrays of its own."""
        arrays: list[Any] = [None if array is None else array.copy() for array in self]
        return Stretch(*arrays)


def stretch_of(r: Rollout, spec: TaskSpec) -> Stretch:
    """A full rollout. Actions of a truncated step's last observation all count as legal."""
    next_obs, next_mask = r.obs[1:].copy(), None if r.mask is None else r.mask[1:].copy()
    for t, final_obs in r.final_obs.items():
        next_obs[t, r.truncated[t]] = final_obs
        if next_mask is not None:
            next_mask[t, r.truncated[t]] = True
    flips = np.zeros_like(r.valid) if spec.players == 1 else r.flips()
    carry = np.where(r.terminated, 0, np.where(flips, -1, 1)).astype(np.float32)
    ended = r.terminated | r.truncated
    return Stretch(r.obs[:-1], r.action, r.reward, carry, next_obs, next_mask, ended, r.valid)


class Joiner:
    """Joins each step with the n - 1 that follow it in its episode. Sutton and Barto 2018, eq. 7.1.

    R_t = r_t + gamma * s_t * R_{t+1}, over n steps or to the episode's end; s_t is -1 where the other side then moves.
    The last n - 1 steps wait for those that follow them.
    """

    def __init__(self, spec: TaskSpec, n: int) -> None:
        self._n = n
        self._names = [name for name in Stretch._fields if spec.masked or name != "next_mask"]
        self._waiting: Stretch | None = None

    def __call__(self, fresh: Stretch, gamma: float) -> Transitions:
        """The transitions that these steps complete, oldest first."""
        steps = fresh if self._waiting is None else _after(self._waiting, fresh)
        count = max(0, steps.length - self._n + 1)
        found = _joined(steps, count, self._n, gamma)
        if self._n > 1:
            self._waiting = steps.cut(slice(count, None)).copy()
        return found

    def state_dict(self) -> dict[str, object]:
        if self._waiting is None:
            return {}
        return {name: as_tensor(getattr(self._waiting, name)) for name in self._names}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        held: dict[str, Any] = {name: take_array(state, name) for name in self._names} if state else {}
        self._waiting = Stretch(**({"next_mask": None} | held)) if held else None


def _after(first: Stretch, second: Stretch) -> Stretch:
    arrays: list[Any] = [None if a is None or b is None else np.concatenate([a, b]) for a, b in zip(first, second)]
    return Stretch(*arrays)


def _joined(s: Stretch, count: int, n: int, gamma: float) -> Transitions:
    """The first `count` steps, each joined with up to n - 1 later ones; rows that are no transitions are left out."""
    first = s.cut(slice(0, count))
    reward, carry, next_obs, next_mask = first.reward, first.carry, first.next_obs, first.next_mask
    if n > 1:
        reward, next_obs, next_mask = reward.copy(), next_obs.copy(), None if next_mask is None else next_mask.copy()
    goes_on = first.valid & ~first.ended
    for k in range(1, n):
        later = s.cut(slice(k, k + count))
        goes_on = goes_on & later.valid
        share = np.float32(gamma) * carry
        reward += np.where(goes_on, share * later.reward, 0)
        carry = np.where(goes_on, share * later.carry, carry)
        next_obs[goes_on] = later.next_obs[goes_on]
        if next_mask is not None and later.next_mask is not None:
            next_mask[goes_on] = later.next_mask[goes_on]
        goes_on = goes_on & ~later.ended
    rows = first.valid
    mask = None if next_mask is None else next_mask[rows]
    return Transitions(first.obs[rows], first.action[rows], reward[rows], carry[rows], next_obs[rows], mask)

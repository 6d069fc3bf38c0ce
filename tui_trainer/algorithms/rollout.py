"""What a rollout holds: preallocated arrays over (time, environment), filled a step at a time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tui_trainer.algorithms.arrays import Array, as_tensor, copy_into, take, take_array
from tui_trainer.core.protocols import Reset, Step, TaskSpec

_AHEAD = ("obs", "mask", "to_move")
"""Kept for the present decision, too: one row more than there are steps."""


_FIELDS = ("action", "reward", "terminated", "truncated", "valid", "own", "outcome")
_LATER = ("stays",)
"""Not in checkpoints of earlier versions, where it was always False."""


class Rollout:
    """`t` steps of `length`; row t of `obs`, `mask` and `to_move` is the decision that is due."""

    def __init__(self, spec: TaskSpec, length: int) -> None:
        n = spec.num_envs
        self.length, self.t = length, 0
        self.obs = np.zeros((length + 1, n, *spec.obs_shape), spec.obs_dtype)
        self.mask = np.ones((length + 1, n, spec.n), np.bool_) if spec.masked else None
        self.to_move = np.zeros((length + 1, n), np.int8)
        box = spec.action == "box"
        self.action: Array = np.zeros((length, n, spec.n), np.float32) if box else np.zeros((length, n), np.int64)
        self.reward = np.zeros((length, n), np.float32)
        self.terminated = np.zeros((length, n), np.bool_)
        self.truncated = np.zeros((length, n), np.bool_)
        self.valid = np.zeros((length, n), np.bool_)
        self.own = np.ones((length, n), np.bool_)
        """False where a pool snapshot chose the action."""
        self.outcome = np.zeros((length, n), np.int8)
        self.stays = np.zeros((length, n), np.bool_)
        """True where a truncated game would have gone on with the side that just moved."""
        self.final_obs: dict[int, Array] = {}
        """By step: the true last observations of its truncated environments, in order."""

    @property
    def is_full(self) -> bool:
        return self.t == self.length

    def begin(self, first: Reset) -> None:
        """Put the first decision at row 0."""
        self.t = 0
        self._decision(first.obs, first.mask, first.to_move)

    def put(self, action: Array, step: Step) -> None:
        """Append a transition and the decision after it. An episode that broke is truncated and not valid."""
        t = self.t
        self.action[t] = action
        self.reward[t] = step.reward
        self.terminated[t] = step.terminated
        self.truncated[t] = step.truncated
        self.valid[t] = step.valid
        self.outcome[t] = step.outcome
        if np.count_nonzero(self.truncated[t]):  # on few numbers far quicker than any()
            self.final_obs[t] = np.array(step.final_obs[self.truncated[t]])
            if step.final_to_move is not None:
                self.stays[t] = self.truncated[t] & (step.final_to_move == self.to_move[t])
        self.t = t + 1
        self._decision(step.obs, step.mask, step.to_move)

    def restart(self) -> None:
        """Begin anew from the decision that is due."""
        mask = None if self.mask is None else self.mask[self.t]
        self.final_obs = {}
        self.stays[...] = False
        self.begin(Reset(self.obs[self.t], mask, self.to_move[self.t]))

    def flips(self) -> Array:
        """(T, N): where the other side moves next, or would have."""
        changes = self.to_move[1:] != self.to_move[:-1]
        return np.asarray(np.where(self.truncated, ~self.stays, changes))

    def _decision(self, obs: Array, mask: Array | None, to_move: Array) -> None:
        self.obs[self.t] = obs
        self.to_move[self.t] = to_move
        if self.mask is not None:
            self.mask[self.t] = mask

    def _arrays(self) -> dict[str, Array]:
        found = {name: getattr(self, name) for name in (*_AHEAD, *_FIELDS, *_LATER)}
        return {name: array for name, array in found.items() if array is not None}

    def state_dict(self) -> dict[str, object]:
        """The filled rows only."""
        rows = {name: as_tensor(array[: self.t + (name in _AHEAD)]) for name, array in self._arrays().items()}
        final = {str(t): as_tensor(obs) for t, obs in self.final_obs.items()}
        return {"t": self.t, "final_obs": final, **rows}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Continue where `state_dict` was taken."""
        self.t = int(take(state, "t"))
        for name, array in self._arrays().items():
            if name in _LATER and name not in state:
                array[...] = False
            else:
                copy_into(array[: self.t + (name in _AHEAD)], state, name)
        held = take(state, "final_obs")
        cut = np.flatnonzero(self.truncated[: self.t].any(1)).tolist()
        self.final_obs = {t: take_array(held, str(t)) for t in cut}

"""A rollout that never leaves its device: what Rollout, Episodes and Inputs are where host memory is too far away."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from tui_trainer.algorithms.arrays import take
from tui_trainer.algorithms.episodes import GAMES, WINDOW, Episodes
from tui_trainer.algorithms.lines import LineFeatures, LineFeaturesOnDevice
from tui_trainer.core.protocols import TaskSpec, TensorStep
from tui_trainer.errors import DamagedSession


class InputsOnDevice:
    """As `policies.Inputs`, without normalisation."""

    def __init__(self, spec: TaskSpec, features: LineFeatures | None, device: torch.device) -> None:
        self._features = None if features is None else LineFeaturesOnDevice(features, device)
        self._scale = 1 / 255 if spec.obs_dtype == "uint8" and not spec.obs_binary else None

    def encode(self, obs: Tensor) -> Tensor:
        """The dear and compact part: (B, *obs_shape) -> (B, inputs)."""
        return obs.flatten(1) if self._features is None else self._features(obs)

    def finish(self, rows: Tensor) -> Tensor:
        """(B, inputs) -> (B, inputs) float32."""
        x = rows.to(torch.float32)
        return x if self._scale is None else x * self._scale


class ResidentRollout:
    """Steps (T, N), and the decision that is due: `x` (N, inputs), `mask` (N, n) or None, `to_move` (N,).

    Everything is written in place, at a row that the device counts itself: a recorded step fills row after row.
    """

    def __init__(self, first: TensorStep, x: Tensor, length: int) -> None:
        device, n = x.device, len(x)
        self.length, self.t = length, 0
        self.at = torch.zeros(1, dtype=torch.int64, device=device)
        """Row of the step that is due."""
        self.x, self.mask, self.to_move = x.clone(), _cloned(first.mask), first.to_move.clone()
        parts = {"x": x, "to_move": first.to_move, "reward": first.reward, "outcome": first.outcome}
        parts |= {name: torch.zeros(n, device=device) for name in ("log_prob", "value")}
        parts |= {name: torch.zeros(n, dtype=torch.bool, device=device) for name in ("terminated", "truncated", "own")}
        parts["action"] = torch.zeros(n, dtype=torch.int64, device=device)
        if first.mask is not None:
            parts["mask"] = first.mask
        self.rows = {name: _stacked(part, length) for name, part in parts.items()}

    def keep_ends(self) -> None:
        """Also what truncated episodes saw last, for a task that may truncate."""
        self.rows |= {"final_x": _stacked(self.x, self.length), "stays": _stacked(self.rows["own"][0], self.length)}

    @property
    def is_full(self) -> bool:
        return self.t == self.length

    def put(self, **columns: Tensor) -> None:
        """The row that is due, by name: (N, ...) each."""
        for name, column in columns.items():
            self.rows[name].index_copy_(0, self.at, column[None])

    def advance(self, step: TensorStep, x: Tensor) -> None:
        """The next decision is due."""
        self.x.copy_(x)
        self.to_move.copy_(step.to_move)
        if self.mask is not None and step.mask is not None:
            self.mask.copy_(step.mask)
        self.at.add_(1)

    def restart(self) -> None:
        """Begin anew from the decision that is due."""
        self.t = 0
        self.at.zero_()

    def flips(self) -> Tensor:
        """(T, N): where the other side moves next, or would have."""
        movers = self.rows["to_move"]
        changes = torch.cat([movers[1:], self.to_move[None]]) != movers
        if "stays" not in self.rows:
            return changes
        return torch.where(self.rows["truncated"], ~self.rows["stays"], changes)

    def _due(self) -> dict[str, Tensor]:
        due = {"x": self.x, "to_move": self.to_move}
        return due if self.mask is None else {**due, "mask": self.mask}

    def state_dict(self) -> dict[str, object]:
        """The filled rows only."""
        return {
            "t": self.t,
            "due": dict(self._due()),
            "rows": {name: rows[: self.t] for name, rows in self.rows.items()},
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Continue where `state_dict` was taken, in place."""
        self.t = int(take(state, "t"))
        self.at.fill_(self.t)
        due, rows = take(state, "due"), take(state, "rows")
        for name, part in self._due().items():
            fill(part, due, name)
        for name, part in self.rows.items():
            fill(part[: self.t], rows, name)


class ResidentEpisodes:
    """What `Episodes` counts, worked out on the device and read once a rollout."""

    def __init__(self, spec: TaskSpec, device: torch.device) -> None:
        self.windows = Episodes(spec)
        self._kinds = len(spec.outcomes) + 1
        self._returns = torch.zeros(spec.num_envs, dtype=torch.float64, device=device)
        self._lengths = torch.zeros(spec.num_envs, dtype=torch.int64, device=device)

    def add(self, rows: Mapping[str, Tensor]) -> None:
        """Take in a full rollout. Waits for the device."""
        over = rows["terminated"] | rows["truncated"]
        totals, counts = self._summed(rows, over)
        ended = over.flatten().nonzero()[:, 0]  # by step, then by environment, as they ended
        outcomes = rows["outcome"].flatten()[ended]
        last = ended[-WINDOW:]
        self.windows.note(
            totals.flatten()[last].tolist(),
            counts.flatten()[last].tolist(),
            outcomes[-GAMES:].tolist(),
            torch.stack([(outcomes == kind).sum() for kind in range(self._kinds)]).tolist(),
        )

    def _summed(self, rows: Mapping[str, Tensor], over: Tensor) -> tuple[Tensor, Tensor]:
        """Return and length up to each step since its episode began, (T, N) each; the open episodes' are kept."""
        sign = torch.where(rows["to_move"] == 1, -1.0, 1.0).to(torch.float64)
        sums = (rows["reward"] * sign).cumsum(0)
        number = torch.arange(len(over), device=over.device)[:, None]
        ends = torch.where(over, number, -1).cummax(0).values
        before = torch.cat([torch.full_like(ends[:1], -1), ends[:-1]])
        since = torch.where(before >= 0, sums.gather(0, before.clamp(min=0)), -self._returns)
        counts = torch.where(before >= 0, number - before, number + 1 + self._lengths)
        last = ends[-1]
        left = sums[-1] - sums.gather(0, last.clamp(min=0)[None])[0]
        self._returns.copy_(torch.where(last >= 0, left, self._returns + sums[-1]))
        self._lengths.copy_(torch.where(last >= 0, len(over) - 1 - last, self._lengths + len(over)))
        return sums - since, counts

    def state_dict(self) -> dict[str, object]:
        return {"windows": self.windows.state_dict(), "returns": self._returns, "lengths": self._lengths}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        self.windows.load_state_dict(take(state, "windows"))
        fill(self._returns, state, "returns")
        fill(self._lengths, state, "lengths")


def fill(target: Tensor, state: Mapping[str, object], key: str) -> None:
    """Fill `target` in place from the checkpoint. Raises DamagedSession where shapes differ."""
    value = torch.as_tensor(take(state, key))
    if value.shape != target.shape:
        raise DamagedSession(
            f"the checkpoint's {key!r} has shape {tuple(value.shape)}, this run needs {tuple(target.shape)}",
            "resume with the settings it was made with",
        )
    target.copy_(value)


def _stacked(row: Tensor, length: int) -> Tensor:
    return torch.zeros((length, *row.shape), dtype=row.dtype, device=row.device)


def _cloned(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.clone()

"""Frozen policies, for evaluation, watching and playing."""

from __future__ import annotations

import numpy as np

from tui_trainer.algorithms.arrays import Array, Bool, Float
from tui_trainer.algorithms.lines import LineFeatures
from tui_trainer.algorithms.mlp import FORBIDDEN, MlpForward, Shape
from tui_trainer.algorithms.moments import Moments
from tui_trainer.algorithms.networks import Forward
from tui_trainer.algorithms.wide import is_wide, legal_of, nothing, spread
from tui_trainer.core.protocols import TaskSpec


class Inputs:
    """What a network sees of observations: bytes 0..255 as 0..1 (binary ones as they are), normalised where asked."""

    def __init__(self, spec: TaskSpec, moments: Moments | None, features: LineFeatures | None = None) -> None:
        self.scale = np.float32(1 / 255) if spec.obs_dtype == "uint8" and not spec.obs_binary else None
        self.moments, self.features = moments, features

    def __call__(self, obs: Array) -> Float:
        """(B, *obs_shape) -> (B, inputs) float32."""
        return self.finish(self.encode(obs))

    def encode(self, obs: Array) -> Array:
        """The dear and compact part, done once for each observation: (B, *obs_shape) -> (B, inputs)."""
        return obs.reshape(len(obs), -1) if self.features is None else self.features(obs)

    def finish(self, rows: Array) -> Float:
        """The rest: (B, inputs) -> (B, inputs) float32."""
        x = self.scaled(rows)
        return x if self.moments is None else self.moments.normalise(x)

    def scaled(self, rows: Array) -> Float:
        """Encoded rows before normalisation."""
        x: Float = rows.astype(np.float32)
        if self.scale is not None:
            x *= self.scale
        return x


def to_environment(spec: TaskSpec, action: Float) -> Float:
    """A box action from the network's [-1, 1] to the task's bounds, clipped; left as it is where they are infinite."""
    low, high = spec.action_low, spec.action_high
    if not np.isfinite(high - low):
        return np.clip(action, np.float32(low), np.float32(high))
    unit = (np.clip(action, -1, 1) + np.float32(1)) * np.float32(0.5)
    return np.float32(low) + unit * np.float32(high - low)


class FrozenPolicy:
    """Greedy play with parameters of its own: the likeliest legal action, or a box policy's mean."""

    def __init__(self, spec: TaskSpec, forward: Forward, inputs: Inputs, *, squash: bool = False) -> None:
        self._spec, self.forward, self.inputs, self.squash = spec, forward, inputs, squash

    def act(self, obs: Array, mask: Bool | None) -> Array:
        outputs = self._outputs(obs, mask)
        return self._aimed(outputs) if self._spec.action == "box" else outputs.argmax(1)

    def probabilities(self, obs: Array, mask: Bool | None) -> Float:
        outputs = self._outputs(obs, mask)
        if self._spec.action == "box":
            return self._aimed(outputs)
        p: Float = np.exp(outputs - outputs.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        return p

    def value(self, obs: Array) -> Float:
        legal = nothing(len(obs)) if is_wide(self._spec) else None
        return self.forward.heads(self.inputs(obs), legal)[1]

    def _aimed(self, outputs: Float) -> Float:
        return to_environment(self._spec, np.tanh(outputs) if self.squash else outputs)

    def _outputs(self, obs: Array, mask: Bool | None) -> Float:
        if mask is not None and is_wide(self._spec):
            legal = legal_of(mask)
            return spread(self.forward.outputs(self.inputs(obs), legal), legal, self._spec.n, FORBIDDEN)
        outputs = self.forward.outputs(self.inputs(obs))
        return outputs if mask is None else np.where(mask, outputs, FORBIDDEN)


class GreedyPolicy:
    """The action of the highest value, over action values of its own."""

    def __init__(self, spec: TaskSpec, shape: Shape, flat: Float) -> None:
        self.forward, self.inputs = MlpForward(shape, flat), Inputs(spec, None)

    def act(self, obs: Array, mask: Bool | None) -> Array:
        best: Array = self.values(obs, mask).argmax(1)
        return best

    def probabilities(self, obs: Array, mask: Bool | None) -> Float:
        """1 for the action it takes."""
        return np.eye(self.forward.shape.outputs, dtype=np.float32)[self.act(obs, mask)]

    def value(self, obs: Array) -> Float:
        best: Float = self.values(obs, None).max(1)
        return best

    def values(self, obs: Array, mask: Bool | None) -> Float:
        """Of every action, (B, n); those that the mask forbids have the lowest there is."""
        values = self.forward.action_values(self.inputs(obs))
        return values if mask is None else np.where(mask, values, FORBIDDEN)

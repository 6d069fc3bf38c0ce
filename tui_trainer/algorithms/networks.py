"""Networks over one flat vector: what an actor, a learner and a frozen policy need of each.

`MlpNet` runs in numpy on the CPU; `ConvNet` runs in torch. Both can be differentiated by torch.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch.nn import functional

from tui_trainer.algorithms import mlp, wide
from tui_trainer.algorithms.arrays import Array, Float, Int, orthogonal
from tui_trainer.algorithms.lines import LineFeatures
from tui_trainer.algorithms.wide import Legal
from tui_trainer.core.config import PPOSettings
from tui_trainer.core.protocols import TaskSpec
from tui_trainer.errors import ConfigError

_CHANNELS = (32, 64)
_KERNEL = 3
_LARGEST_BOARD = 32
"""Squares of a side; what is larger is an image."""
_SQUARES = 12
_VALUE_PLANES, _VALUE_HIDDEN = 4, 64


class Forward(Protocol):
    """A network with its parameters bound: passes without a gradient, numpy in and out."""

    def outputs(self, x: Float, legal: Legal | None = None) -> Float:
        """Logits or mean actions, (B, inputs) -> (B, n); the legal actions' alone, (K,), where they are given."""
        ...

    def heads(self, x: Float, legal: Legal | None = None) -> tuple[Float, Float]:
        """Outputs as above and values (B,)."""
        ...


class Net(Protocol):
    """Pure functions of a flat parameter vector."""

    @property
    def count(self) -> int:
        """Number of parameters."""
        ...

    def initial(self, rng: np.random.Generator) -> Float:
        """First parameters."""
        ...

    def bind(self, flat: torch.Tensor) -> Forward:
        """Passes over these parameters, wherever they lie; later changes of the vector are seen."""
        ...

    def torch_heads(
        self, flat: torch.Tensor, x: torch.Tensor, legal: Legal | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs and values as of `Forward.heads`, differentiable."""
        ...

    def log_std(self, flat: torch.Tensor) -> torch.Tensor:
        """A box policy's log standard deviations (n,); empty for a discrete one."""
        ...


class TorchForward:
    """Passes in torch, on the parameters' device."""

    def __init__(self, net: Net, flat: torch.Tensor) -> None:
        self.net, self.flat = net, flat

    def outputs(self, x: Float, legal: Legal | None = None) -> Float:
        return self.heads(x, legal)[0]

    def heads(self, x: Float, legal: Legal | None = None) -> tuple[Float, Float]:
        with torch.no_grad():
            outputs, values = self.net.torch_heads(self.flat, torch.from_numpy(x).to(self.flat.device), legal)
        return outputs.cpu().numpy(), values.cpu().numpy()


def features(spec: TaskSpec, settings: PPOSettings) -> LineFeatures | None:
    """What is worked out of observations before the network sees them. Raises ConfigError where it cannot be."""
    return LineFeatures(spec) if settings.network == "lines" else None


def network(spec: TaskSpec, settings: PPOSettings, inputs: int) -> Net:
    """The network that the settings name. Raises ConfigError where it does not fit the task."""
    shape = mlp.Shape(inputs, spec.n, settings.hidden, settings.activation, settings.shared, spec.action == "box")
    if settings.network in ("mlp", "lines"):
        return MlpNet(shape)
    if settings.network == "planes":
        return PlanesNet(spec, settings)
    if settings.network == "moves":
        return MovesNet(spec, settings)
    if settings.network != "conv":
        raise ConfigError(
            f"ppo.network: {settings.network!r} is no network", "choose mlp, lines, conv, planes or moves"
        )
    if len(spec.obs_shape) not in (2, 3):
        raise ConfigError(f"ppo.network: conv needs a board or image, {spec.id} has {spec.obs_shape}", "choose mlp")
    return ConvNet(spec, shape)


class HalfNet:
    """Another network with its products in bfloat16; parameters, sums of the loss and the optimizer stay in float32."""

    def __init__(self, net: Net) -> None:
        self._net = net

    @property
    def count(self) -> int:
        return self._net.count

    def initial(self, rng: np.random.Generator) -> Float:
        return self._net.initial(rng)

    def bind(self, flat: torch.Tensor) -> Forward:
        return TorchForward(self, flat)

    def torch_heads(
        self, flat: torch.Tensor, x: torch.Tensor, legal: Legal | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast(flat.device.type, dtype=torch.bfloat16):
            outputs, values = self._net.torch_heads(flat, x, legal)
        return outputs.float(), values.float()

    def log_std(self, flat: torch.Tensor) -> torch.Tensor:
        return self._net.log_std(flat)


class MlpNet:
    """An MLP, see mlp.py."""

    def __init__(self, shape: mlp.Shape) -> None:
        self.shape = shape

    @property
    def count(self) -> int:
        return self.shape.size

    def initial(self, rng: np.random.Generator) -> Float:
        return self.shape.initial(rng)

    def bind(self, flat: torch.Tensor) -> Forward:
        return mlp.MlpForward(self.shape, flat.numpy()) if flat.device.type == "cpu" else TorchForward(self, flat)

    def torch_heads(
        self, flat: torch.Tensor, x: torch.Tensor, legal: Legal | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        outputs, values = mlp.torch_heads(self.shape, flat, x)
        return wide.picked(outputs, legal), values

    def log_std(self, flat: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, self.shape.layers(flat).log_std)


class ConvNet:
    """Two 3x3 convolutions that keep a board's size, or as many as bring an image down to 12 squares, each halving it;
    then an MLP."""

    def __init__(self, spec: TaskSpec, shape: mlp.Shape) -> None:
        planes, rows, columns = spec.obs_shape if len(spec.obs_shape) == 3 else (1, *spec.obs_shape)
        self.board = (planes, rows, columns)
        halvings = 0 if max(rows, columns) <= _LARGEST_BOARD else math.ceil(math.log2(max(rows, columns) / _SQUARES))
        self.stride = 2 if halvings else 1
        channels = (_CHANNELS[0],) * (halvings - 1) + _CHANNELS[-1:] if halvings else _CHANNELS
        self._convs = list(zip((planes, *channels[:-1]), channels, strict=True))
        for _ in range(halvings):
            rows, columns = -(-rows // 2), -(-columns // 2)
        self.top = shape._replace(inputs=channels[-1] * rows * columns)

    @property
    def count(self) -> int:
        return self._conv_count + self.top.size

    @property
    def _conv_count(self) -> int:
        return sum(before * after * _KERNEL**2 + after for before, after in self._convs)

    def initial(self, rng: np.random.Generator) -> Float:
        parts: list[Array] = []
        for before, after in self._convs:
            weight = orthogonal(rng, (after, before * _KERNEL**2), 2**0.5)
            parts += [weight.ravel(), np.zeros(after, np.float32)]
        return np.concatenate([*parts, self.top.initial(rng)])

    def bind(self, flat: torch.Tensor) -> Forward:
        return TorchForward(self, flat)

    def layers(self, flat: Any) -> tuple[list[tuple[Any, Any]], mlp.Layers]:
        """Views of a flat vector, numpy or torch alike: weight and bias of each convolution, and the MLP above them."""
        found, start = [], 0
        for before, after in self._convs:
            length = before * after * _KERNEL**2
            weight = flat[start : start + length].reshape(after, before, _KERNEL, _KERNEL)
            found.append((weight, flat[start + length : start + length + after]))
            start += length + after
        return found, self.top.layers(flat[start:])

    def torch_heads(
        self, flat: torch.Tensor, x: torch.Tensor, legal: Legal | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        h = x.reshape(-1, *self.board)
        for weight, bias in self.layers(flat)[0]:
            h = torch.relu(functional.conv2d(h, weight, bias, stride=self.stride, padding=_KERNEL // 2))
        outputs, values = mlp.torch_heads(self.top, flat[self._conv_count :], h.flatten(1))
        return wide.picked(outputs, legal), values

    def log_std(self, flat: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, self.top.layers(flat[self._conv_count :]).log_std)


class PlanesNet:
    """3x3 convolutions of `hidden` channels that keep the board's size; from each square a 1x1 convolution to the
    planes of its actions, and from all squares a narrow layer to the value."""

    kind = "planes"

    def __init__(self, spec: TaskSpec, settings: PPOSettings) -> None:
        if not spec.action_planes:
            raise ConfigError(
                f"ppo.network: {self.kind} needs actions in planes over a board, {spec.id} has none", "choose conv"
            )
        self.board = spec.obs_shape
        planes, rows, columns = spec.obs_shape
        self.squares, self.planes, self.top = rows * columns, spec.action_planes, settings.hidden[-1]
        self.trunk = len(settings.hidden)
        channels = (planes, *settings.hidden)
        convs = [(after, before, _KERNEL, _KERNEL) for before, after in itertools.pairwise(channels)]
        dense = [(_VALUE_HIDDEN, _VALUE_PLANES * self.squares), (1, _VALUE_HIDDEN)]
        narrow = (_VALUE_PLANES, self.top, 1, 1)
        self._shapes: list[tuple[int, ...]] = [*convs, *self._policy_shapes(), narrow, *dense]

    def _policy_shapes(self) -> list[tuple[int, ...]]:
        return [(self.planes, self.top, 1, 1)]

    @property
    def count(self) -> int:
        return sum(math.prod(shape) + shape[0] for shape in self._shapes)

    def initial(self, rng: np.random.Generator) -> Float:
        policy = len(self._shapes) - 4
        parts: list[Array] = []
        for number, shape in enumerate(self._shapes):
            gain = 0.01 if number == policy else 1.0 if number == len(self._shapes) - 1 else 2**0.5
            parts += [orthogonal(rng, (shape[0], math.prod(shape[1:])), gain).ravel(), np.zeros(shape[0], np.float32)]
        return np.concatenate(parts)

    def bind(self, flat: torch.Tensor) -> Forward:
        return TorchForward(self, flat)

    def torch_heads(
        self, flat: torch.Tensor, x: torch.Tensor, legal: Legal | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        layers = self.layers(flat)
        h = x.reshape(-1, *self.board)
        for weight, bias in layers[: self.trunk]:
            h = torch.relu(functional.conv2d(h, weight, bias, padding=_KERNEL // 2))
        *policy, narrow, dense, last = layers[self.trunk :]
        value = torch.relu(functional.conv2d(h, *narrow)).flatten(1)
        values = functional.linear(torch.relu(functional.linear(value, *dense)), *last)[:, 0]
        return self._policy(policy, h, legal), values

    def _policy(self, layers: list[tuple[Any, Any]], h: torch.Tensor, legal: Legal | None) -> torch.Tensor:
        """The actions' logits over the trunk's channels (B, top, rows, columns)."""
        outputs = functional.conv2d(h, *layers[0]).flatten(1)
        return cast(torch.Tensor, wide.picked(outputs, legal))

    def layers(self, flat: Any) -> list[tuple[Any, Any]]:
        """Views of a flat vector, numpy or torch alike: weight and bias of the trunk's convolutions, then of the
        policy's and the value's layers, then of the two from all squares to the value."""
        found, start = [], 0
        for shape in self._shapes:
            length = math.prod(shape)
            weight, bias = flat[start : start + length].reshape(shape), flat[start + length :][: shape[0]]
            found.append((weight, bias))
            start += length + shape[0]
        return found

    def log_std(self, flat: torch.Tensor) -> torch.Tensor:
        return flat[:0]


class MovesNet(PlanesNet):
    """The same trunk and value; an action is judged from both of its squares:

        logit = w . relu(A h[leaves] + B h[reaches] + e[plane]) + c

    so that what stands at a move's far end counts, however far that is. Of the legal actions alone, where given: some
    dozens instead of thousands.
    """

    kind = "moves"

    def __init__(self, spec: TaskSpec, settings: PPOSettings) -> None:
        super().__init__(spec, settings)
        if len(spec.action_steps) != spec.action_planes or not spec.action_planes:
            raise ConfigError(f"ppo.network: moves needs actions from square to square, {spec.id} has none", "try conv")
        self.reached = torch.from_numpy(_reached(spec))
        """The square that each action reaches, (n,)."""

    def _policy_shapes(self) -> list[tuple[int, ...]]:
        """A and B beside e, then w."""
        return [(self.top, 2 * self.top + self.planes), (1, self.top)]

    def _policy(self, layers: list[tuple[Any, Any]], h: torch.Tensor, legal: Legal | None) -> torch.Tensor:
        (weight, bias), last = layers
        squares = h.flatten(2).transpose(1, 2)
        leaving, reaching, plane = weight.split((self.top, self.top, self.planes), 1)
        leaves = functional.linear(squares, leaving, bias).flatten(0, 1)
        reaches = functional.linear(squares, reaching).flatten(0, 1)
        rows, actions = _pairs(legal, len(h), self.planes * self.squares, self.reached.to(h.device))
        start = rows * self.squares
        judged = functional.embedding(start + actions % self.squares, leaves)
        judged = judged + functional.embedding(start + self.reached.to(h.device)[actions], reaches)
        judged = judged + functional.embedding(actions // self.squares, plane.t())
        logits = functional.linear(torch.relu(judged), *last)[:, 0]
        return logits if legal is not None else logits.reshape(len(h), -1)


def _pairs(legal: Legal | None, rows: int, n: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Row and action of each legal action, or of all."""
    if legal is not None:
        return torch.from_numpy(legal.rows).to(like.device), torch.from_numpy(legal.actions).to(like.device)
    every = torch.arange(rows * n, device=like.device)
    return every // n, every % n


def _reached(spec: TaskSpec) -> Int:
    """Where each action's step leads, (n,); the square that it leaves where that is off the board."""
    _, rows, columns = spec.obs_shape
    row, column = np.divmod(np.arange(rows * columns), columns)
    found = []
    for down, right in spec.action_steps:
        inside = (row + down >= 0) & (row + down < rows) & (column + right >= 0) & (column + right < columns)
        found.append(np.where(inside, (row + down) * columns + column + right, row * columns + column))
    return np.concatenate(found)

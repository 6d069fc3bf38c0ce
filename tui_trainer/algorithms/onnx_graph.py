"""A frozen policy as an ONNX graph, from observations as the task gives them to actions as the task takes them.

The graph is written node by node: nothing but the format's own library is needed, and what is in it can be read here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tui_trainer.algorithms.arrays import Array
from tui_trainer.algorithms.lines import LineFeatures
from tui_trainer.algorithms.mlp import FORBIDDEN, Layers, MlpForward, Shape
from tui_trainer.algorithms.networks import ConvNet, MovesNet, PlanesNet, TorchForward
from tui_trainer.algorithms.policies import FrozenPolicy, GreedyPolicy, Inputs
from tui_trainer.core.protocols import TaskSpec
from tui_trainer.errors import UsageError

OPSET, IR_VERSION = 18, 9
"""Of 2022: read by every runtime in use."""


class Graph:
    """Nodes in order; every value has a name of its own."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """An array that is part of the model."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype), name))
        return name

    def add(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """A node; returns the name of what it gives."""
        output = name or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def shaped(self, value: str, *shape: int) -> str:
        """Reshape; -1 is the batch, or whatever is left."""
        return self.add("Reshape", value, self.constant(shape, np.int64))

    def cast(self, value: str, to: int) -> str:
        """Another type."""
        return self.add("Cast", value, to=to)


def model_of(policy: FrozenPolicy | GreedyPolicy, spec: TaskSpec, notes: dict[str, str]) -> bytes:
    """The policy as a serialised model.

    Input `obs` (batch, *obs_shape) and, for a masked task, `mask` (batch, n) of legal actions. Outputs `action`, and
    `probabilities` and `value`, or `action_values` where the policy knows those. Checked by the format's own library.
    """
    graph = Graph()
    x = _inputs(graph, policy.inputs, spec)
    outputs = _greedy(graph, policy, x, spec) if isinstance(policy, GreedyPolicy) else _frozen(graph, policy, x, spec)
    model = helper.make_model(
        helper.make_graph(graph.nodes, "policy", _declared(spec), outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="tui-trainer",
    )
    helper.set_model_props(model, notes)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


def _declared(spec: TaskSpec) -> list[Any]:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(spec.obs_dtype))
    found = [helper.make_tensor_value_info("obs", kind, ["batch", *spec.obs_shape])]
    if spec.masked:
        found.append(helper.make_tensor_value_info("mask", TensorProto.BOOL, ["batch", spec.n]))
    return found


def _output(name: str, kind: int, *shape: int) -> Any:
    return helper.make_tensor_value_info(name, kind, ["batch", *shape])


def _frozen(graph: Graph, policy: FrozenPolicy, x: str, spec: TaskSpec) -> list[Any]:
    raw, value = _heads(graph, policy, x)
    graph.add("Identity", value, name="value")
    found = [_output("value", TensorProto.FLOAT)]
    if spec.action == "box":
        _aimed(graph, raw, spec, squash=policy.squash)
        return [_output("action", TensorProto.FLOAT, spec.n), *found]
    legal = _legal(graph, raw, spec)
    graph.add("Softmax", legal, name="probabilities", axis=1)
    graph.add("ArgMax", legal, name="action", axis=1, keepdims=0)
    return [_output("action", TensorProto.INT64), _output("probabilities", TensorProto.FLOAT, spec.n), *found]


def _greedy(graph: Graph, policy: GreedyPolicy, x: str, spec: TaskSpec) -> list[Any]:
    outputs, value = _mlp(graph, policy.forward.shape, policy.forward.layers, x)
    if value:
        centred = graph.add("Sub", outputs, graph.add("ReduceMean", outputs, graph.constant([1], np.int64)))
        outputs = graph.add("Add", centred, graph.shaped(value, -1, 1))
    legal = _legal(graph, outputs, spec)
    graph.add("Identity", legal, name="action_values")
    graph.add("ArgMax", legal, name="action", axis=1, keepdims=0)
    return [_output("action", TensorProto.INT64), _output("action_values", TensorProto.FLOAT, spec.n)]


def _legal(graph: Graph, outputs: str, spec: TaskSpec) -> str:
    return graph.add("Where", "mask", outputs, graph.constant(FORBIDDEN)) if spec.masked else outputs


def _aimed(graph: Graph, raw: str, spec: TaskSpec, *, squash: bool) -> None:
    """As `to_environment`."""
    low, high = np.float32(spec.action_low), np.float32(spec.action_high)
    if squash:
        raw = graph.add("Tanh", raw)
    if not np.isfinite(high - low):
        graph.add("Clip", raw, graph.constant(low), graph.constant(high), name="action")
        return
    unit = graph.add("Clip", raw, graph.constant(-1), graph.constant(1))
    unit = graph.add("Mul", graph.add("Add", unit, graph.constant(1)), graph.constant(0.5))
    graph.add("Add", graph.add("Mul", unit, graph.constant(high - low)), graph.constant(low), name="action")


# --- what the network sees -----------------------------------------------------------------------------------------


def _inputs(graph: Graph, inputs: Inputs, spec: TaskSpec) -> str:
    """As `Inputs`: (batch, inputs) float32."""
    x = graph.shaped("obs", -1, int(np.prod(spec.obs_shape)))
    x = graph.cast(x, TensorProto.FLOAT)
    if inputs.features is not None:
        x = _lines(graph, inputs.features, x)
    if inputs.scale is not None:
        x = graph.add("Mul", x, graph.constant(inputs.scale))
    if inputs.moments is not None:
        x = graph.add("Sub", x, graph.constant(inputs.moments.mean))
        x = graph.add("Mul", x, graph.constant(1 / np.sqrt(inputs.moments.variance + 1e-8)))
        x = graph.add("Clip", x, graph.constant(-10), graph.constant(10))
    return x


def _lines(graph: Graph, features: LineFeatures, stones: str) -> str:
    """As `LineFeatures`, in numbers 0 and 1."""
    cells = features.rows * features.columns
    both = graph.shaped(stones, -1, 2, cells)
    filled = graph.add("ReduceMax", both, graph.constant([1], np.int64))
    empty = graph.add("Sub", graph.constant(1), filled)
    counts = graph.add("MatMul", stones, graph.constant(features.counts))
    almost = graph.add("Equal", counts, graph.constant(features.almost))
    lines = graph.shaped(graph.cast(almost, TensorProto.FLOAT), -1, 2, len(features.member))
    near = graph.add("Greater", graph.add("MatMul", lines, graph.constant(features.member)), graph.constant(0))
    wins = graph.add("Mul", graph.cast(near, TensorProto.FLOAT), empty)
    parts = [stones, graph.shaped(wins, -1, 2 * cells)]
    if features.falls:
        parts += _by_column(graph, features, empty, wins)
    return graph.add("Concat", *parts, axis=1)


def _by_column(graph: Graph, features: LineFeatures, empty: str, wins: str) -> list[str]:
    rows, columns = features.rows, features.columns
    board = graph.shaped(empty, -1, 1, rows, columns)
    playable = graph.add("Mul", board, graph.add("Sub", graph.constant(1), _raised(graph, board, rows)))
    playable = graph.add("Where", _bottom_row(graph, rows, columns), board, playable)
    sides = graph.shaped(wins, -1, 2, rows, columns)
    found = []
    for cells in (playable, _raised(graph, playable, rows)):
        decisive = graph.add("ReduceMax", graph.add("Mul", sides, cells), graph.constant([2], np.int64), keepdims=0)
        found.append(graph.shaped(decisive, -1, 2 * columns))
    return found


def _raised(graph: Graph, board: str, rows: int) -> str:
    """Every row one higher; the lowest becomes 0."""
    ends = (graph.constant([0], np.int64), graph.constant([rows - 1], np.int64), graph.constant([2], np.int64))
    lower = graph.add("Slice", board, *ends)
    return graph.add("Pad", lower, graph.constant([0, 0, 1, 0, 0, 0, 0, 0], np.int64), graph.constant(0))


def _bottom_row(graph: Graph, rows: int, columns: int) -> str:
    bottom = np.zeros((1, 1, rows, columns), np.bool_)
    bottom[:, :, 0] = True
    return graph.constant(bottom, np.bool_)


# --- the network ---------------------------------------------------------------------------------------------------


def _heads(graph: Graph, policy: FrozenPolicy, x: str) -> tuple[str, str]:
    match policy.forward:
        case MlpForward(shape=shape, layers=layers):
            return _mlp(graph, shape, layers, x)
        case TorchForward(net=ConvNet() as net, flat=flat):
            return _conv(graph, net, flat.numpy(), x)
        case TorchForward(net=PlanesNet() as planes, flat=flat):
            return _planes(graph, planes, flat.numpy(), x)
        case _:
            raise UsageError("this network cannot be written as an ONNX model")


def _conv(graph: Graph, net: ConvNet, flat: Array, x: str) -> tuple[str, str]:
    h = graph.shaped(x, -1, *net.board)
    convolutions, top = net.layers(flat)
    for layer in convolutions:
        h = graph.add("Relu", _convolved(graph, h, layer, net.stride))
    return _mlp(graph, net.top, top, graph.shaped(h, -1, net.top.inputs))


def _planes(graph: Graph, net: PlanesNet, flat: Array, x: str) -> tuple[str, str]:
    layers, squares = net.layers(flat), net.board[1] * net.board[2]
    h = graph.shaped(x, -1, *net.board)
    for layer in layers[: net.trunk]:
        h = graph.add("Relu", _convolved(graph, h, layer))
    *policy, narrow, dense, last = layers[net.trunk :]
    if isinstance(net, MovesNet):
        outputs = _moves(graph, net, policy, h)
    else:
        outputs = graph.shaped(_convolved(graph, h, policy[0]), -1, net.planes * squares)
    value = graph.shaped(graph.add("Relu", _convolved(graph, h, narrow)), -1, len(narrow[0]) * squares)
    value = graph.add("Relu", graph.add("Gemm", value, *map(graph.constant, dense), transB=1))
    return outputs, graph.shaped(graph.add("Gemm", value, *map(graph.constant, last), transB=1), -1)


def _moves(graph: Graph, net: MovesNet, policy: list[tuple[Array, Array]], h: str) -> str:
    """As `MovesNet`, every action of it."""
    (weight, bias), (last, constant) = policy
    actions = np.arange(net.planes * net.squares)
    squares = graph.add("Transpose", graph.shaped(h, -1, net.top, net.squares), perm=[0, 2, 1])
    sides = zip(np.split(weight[:, : 2 * net.top], 2, 1), (actions % net.squares, net.reached.numpy()), strict=True)
    leaves, reaches = (
        graph.add("Gather", graph.add("MatMul", squares, graph.constant(part.T)), graph.constant(of, np.int64), axis=1)
        for part, of in sides
    )
    plane = graph.constant(weight[:, 2 * net.top :].T[actions // net.squares] + bias)
    judged = graph.add("Relu", graph.add("Add", graph.add("Add", leaves, reaches), plane))
    outputs = graph.add("Add", graph.add("MatMul", judged, graph.constant(last.T)), graph.constant(constant))
    return graph.shaped(outputs, -1, len(actions))


def _convolved(graph: Graph, h: str, layer: tuple[Array, Array], stride: int = 1) -> str:
    weight, bias = layer
    pads, strides = [weight.shape[-1] // 2] * 4, [stride, stride]
    return graph.add("Conv", h, graph.constant(weight), graph.constant(bias), pads=pads, strides=strides)


def _mlp(graph: Graph, shape: Shape, layers: Layers, x: str) -> tuple[str, str]:
    """Policy outputs (batch, n) and values (batch,), or no name where there is no value head."""
    outputs = graph.add("Gemm", _tower(graph, shape, layers, x, 0), *map(graph.constant, layers[2:4]))
    if not shape.critic:
        return outputs, ""
    top = _tower(graph, shape, layers, x, shape.towers - 1)
    weight, bias = graph.constant(layers.value_w[:, None]), graph.constant(layers.value_b)
    return outputs, graph.shaped(graph.add("Gemm", top, weight, bias), -1)


def _tower(graph: Graph, shape: Shape, layers: Layers, x: str, tower: int) -> str:
    for weight, bias in zip(layers.weights, layers.biases, strict=True):
        x = graph.add("Gemm", x, graph.constant(weight[tower]), graph.constant(bias[tower, 0]))
        x = graph.add("Tanh" if shape.activation == "tanh" else "Relu", x)
    return x

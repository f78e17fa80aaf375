"""Which nodes are quantised in a style, and which constants they may call their own."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import numpy as np

from edgesdk_converters.steps.int8_onnx_drift import Style
from edgesdk_converters.steps.int8_onnx_ranges import HINT, Ranges
from edgesdk_converters.steps.int8_onnx_regions import (
    PRODUCTS,
    front_nodes,
    layers_with_weights,
    mixed_heads,
    tail_nodes,
)
from edgesdk_targets.errors import StepFailed

if TYPE_CHECKING:
    import onnx

# Ops that carry weights, and for which both sides have 8-bit kernels; ONNX Runtime has none for ConvTranspose.
WEIGHTED = {
    "u8s8": frozenset({"Conv", "Gemm", "MatMul"}),
    "symmetric": frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"}),
}
# What ONNX Runtime computes or moves in 8 bits between them. TensorRT finds these by itself from the pairs around them.
_BETWEEN = frozenset(
    {"Add", "Mul", "Clip", "Relu", "LeakyRelu", "Sigmoid", "Concat", "AveragePool", "GlobalAveragePool", "MaxPool"}
    | {"Resize", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Split", "Pad"}
)
_ELEMENTWISE = frozenset({"Add", "Mul", "Concat"})


def quantised_nodes(
    model: onnx.ModelProto, ranges: Ranges, *, style: Style, keep_float: Collection[str] = ()
) -> list[str]:
    """Return the names of the nodes to quantise, in the graph's order.

    Raises:
        StepFailed: there is none with weights.
    """
    graph = model.graph
    tail = tail_nodes(graph)
    float_nodes = {*keep_float, *tail}
    able = _able(graph, ranges)
    weighted = {
        node.name for node in graph.node if node.op_type in WEIGHTED[style] and able(node) and node.name not in tail
    }
    if not weighted:
        ops = ", ".join(sorted({node.op_type for node in graph.node}))
        raise StepFailed(
            f"int8_onnx: the model has no convolution or matrix product with constant weights (it has {ops}).",
            hint=HINT,
        )
    if style == "u8s8":
        # Its convolutions need their one output in 8 bits.
        float_nodes |= mixed_heads(graph, tail) & {n.name for n in graph.node if n.op_type == "Conv"}
    chosen = weighted - float_nodes
    if not chosen:
        raise StepFailed("int8_onnx: every node with weights is to stay float.", hint="Give fewer to --keep-float.")
    if style == "u8s8":
        float_nodes |= front_nodes(graph) | _around(graph, keep_float)
        chosen |= {n.name for n in graph.node if n.op_type in _BETWEEN and able(n) and n.name not in float_nodes}
    return [node.name for node in graph.node if node.name in chosen]


def _around(graph: onnx.GraphProto, kept: Collection[str]) -> set[str]:
    """Return the nodes between the kept layers and the next layers: they would pass float answers through 8 bits."""
    down: set[str] = set()
    up: set[str] = set()
    found: set[str] = set()
    for node in graph.node:
        between = node.op_type in _BETWEEN and not down.isdisjoint(node.input)
        if between or (node.name in kept and node.op_type in PRODUCTS):
            down.update(node.output)
        if between:
            found.add(node.name)
    for node in reversed(graph.node):
        # A Relu or Clip stays with the layer before it, whose range is taken behind it.
        between = node.op_type in _BETWEEN - {"Relu", "Clip"} and not up.isdisjoint(node.output)
        if between or (node.name in kept and node.op_type in PRODUCTS):
            up.update(node.input)
        if between:
            found.add(node.name)
    return found


def _able(graph: onnx.GraphProto, ranges: Ranges) -> Callable[[onnx.NodeProto], bool]:
    """Return what tells whether a node's operands are of the kind that its 8-bit form takes."""
    from onnx import numpy_helper

    constants = {weight.name: weight for weight in graph.initializer}
    layers = layers_with_weights(graph)

    def measured(names: Collection[str]) -> bool:
        return all(name in ranges.lowest for name in names)

    def able(node: onnx.NodeProto) -> bool:
        if node.op_type in PRODUCTS:
            return node.name in layers and measured([node.input[0], *node.output])
        if node.op_type in _ELEMENTWISE:
            # A bias or a factor in 8 bits would be coarse: such a node stays float.
            return measured([*node.input, *node.output])
        if node.op_type == "Clip":
            limits = [numpy_helper.to_array(constants[name]) for name in node.input[1:] if name in constants]
            # The pair's range stands for the limits, and a range always holds 0.
            signs = [float(np.sign(limit)) for limit in limits]
            return len(limits) == 2 and signs[0] <= 0 <= signs[1] and measured([node.input[0], node.output[0]])
        if node.op_type == "Pad" and len(node.input) > 2 and node.input[2]:
            value = constants.get(node.input[2])
            return (
                value is not None and not numpy_helper.to_array(value).any() and measured([node.input[0], *node.output])
            )
        return measured([node.input[0], *node.output])

    return able


def own_constants(graph: onnx.GraphProto, quantised: Collection[str]) -> None:
    """Give each kind of reader of a constant its own copy, in place.

    A quantiser replaces a constant for all its readers: a node that stays float, or that reads the weights along another
    axis, would get those of the other.
    """
    constants = {weight.name: weight for weight in graph.initializer if weight.data_type == weight.FLOAT}
    first: dict[str, str] = {}
    copies: dict[tuple[str, str], str] = {}
    for node in graph.node:
        for slot, name in enumerate(node.input):
            if name not in constants:
                continue
            kind = _kind(node, slot, node.name in quantised)
            if first.setdefault(name, kind) == kind:
                continue
            if (name, kind) not in copies:
                copies[name, kind] = f"{name}/of_{node.name}"
                copy = graph.initializer.add()
                copy.CopyFrom(constants[name])
                copy.name = copies[name, kind]
            node.input[slot] = copies[name, kind]


def _kind(node: onnx.NodeProto, slot: int, quantised: bool) -> str:
    if not quantised:
        return "float"
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return f"{node.op_type}/{slot}/{transposed}"

"""Float layers of a quantised graph, kept float when ONNX Runtime loads it.

ONNX Runtime quantises, at load and with one scale for all channels, the weights of every convolution and Gemm that reads an
8-bit tensor and whose weights and bias are float constants (its `WeightBiasQuantization`): worse than what was avoided. It
leaves a layer alone whose bias is no constant, or whose input is not 8-bit.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgesdk_converters.steps.int8_onnx_regions import PRODUCTS
from edgesdk_converters.steps.node_order import replace_nodes
from edgesdk_converters.steps.node_reading import mentioned

if TYPE_CHECKING:
    import onnx

    from edgesdk_converters.steps.int8_onnx_drift import Style

_STEPS = 2**31 - 1


def shield_float_layers(
    graph: onnx.GraphProto, before: onnx.GraphProto, quantised: Collection[str], kept: Collection[str], style: Style
) -> None:
    """Keep what is float float, in place.

    A layer that was asked for in float reads the tensor before its pair: what it costs is its input in 8 bits as much as
    its weights. Other float layers (heads whose channels are of several kinds) read the 8 bits in the u8s8 style, so that
    the layer before keeps its fast kernel, and have their bias written as 32-bit integers, as exact as floats are.

    Args:
        before: the graph as the quantiser got it.
        quantised: names of the layers in 8 bits.
        kept: names of those that were asked for in float.
    """
    from onnx import numpy_helper

    made = {name: node for node in graph.node for name in node.output}
    constants = {weight.name: weight for weight in graph.initializer}
    for node in [item for item in graph.node if item.op_type in PRODUCTS and item.name not in quantised]:
        pair = made.get(node.input[0])
        if pair is None or pair.op_type != "DequantizeLinear" or node.input[1] not in constants:
            continue
        if style == "symmetric" or node.name in kept:
            node.input[0] = _as_it_was(graph, before, made[pair.input[0]].input[0])
            continue
        given = node.input[2] if len(node.input) > 2 else ""
        if node.op_type == "MatMul" or (given and given not in constants):
            continue
        weight = constants[node.input[1]]
        bias = numpy_helper.to_array(constants[given]) if given else np.zeros(_channels(node, weight.dims), np.float32)
        node.input[:] = [node.input[0], node.input[1], _as_integers(graph, node.name, bias)]
    _drop_unread_pairs(graph)


def _as_it_was(graph: onnx.GraphProto, before: onnx.GraphProto, name: str) -> str:
    """Return the tensor behind its Relu or Clip, which the quantiser takes away where a range says the same."""
    maker = next((node for node in before.node if name in node.output), None)
    if maker is None or maker.op_type not in {"Relu", "Clip"} or any(node.name == maker.name for node in graph.node):
        return name
    target = f"{name}/float"
    if all(target not in node.output for node in graph.node):
        again = graph.node.add()
        again.CopyFrom(maker)
        again.name, again.input[0], again.output[0] = target, name, target
        there = {weight.name for weight in graph.initializer}
        graph.initializer.extend(w for w in before.initializer if w.name in maker.input[1:] and w.name not in there)
    return target


def _drop_unread_pairs(graph: onnx.GraphProto) -> None:
    """Drop the pairs that nobody reads any more, with their scales."""
    for op in ("DequantizeLinear", "QuantizeLinear"):
        read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
        replace_nodes(graph, [node for node in graph.node if node.op_type != op or node.output[0] in read])
    read = {name for node in graph.node for name in mentioned(node)}
    unread = [weight for weight in graph.initializer if weight.name not in read]
    for weight in unread:
        graph.initializer.remove(weight)


def _channels(node: onnx.NodeProto, dims: Any) -> int:
    flags = {attribute.name: attribute.i for attribute in node.attribute}
    if node.op_type == "ConvTranspose":
        return int(dims[1] * max(1, flags.get("group", 1)))
    return int(dims[0] if node.op_type == "Conv" or flags.get("transB") else dims[1])


def _as_integers(graph: onnx.GraphProto, layer: str, bias: npt.NDArray[Any]) -> str:
    from onnx import helper, numpy_helper

    largest = float(np.abs(bias).max(initial=0.0))
    scale = np.float32(largest / _STEPS) if largest / _STEPS > np.finfo(np.float32).tiny else np.float32(1.0)
    steps = np.clip(np.rint(bias.astype(np.float64) / float(scale)), -_STEPS, _STEPS).astype(np.int32)
    name = f"{layer}/float_bias"
    numbers = {f"{name}_steps": steps, f"{name}_scale": np.array(scale), f"{name}_zero": np.array(0, np.int32)}
    graph.initializer.extend(numpy_helper.from_array(array, label) for label, array in numbers.items())
    graph.node.append(helper.make_node("DequantizeLinear", list(numbers), [name], name=name))
    return name

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

if TYPE_CHECKING:
    import onnx

    from edgesdk_converters.steps.int8_onnx_parts import Style

_TOUCHED = frozenset({"Conv", "ConvTranspose", "Gemm"})
_STEPS = 2**31 - 1


def shield_float_layers(graph: onnx.GraphProto, quantised: Collection[str], style: Style) -> None:
    """Keep what is float float, in place.

    `symmetric`: a float layer reads the tensor before its pair. `u8s8`: the tensor exists in 8 bits only, so the bias is
    written as 32-bit integers and a scale, as exact as floats are.
    """
    from onnx import numpy_helper

    made = {name: node for node in graph.node for name in node.output}
    constants = {weight.name: weight for weight in graph.initializer}
    for node in [item for item in graph.node if item.op_type in _TOUCHED and item.name not in quantised]:
        pair = made.get(node.input[0])
        if pair is None or pair.op_type != "DequantizeLinear" or node.input[1] not in constants:
            continue
        if style == "symmetric":
            node.input[0] = made[pair.input[0]].input[0]
            continue
        given = node.input[2] if len(node.input) > 2 else ""
        if given and given not in constants:
            continue
        weight = constants[node.input[1]]
        bias = numpy_helper.to_array(constants[given]) if given else np.zeros(_channels(node, weight.dims), np.float32)
        node.input[:] = [node.input[0], node.input[1], _as_integers(graph, node.name, bias)]


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

"""Float ONNX → the same answers, with the channels of each tensor of more equal size, so that 8 bits serve them all.

A tensor in 8 bits has one step for all its channels: a channel of small numbers drowns in it. Where the ops between two
convolutions keep a positive factor (Relu, pooling, Concat), the first may give a channel a factor and the second take it
out of its weights again, which have a scale for each output channel anyway (the equalisation of Nagel et al. 2019,
arXiv:1906.04721, here by the sizes of activations). FastestDet gains 2.7 dB by it, and .03 of F1.

The whole way to the tensor's size would cost more in the second one's weights than it gains: the factor is a power of
it. Nothing is scaled through a Clip: its limit is in the file's own unit, and cuts what calibration pictures never reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgesdk_converters.framework_edge import framework_edge
from edgesdk_converters.step_progress import report
from edgesdk_converters.steps.channel_ties import FIXED, ChannelTies
from edgesdk_converters.steps.int8_onnx_prepare import known_shapes, prepare
from edgesdk_converters.steps.int8_onnx_ranges import HINT, feeds_of
from edgesdk_converters.steps.int8_onnx_regions import layers_of_file
from edgesdk_converters.steps.onnx_session import session_of
from edgesdk_converters.steps.parse_onnx import parse_onnx

if TYPE_CHECKING:
    import onnx

    Array = npt.NDArray[Any]

_POWER = 0.6  # FastestDet, scores: 1.0 loses 0.3 dB, 0.75 and 0.5 gain 2.7 and 2.6
_LARGEST = 32.0  # a channel that is nearly always nought must not decide the weights behind it
_MOST_SAMPLES = 128


def even_channels(model: bytes, samples: Mapping[str, Array]) -> bytes:
    """Return the model with other weights and the same nodes; the same bytes where no channel can be scaled.

    Args:
        model: a float ONNX file's bytes, with fixed sizes.
        samples: input name → (N, *shape of the input); 128, spread evenly, are read.

    Raises:
        InputError: it is no ONNX model, or samples do not fit.
        StepFailed: the model cannot be run or is no float model.
    """
    with framework_edge("even_channels", hint=HINT):
        raw = parse_onnx(model)
        prepared = prepare(model).model
        layers = layers_of_file(raw.graph, prepared.graph, {"Conv", "Gemm"})
        shapes = dict(known_shapes(prepared.graph))
        ties = ChannelTies(prepared, shapes, _constants(prepared.graph), layers)
        held = _held(prepared.graph, ties)
        if not any(ties.of(name).any() for name in held):
            return model
        report("even_channels: measuring the size of each channel")
        feeds = feeds_of(prepared, {name: _some(array) for name, array in samples.items()})
        factors = _factors(ties, channel_sizes(prepared, feeds, {name: len(shapes[name]) for name in held}))
        _scale(raw.graph, layers, ties, factors)
        return bytes(raw.SerializeToString(deterministic=True))


def channel_sizes(
    model: onnx.ModelProto, feeds: Iterable[Mapping[str, Array]], ranks: Mapping[str, int]
) -> dict[str, Array]:
    """Return the largest magnitude of each channel, (C,), of tensors with one sample in each feed.

    Args:
        ranks: the tensors, with how many axes each has; channels lie on the second.
    """
    import onnx
    from onnx import helper, numpy_helper

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    version = next(entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"})
    results = {name: f"edgesdk_size_of_{name}" for name in ranks}
    for name, result in results.items():
        axes = [0, *range(2, ranks[name])]
        probe.graph.node.append(helper.make_node("Abs", [name], [f"{result}/abs"], name=f"{result}/abs"))
        node = helper.make_node("ReduceMax", [f"{result}/abs"], [result], name=result, keepdims=0)
        if version < 18:
            node.attribute.append(helper.make_attribute("axes", axes))
        else:
            probe.graph.initializer.append(numpy_helper.from_array(np.array(axes, np.int64), f"{result}/axes"))
            node.input.append(f"{result}/axes")
        probe.graph.node.append(node)
        probe.graph.output.append(helper.make_tensor_value_info(result, onnx.TensorProto.FLOAT, None))
    session = session_of(probe.SerializeToString())
    found: dict[str, Array] = {}
    for feed in feeds:
        for name, size in zip(ranks, session.run(list(results.values()), dict(feed)), strict=True):
            found[name] = np.maximum(found[name], size) if name in found else size
    return found


def _held(graph: onnx.GraphProto, ties: ChannelTies) -> list[str]:
    """Return the tensors that 8 bits will hold: what only a Relu or Clip reads is held behind it."""
    readers: dict[str, list[str]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.op_type)
    return [name for name in ties.channels if readers.get(name) not in (["Relu"], ["Clip"])]


def _factors(ties: ChannelTies, sizes: Mapping[str, Array]) -> Array:
    """Return the factor of each number of the ties: towards the size of the tensor, wherever the channel goes."""
    room = np.full(ties.count, np.inf)
    for name, size in sizes.items():
        if size.max(initial=0.0) > 0:
            np.minimum.at(room, ties.of(name), np.maximum(1.0, size.max() / np.maximum(size, 1e-12)))
    room[FIXED] = 1.0
    factors: Array = np.minimum(np.where(np.isfinite(room), room, 1.0), _LARGEST) ** _POWER
    return factors


def _scale(graph: onnx.GraphProto, layers: set[str], ties: ChannelTies, factors: Array) -> None:
    """Multiply what makes a channel by its factor, and divide what reads it, in place."""
    from onnx import numpy_helper

    weights = {weight.name: weight for weight in graph.initializer}

    def write(name: str, array: Array) -> None:
        weights[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))

    for node in graph.node:
        if node.name not in layers:
            continue
        made, read = (factors[ties.of(n)] if n in ties.channels else None for n in (node.output[0], node.input[0]))
        flags = {attribute.name: attribute.i for attribute in node.attribute}
        turned = node.op_type == "Gemm" and not flags.get("transB")
        array = numpy_helper.to_array(weights[node.input[1]]).astype(np.float64)
        array = array.T if turned else array
        array = _divided(array, read, flags.get("group", 1) if node.op_type == "Conv" else 1)
        if made is not None:
            array = array * made.reshape(-1, *([1] * (array.ndim - 1)))
            if len(node.input) > 2 and node.input[2]:
                write(node.input[2], numpy_helper.to_array(weights[node.input[2]]) * made)
        write(node.input[1], array.T if turned else array)


def _divided(weights: Array, read: Array | None, groups: int) -> Array:
    """Divide weights (O, I / groups, …) by the factors of the channels that they meet."""
    if read is None:
        return weights
    each = read.reshape(groups, 1, -1).repeat(len(weights) // groups, axis=1).reshape(weights.shape[:2])
    result: Array = weights / each.reshape(*weights.shape[:2], *([1] * (weights.ndim - 2)))
    return result


def _constants(graph: onnx.GraphProto) -> dict[str, Array]:
    from onnx import numpy_helper

    return {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}


def _some(array: Array) -> Array:
    chosen = np.unique(np.linspace(0, max(len(array) - 1, 0), min(_MOST_SAMPLES, len(array))).astype(int))
    some: Array = np.stack([array[place] for place in chosen]) if len(array) else array
    return some

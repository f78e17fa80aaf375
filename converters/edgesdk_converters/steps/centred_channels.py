"""Float ONNX → the same answers, with the channels between two convolutions moved to lie around nought.

A tensor in 8 bits has one range for all its channels: where one runs from -9 to 1 and the next from 0 to 10, each uses half
of it. Between two convolutions with nothing between them the first one's bias may move each channel to its own middle, and
the second one's takes that back, exactly, where no padding with noughts is in its way. What separates a depthwise
convolution from the pointwise one behind it is of this kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from edgesdk_converters.framework_edge import framework_edge
from edgesdk_converters.step_progress import report
from edgesdk_converters.steps.int8_onnx_prepare import prepare
from edgesdk_converters.steps.int8_onnx_ranges import HINT, feeds_of
from edgesdk_converters.steps.int8_onnx_regions import layers_of_file, tail_nodes
from edgesdk_converters.steps.onnx_session import session_of
from edgesdk_converters.steps.parse_onnx import parse_onnx
from edgesdk_targets.tensor import Array

if TYPE_CHECKING:
    import onnx

    Pair = tuple[onnx.NodeProto, onnx.NodeProto]


def centred_channels(model: bytes, samples: Mapping[str, Array]) -> bytes:
    """Return the model with other biases and the same nodes; the same bytes where no channel can be moved.

    Args:
        model: a float ONNX file's bytes, with fixed sizes.
        samples: input name → (N, *shape of the input); all are read.

    Raises:
        InputError: it is no ONNX model, or samples do not fit.
        StepFailed: the model cannot be run or is no float model.
    """
    from onnx import numpy_helper

    with framework_edge("centred_channels", hint=HINT):
        raw = parse_onnx(model)
        prepared = prepare(model).model
        pairs = _pairs(raw.graph, prepared.graph)
        if not pairs:
            return model
        report("centred_channels: measuring the middle of each channel")
        middles = _middles(prepared, samples, [first.output[0] for first, _ in pairs])
        weights = {weight.name: weight for weight in raw.graph.initializer}

        def add(name: str, shift: Array) -> None:
            moved = (numpy_helper.to_array(weights[name]) + shift).astype(np.float32)
            weights[name].CopyFrom(numpy_helper.from_array(moved, name))

        for first, second in pairs:
            middle = middles[first.output[0]]
            reading = numpy_helper.to_array(weights[second.input[1]]).astype(np.float64)
            add(first.input[2], -middle)
            add(second.input[2], reading.sum(axis=tuple(range(2, reading.ndim))) @ middle)
        return bytes(raw.SerializeToString(deterministic=True))


def _pairs(raw: onnx.GraphProto, prepared: onnx.GraphProto) -> list[Pair]:
    """Return the convolutions of which one alone reads the other's answer, without padding."""
    own, tail = layers_of_file(raw, prepared, {"Conv"}), tail_nodes(prepared)
    readers: dict[str, list[onnx.NodeProto]] = {value.name: [] for value in prepared.output}
    outputs = set(readers)
    for node in prepared.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    pairs = []
    for node in prepared.node:
        name = node.output[0]
        found = readers.get(name, [])
        if name in outputs or len(found) != 1 or found[0].input[0] != name:
            continue
        if {node.name, found[0].name} <= own - tail and _has_bias(node) and _has_bias(found[0]) and _sees_all(found[0]):
            pairs.append((node, found[0]))
    return pairs


def _has_bias(node: onnx.NodeProto) -> bool:
    return len(node.input) > 2 and bool(node.input[2])


def _sees_all(node: onnx.NodeProto) -> bool:
    """Tell whether every output channel reads every input channel, and no padding."""
    attributes = {a.name: a for a in node.attribute}
    padded = "pads" in attributes and any(attributes["pads"].ints)
    padding = attributes["auto_pad"].s if "auto_pad" in attributes else b"NOTSET"
    return not padded and padding in (b"NOTSET", b"VALID") and ("group" not in attributes or attributes["group"].i == 1)


def _middles(model: onnx.ModelProto, samples: Mapping[str, Array], names: list[str]) -> dict[str, Array]:
    """Return the middle of each channel's range, (C,), of tensors over the samples."""
    import onnx

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    known = {value.name: value for value in model.graph.value_info}
    probe.graph.output.extend(known[name] for name in names)
    session = session_of(probe.SerializeToString())
    low: dict[str, Array] = {}
    high: dict[str, Array] = {}
    for feed in feeds_of(model, samples):
        for name, value in zip(names, session.run(names, dict(feed)), strict=True):
            others = (0, *range(2, value.ndim))
            low[name] = np.minimum(low.get(name, np.inf), value.min(axis=others))
            high[name] = np.maximum(high.get(name, -np.inf), value.max(axis=others))
    return {name: (low[name].astype(np.float64) + high[name]) / 2 for name in names}

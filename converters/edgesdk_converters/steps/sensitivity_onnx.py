"""Which layers of a model cost the accuracy when they are quantised: each alone, the others in float.

A layer's share is its input and its weights in 8 bits, its bias corrected as the real step does, and in the u8s8 style its
answer in 8 bits too. What is told of it is the worst channel group of the model's outputs: boxes cannot hide scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgesdk_converters.framework_edge import framework_edge
from edgesdk_converters.proving.parity import ParityMeter
from edgesdk_converters.step_progress import report
from edgesdk_converters.steps.int8_onnx_drift import Style, channel_axis, correct_drift, rounded, scale_of
from edgesdk_converters.steps.int8_onnx_parts import WEIGHTED, quantised_nodes
from edgesdk_converters.steps.int8_onnx_prepare import prepare
from edgesdk_converters.steps.int8_onnx_ranges import HINT, Ranges, feeds_of
from edgesdk_converters.steps.node_order import sort_nodes
from edgesdk_converters.steps.onnx_session import session_of
from edgesdk_targets.target import Precision

if TYPE_CHECKING:
    import onnx

    Array = npt.NDArray[Any]

_FUSED = frozenset({"Clip", "Relu"})


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What one layer costs.

    Attributes:
        node: its name, as `keep_float` takes it.
        op: its operator.
        sqnr_db: signal to noise of the worst output group when only this layer is quantised; capped at 200.
        parameters: how many numbers it has learned; what stays four times as large if it stays float.
    """

    node: str
    op: str
    sqnr_db: float
    parameters: int


def sensitivities(
    model: bytes,
    samples: Mapping[str, Array],
    ranges: Ranges,
    *,
    style: Style = "u8s8",
    head: str | None = None,
    most_samples: int = 8,
    progress: Callable[[str], None] = report,
) -> tuple[Sensitivity, ...]:
    """Return every layer that `int8_onnx` would quantise, the costliest first.

    Args:
        model: a float ONNX file's bytes, with fixed sizes.
        samples: input name → (N, *shape of the input); some, spread evenly, are used.
        ranges: of `measure_ranges` on the same model.
        head: layout of a detector's output, which tells its channel groups.
        most_samples: how many samples are run for each layer.

    Raises:
        InputError, StepFailed: as `int8_onnx`.
    """
    with framework_edge("sensitivity_onnx", hint=HINT):
        prepared = prepare(model).model
        chosen = set(quantised_nodes(prepared, ranges, style=style))
        layers = [node for node in prepared.graph.node if node.name in chosen and node.op_type in WEIGHTED[style]]
        feeds = list(feeds_of(prepared, _spread(samples, most_samples)))
        plain = session_of(prepared.SerializeToString())
        names = [value.name for value in prepared.graph.output]
        wanted = [dict(zip(names, plain.run(names, feed), strict=True)) for feed in feeds]
        found = []
        for place, node in enumerate(layers, 1):
            progress(f"sensitivity_onnx: layer {place} of {len(layers)}")
            session = session_of(_one_quantised(prepared, node, ranges, style), pairs_as_they_stand=True)
            # Only the groups and their figures are read: the precision decides a limit that nobody asks for here.
            meter = ParityMeter(Precision.FP32, head)
            for feed, reference in zip(feeds, wanted, strict=True):
                meter.add(reference, dict(zip(names, session.run(names, feed), strict=True)))
            worst = min(group.sqnr_db for group in meter.result().groups)
            found.append(Sensitivity(node.name, node.op_type, round(worst, 1), _parameters(prepared.graph, node)))
        return tuple(sorted(found, key=lambda item: item.sqnr_db))


def _spread(samples: Mapping[str, Array], most: int) -> dict[str, Array]:
    count = min((len(array) for array in samples.values()), default=0)
    chosen = np.unique(np.linspace(0, max(count - 1, 0), min(most, count)).astype(int))
    return {name: np.stack([array[i] for i in chosen]) if count else array for name, array in samples.items()}


def _one_quantised(model: onnx.ModelProto, layer: onnx.NodeProto, ranges: Ranges, style: Style) -> bytes:
    """Return the float model with one layer's operands passed through 8 bits."""
    import onnx
    from onnx import numpy_helper

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    node = next(item for item in graph.node if item.name == layer.name)
    answer = _answer_of(graph, node) if style == "u8s8" and node.op_type == "Conv" else ""
    correct_drift(graph, ranges.drift, {node.name}, style=style)
    weights = next(weight for weight in graph.initializer if weight.name == node.input[1])
    name = f"{node.name}/rounded_weights"
    graph.initializer.append(numpy_helper.from_array(rounded(numpy_helper.to_array(weights), channel_axis(node)), name))
    node.input[1] = name
    if answer:
        _through_8_bits(graph, answer, [item for item in graph.node if answer in item.input], ranges, style)
    _through_8_bits(graph, node.input[0], [node], ranges, style)
    sort_nodes(graph)
    return bytes(copy.SerializeToString())


def _answer_of(graph: onnx.GraphProto, node: onnx.NodeProto) -> str:
    """Return the tensor in which a convolution's answer is stored: behind the Clip or Relu that is one with it."""
    readers = [item for item in graph.node if node.output[0] in item.input]
    fused = len(readers) == 1 and readers[0].op_type in _FUSED
    name = readers[0].output[0] if fused else node.output[0]
    return "" if name in {value.name for value in graph.output} else name


def _through_8_bits(
    graph: onnx.GraphProto, name: str, readers: Sequence[onnx.NodeProto], ranges: Ranges, style: Style
) -> None:
    from onnx import helper, numpy_helper

    scale, zero = scale_of(*ranges.of(name, style), style)
    place = f"{name}/in_8_bits_{len(graph.node)}"
    numbers: list[Array] = [np.array(scale, np.float32), np.array(zero, np.int8 if style == "symmetric" else np.uint8)]
    names = [f"{place}_scale", f"{place}_zero"]
    graph.initializer.extend(numpy_helper.from_array(n, label) for n, label in zip(numbers, names, strict=True))
    for item in readers:
        item.input[:] = [place if n == name else n for n in item.input]
    graph.node.append(helper.make_node("QuantizeLinear", [name, *names], [f"{place}_q"], name=f"{place}_q"))
    graph.node.append(helper.make_node("DequantizeLinear", [f"{place}_q", *names], [place], name=place))


def _parameters(graph: onnx.GraphProto, node: onnx.NodeProto) -> int:
    sizes = {weight.name: int(np.prod(weight.dims)) for weight in graph.initializer}
    return sum(sizes.get(name, 0) for name in node.input[1:])

"""The ranges of a float ONNX model's tensors, measured once and used for every tier, style and sensitivity.

Rule: memory is that of one sample at a time, whatever their number: of each tensor only the smallest and the largest value
of each sample leave the runtime.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgesdk_converters.framework_edge import framework_edge, needs
from edgesdk_converters.step_progress import report
from edgesdk_converters.steps.int8_onnx_clipping import best_size, histograms
from edgesdk_converters.steps.int8_onnx_drift import Style, measure_drift
from edgesdk_converters.steps.int8_onnx_prepare import prepare
from edgesdk_converters.steps.int8_onnx_regions import layers_with_weights
from edgesdk_converters.steps.onnx_session import session_of
from edgesdk_converters.steps.parse_onnx import input_shapes
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    import onnx

    Samples = Mapping[str, npt.NDArray[Any]]

HINT = "Build this variant with --precision fp16 or fp32, or on another runtime of the target."
_LOW, _HIGH = "edgesdk_lowest_of_", "edgesdk_highest_of_"
_REPORT_EVERY = 50


@dataclass(frozen=True, slots=True)
class Ranges:
    """The smallest and the largest value that 8 bits hold of each float tensor inside a model, by the tensor's name.

    Attributes:
        lowest, highest: with a zero point: the extremes.
        size: without one: the largest magnitude that is not cut.
        drift: by how much each layer's mean answer moves when its weights are rounded, by the node's name; see
            `int8_onnx_drift`.
        samples: how many inputs they were measured on.
    """

    lowest: Mapping[str, float]
    highest: Mapping[str, float]
    size: Mapping[str, float]
    drift: Mapping[str, npt.NDArray[Any]]
    samples: int

    def of(self, name: str, style: Style) -> tuple[float, float]:
        """Return a tensor's range in a style."""
        return (-self.size[name], self.size[name]) if style == "symmetric" else (self.lowest[name], self.highest[name])


def measure_ranges(model: bytes, samples: Samples) -> Ranges:
    """Run a float ONNX model over the samples and note the range of every float tensor.

    Args:
        model: with fixed sizes.
        samples: input name → (N, *shape of the input); may be memory-mapped, is read one by one.

    Raises:
        InputError: there is no sample, samples do not fit the inputs, or the model answers with NaN or infinity.
        StepFailed: the model cannot be run or is no float model.
        MissingExtra: onnx or onnxruntime is not installed.
    """
    with framework_edge("int8_onnx", hint=HINT):
        with needs("onnx", extra="torch"):
            import onnx  # noqa: F401
        with needs("onnxruntime", extra="onnx"):
            import onnxruntime  # noqa: F401
        prepared = prepare(model).model
        names = float_tensors(prepared)
        session = session_of(_with_extremes(prepared, names).SerializeToString())
        wanted = [f"{prefix}{name}" for prefix in (_LOW, _HIGH) for name in names]
        lowest, highest = np.full(len(names), np.inf), np.full(len(names), -np.inf)
        count = 0
        for count, feed in enumerate(feeds_of(prepared, samples), 1):
            found = np.array([float(value) for value in session.run(wanted, feed)])
            _refuse_no_numbers(found, names, count)
            np.minimum(lowest, found[: len(names)], out=lowest)
            np.maximum(highest, found[len(names) :], out=highest)
            if count % _REPORT_EVERY == 0:
                report(f"int8_onnx: ranges measured on {count} samples")
        report("int8_onnx: ranges and drift")
        extremes = {
            name: (min(float(low), 0.0), max(float(high), 0.0))
            for name, low, high in zip(names, lowest, highest, strict=True)
        }
        return _clipped(prepared, samples, extremes, count)


def _clipped(
    model: onnx.ModelProto, samples: Samples, extremes: Mapping[str, tuple[float, float]], count: int
) -> Ranges:
    """Find the best sizes inside the extremes, and what the layers drift by in them."""
    open_ones = {name: pair for name, pair in extremes.items() if pair[0] < pair[1]}
    counts = histograms(model, feeds_of(model, samples), open_ones)
    size = {name: max(-low, high) for name, (low, high) in extremes.items()}
    size |= {name: best_size(found, *extremes[name]) for name, found in counts.items()}
    lowest, highest = ({name: pair[side] for name, pair in extremes.items()} for side in (0, 1))
    ranges = Ranges(lowest, highest, size, {}, count)
    layers = {node.name for node in model.graph.node if node.input and node.input[0] in extremes}
    drift = measure_drift(model, feeds_of(model, samples), layers & layers_with_weights(model.graph), ranges.of)
    return replace(ranges, drift=drift)


def feeds_of(model: onnx.ModelProto, samples: Samples) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """Give the samples one by one, as the model takes them.

    Raises:
        InputError: an input has no samples, or they are of another shape, or there are none.
    """
    shapes = input_shapes(model)
    counts = set()
    for name, shape in shapes.items():
        if name not in samples:
            raise InputError(
                f"There are no samples for the input {name!r}.", hint=f"Samples were given for: {', '.join(samples)}."
            )
        if tuple(samples[name].shape[1:]) != shape:
            raise InputError(
                f"The samples for {name!r} are {list(samples[name].shape[1:])} each, the input is {list(shape)}.",
                hint="Prepare them by the card's preprocess, with the batch of 1 in front.",
            )
        counts.add(len(samples[name]))
    if counts != {max(counts)} or not max(counts):
        raise InputError(
            "There are no calibration samples." if counts == {0} else f"The inputs have {sorted(counts)} samples each.",
            hint="INT8 needs typical pictures, 100 or more: --calib-data DIR.",
        )
    for index in range(counts.pop()):
        yield {name: np.ascontiguousarray(samples[name][index]) for name in shapes}


def float_tensors(model: onnx.ModelProto) -> list[str]:
    """Return the float tensors that nodes make or the model takes, in the graph's order."""
    import onnx

    floats = {
        value.name
        for value in [*model.graph.input, *model.graph.value_info, *model.graph.output]
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        and all(dim.dim_value > 0 for dim in value.type.tensor_type.shape.dim)
    }
    names = [value.name for value in model.graph.input] + [name for node in model.graph.node for name in node.output]
    return [name for name in names if name in floats]


def _with_extremes(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """Return a copy that answers with the extremes of the tensors."""
    import onnx
    from onnx import helper

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for prefix, op in ((_LOW, "ReduceMin"), (_HIGH, "ReduceMax")):
        for name in names:
            result = f"{prefix}{name}"
            copy.graph.node.append(helper.make_node(op, [name], [result], name=result, keepdims=0))
            copy.graph.output.append(helper.make_tensor_value_info(result, onnx.TensorProto.FLOAT, []))
    return copy


def _refuse_no_numbers(found: npt.NDArray[Any], names: Sequence[str], sample: int) -> None:
    bad = np.flatnonzero(~np.isfinite(found))
    if bad.size:
        name = names[int(min(index % len(names) for index in bad))]
        raise InputError(
            f"The float model gives values that are no numbers (NaN or infinity) in {name!r}, on calibration sample {sample}.",
            hint="Its weights or this input are damaged: check the model in float first, `edgesdk evaluate`.",
        )

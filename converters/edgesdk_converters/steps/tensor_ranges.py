"""Run an ONNX model here: its outputs, and the largest value of every tensor inside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgesdk_converters.steps.onnx_session import session_of

if TYPE_CHECKING:
    import onnx

_PREFIX = "edgesdk_largest_of_"


def run_onnx(content: bytes, feed: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Return every output by name; one thread, so that the same numbers come out everywhere."""
    session = session_of(content)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feed)), strict=True))


def run_onnx_each(content: bytes, samples: Mapping[str, npt.NDArray[Any]]) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """Yield the outputs for each sample; samples are (N, *shape of the input) by the input's name."""
    session = session_of(content)
    names = [output.name for output in session.get_outputs()]
    for place in range(min(len(array) for array in samples.values())):
        feed = {name: np.ascontiguousarray(array[place]) for name, array in samples.items()}
        yield dict(zip(names, session.run(names, feed), strict=True))


def largest_values(model: onnx.ModelProto, feeds: Sequence[Mapping[str, npt.NDArray[Any]]]) -> dict[str, float]:
    """Return the largest magnitude that each float tensor of the graph takes over the feeds.

    Tensors whose type is not known from the file or by inference are left out.
    """
    import onnx

    typed = onnx.shape_inference.infer_shapes(model)
    made = {name for node in typed.graph.node for name in node.output}
    floats = [
        value.name
        for value in [*typed.graph.input, *typed.graph.value_info, *typed.graph.output]
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    ]
    inputs = {value.name for value in typed.graph.input}
    names = [name for name in dict.fromkeys(floats) if name in made or name in inputs]
    measured = _with_largest(typed, names).SerializeToString()
    largest: dict[str, float] = dict.fromkeys(names, 0.0)
    for feed in feeds:
        for output, value in run_onnx(measured, feed).items():
            name = output.removeprefix(_PREFIX)
            if output.startswith(_PREFIX):
                largest[name] = max(largest[name], float(value))
    return largest


def _with_largest(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """Return a copy with one more output for each tensor, its largest magnitude: one number, not the whole tensor."""
    import onnx
    from onnx import helper

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for name in names:
        size, result = f"{_PREFIX}size_{name}", f"{_PREFIX}{name}"
        copy.graph.node.append(helper.make_node("Abs", [name], [size], name=size))
        copy.graph.node.append(helper.make_node("ReduceMax", [size], [result], name=result, keepdims=0))
        copy.graph.output.append(helper.make_tensor_value_info(result, onnx.TensorProto.FLOAT, []))
    return copy

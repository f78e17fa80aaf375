"""Float ONNX → the same graph in half precision, with float inputs and outputs.

The precision stands in the graph itself, as strongly typed TensorRT (10 with its flag, 11 always) wants it; ONNX
Runtime runs the same file. Values beyond half precision's range are kept finite.
"""

from __future__ import annotations

from typing import Any

from edgesdk_converters.framework_edge import framework_edge, needs
from edgesdk_converters.steps.parse_onnx import parse_onnx
from edgesdk_targets.errors import StepFailed

_HINT = "Use --precision fp32 for this model."
_LARGEST_HALF = 65504.0


def fp16_onnx(onnx: bytes) -> bytes:
    """Turn a float model into half precision.

    Raises:
        StepFailed: an op cannot have half precision, or the result is no valid model.
        MissingExtra: onnx or onnxruntime is not installed.
    """
    with framework_edge("fp16_onnx", hint=_HINT):
        with needs("onnx", extra="torch"):
            from onnx import checker, shape_inference
        with needs("onnxruntime", extra="onnx"):
            from onnxruntime.transformers.float16 import convert_float_to_float16

        model = parse_onnx(onnx)
        _refuse_overflow(model)
        half = convert_float_to_float16(model, keep_io_types=True)
        # What was written of the types in between was true before.
        del half.graph.value_info[:]
        # The casts at the border are appended; checkers and parsers want the order of execution.
        _sort(half.graph)
        checker.check_model(shape_inference.infer_shapes(half))
        return bytes(half.SerializeToString(deterministic=True))


def _refuse_overflow(model: Any) -> None:
    """Refuse weights that half precision cannot hold; clipping them would change the answers without a word."""
    import numpy as np
    from onnx import TensorProto, numpy_helper

    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weight)
        finite = values[np.isfinite(values)]
        if finite.size and float(np.abs(finite).max()) > _LARGEST_HALF:
            raise StepFailed(f"fp16_onnx: the weight {weight.name!r} holds values beyond half precision.", hint=_HINT)


def _sort(graph: Any) -> None:
    """Put the nodes into an order of execution, keeping the given order where it is one."""
    known = {value.name for value in graph.input} | {weight.name for weight in graph.initializer} | {""}
    waiting, ordered = list(graph.node), []
    while waiting:
        ready = [node for node in waiting if all(name in known for name in node.input)]
        if not ready:
            raise StepFailed("fp16_onnx: the graph has a cycle.", hint=_HINT)
        for node in ready:
            known.update(node.output)
        ordered += ready
        done = {id(node) for node in ready}
        waiting = [node for node in waiting if id(node) not in done]
    copies = [type(node).FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:]
    graph.node.extend(copies)

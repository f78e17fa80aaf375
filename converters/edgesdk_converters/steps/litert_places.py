"""Which operations of a LiteRT model some nodes of the ONNX model became.

The two files come from different exporters and share no names (litert-torch even gives two like layers one path). What they
share are the weights: a layer is found by its numbers, whatever order of axes each format stores them in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from edgesdk_converters.steps.litert_graph import LiteRtGraph, Operation
from edgesdk_converters.steps.parse_onnx import parse_onnx
from edgesdk_targets.tensor import Array

# Batch norms are folded by different tools: equal to float32's rounding, and no better.
_SAME = 1e-3


def litert_places(onnx: bytes, tflite: bytes, nodes: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the LiteRT operations that have the weights of some ONNX nodes.

    A node without weights (an addition, a join) has no counterpart here: between quantised layers it is quantised with
    them, and behind the last it is float anyway.

    Args:
        onnx, tflite: the same float model in both forms.
        nodes: names of ONNX nodes.
    """
    wanted = set(nodes)
    rows = [array for name, array in _onnx_rows(onnx) if name in wanted]
    graph = LiteRtGraph(tflite)
    found = []
    for op in graph.layers():
        own = _litert_rows(graph, op)
        if any(_same(own, other) for other in rows):
            found.append(op.name)
    return tuple(found)


def _onnx_rows(content: bytes) -> Iterable[tuple[str, Array]]:
    from onnx import numpy_helper

    model = parse_onnx(content)
    weights = {weight.name: weight for weight in model.graph.initializer}
    for node in model.graph.node:
        name = node.input[1] if len(node.input) > 1 else ""
        if node.op_type not in ("Conv", "Gemm", "MatMul") or name not in weights:
            continue
        array = numpy_helper.to_array(weights[name])
        turned = any(a.name == "transB" and a.i for a in node.attribute)
        if node.op_type != "Conv" and not turned:
            array = array.T
        yield node.name or node.output[0], array.reshape(len(array), -1)


def _litert_rows(graph: LiteRtGraph, op: Operation) -> Array:
    """Return a layer's weights as ONNX orders them: (O, I x H x W)."""
    weights = graph.constant(op.inputs[1])
    assert weights is not None  # noqa: S101  (of a layer, by its definition)
    if op.kind == "DEPTHWISE_CONV_2D":
        weights = np.moveaxis(weights, 3, 0)
    elif weights.ndim == 4:
        weights = np.moveaxis(weights, 3, 1)
    return weights.reshape(len(weights), -1)


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.abs(a - b).max() <= _SAME * max(float(np.abs(b).max()), 1e-12))

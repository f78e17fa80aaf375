"""What stays in float when a model is quantised to INT8 (pure).

8 bits are for convolutions and products with constant weights; what only decodes after the last of them stays float in
every tier, so that boxes and scores never share a scale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from edgesdk_converters.preflight.graph import Graph
from edgesdk_converters.preflight.macs import Macs
from edgesdk_targets.target import Runtime

# These compute nothing, in whatever numbers.
_FORMS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Cast", "Shape"})
_PRODUCTS = frozenset({"Conv", "Gemm", "MatMul"})
# LiteRT gets recurrent layers unrolled, as products.
_IN_INT8: Mapping[Runtime, frozenset[str]] = {
    Runtime.ONNXRUNTIME: _PRODUCTS,
    Runtime.TENSORRT: _PRODUCTS | {"ConvTranspose"},
    Runtime.OPENVINO: _PRODUCTS | {"ConvTranspose", "LSTM", "GRU"},
    Runtime.LITERT: _PRODUCTS | {"ConvTranspose", "LSTM", "GRU", "RNN"},
}


@dataclass(frozen=True, slots=True)
class FloatParts:
    """What an INT8 model of this runtime computes in float.

    Attributes:
        share: of the MACs, 0…1.
        ops: operator → how many nodes, of those that carry MACs.
        tail: operator → how many nodes, of those that follow the last convolution or product.
    """

    share: float
    ops: Mapping[str, int]
    tail: Mapping[str, int]


def float_parts(graph: Graph, macs: Macs, runtime: Runtime) -> FloatParts:
    """Foresee what stays in float."""
    able = _IN_INT8[runtime]
    ops: Counter[str] = Counter()
    heavy = 0
    computed = {*graph.inputs, *(name for op in graph.ops for name in op.outputs)}
    for op in graph.ops:
        if op.name not in macs.by_node:
            continue
        weighted = len(op.inputs) > 1 and op.inputs[1] not in computed
        if op.op not in able or not weighted:
            ops[op.op if weighted else f"{op.op} of two activations"] += 1
            heavy += macs.by_node[op.name]
    return FloatParts(heavy / macs.total if macs.total else 0.0, dict(ops), _tail(graph, macs))


def _tail(graph: Graph, macs: Macs) -> dict[str, int]:
    leads_on: set[str] = set()
    tail: Counter[str] = Counter()
    for op in reversed(graph.ops):
        if op.name in macs.by_node or leads_on.intersection(op.outputs):
            leads_on.update(op.inputs)
        elif op.op not in _FORMS:
            tail[op.op] += 1
    return dict(tail)

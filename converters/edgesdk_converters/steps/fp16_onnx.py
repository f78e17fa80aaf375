"""Float ONNX → the same with fp16 inside and float32 borders, as a strongly typed TensorRT network wants it.

Rule: a node keeps float32 where fp16 would lose its meaning: where a value nears fp16's largest number, where a weight
or a constant does not fit, and, behind the last convolution or matrix product, where values are so large that fp16 rounds
to a quarter and more (boxes in pixels). Between two such nodes nothing passes through fp16.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgesdk_converters.framework_edge import framework_edge, needs
from edgesdk_converters.steps.node_order import name_nodes, sort_nodes
from edgesdk_converters.steps.onnx_from_torch import strip_origin
from edgesdk_converters.steps.parse_onnx import input_shapes, parse_onnx
from edgesdk_converters.steps.tensor_ranges import largest_values, run_onnx
from edgesdk_targets.errors import StepFailed

if TYPE_CHECKING:
    import onnx

    Probe = Mapping[str, npt.NDArray[Any]]

_HINT = "Build this variant with --precision fp32."
_LARGEST, _SMALLEST = 65504.0, 5.96e-8  # that fp16 can hold
_TOO_LARGE = _LARGEST / 4  # room for inputs larger than the probes
_COARSE = 512.0  # from here on fp16 counts in halves
_HEAVY = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm", "GRU", "LSTM", "RNN", "Einsum"})


def fp16_onnx(onnx: bytes, *, probes: Sequence[Probe] = ()) -> bytes:
    """Return the model with float16 weights and arithmetic; inputs and outputs stay float32.

    Args:
        onnx: a float ONNX file's bytes, with fixed shapes.
        probes: inputs by name on which ranges are measured; without any, drawn ones (0..1, always the same).

    Raises:
        InputError: it is no ONNX model, or a shape is not fixed.
        StepFailed: the result is no valid model, or gives infinities where the source does not.
        MissingExtra: onnx or onnxruntime is not installed.
    """
    with framework_edge("fp16_onnx", hint=_HINT):
        with needs("onnx", extra="torch"):
            import onnx as onnx_library
        with needs("onnxruntime", extra="onnx"):
            from onnxruntime.transformers.float16 import convert_float_to_float16

        model = parse_onnx(onnx)
        name_nodes(model.graph)
        feeds = list(probes) or [_drawn(model)]
        keep = _kept_in_float32(model, largest_values(model, feeds))
        half = convert_float_to_float16(model, keep_io_types=True, node_block_list=sorted(keep))
        _rejoin(half.graph)
        sort_nodes(half.graph)
        strip_origin(half)
        onnx_library.checker.check_model(half, full_check=True)
        content: bytes = half.SerializeToString(deterministic=True)
        _check_runs(onnx, content, feeds)
        return content


def _drawn(model: onnx.ModelProto) -> dict[str, npt.NDArray[Any]]:
    from onnx import helper

    random = np.random.default_rng(0)
    kinds = {
        value.name: helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type) for value in model.graph.input
    }
    return {name: random.random(shape).astype(kinds[name]) for name, shape in input_shapes(model).items()}


def _kept_in_float32(model: onnx.ModelProto, largest: Mapping[str, float]) -> set[str]:
    """Return the names of the nodes for which fp16 is too small or too coarse."""
    large, epsilons = _unfit_constants(model.graph)
    unfit = {name for name, value in largest.items() if value > _TOO_LARGE} | large | epsilons
    for node in model.graph.node:
        if epsilons.intersection(node.input):
            unfit.update(node.output)  # whoever divides by it, or takes its logarithm, needs it too
    coarse = {name for name, value in largest.items() if value > _COARSE}
    tail = _behind_the_last_product(model.graph)
    kept = set()
    for node in model.graph.node:
        values = {*node.input, *node.output}
        if node.op_type != "Constant" and (values & unfit or (node.name in tail and values & coarse)):
            kept.add(node.name)
    return kept


def _unfit_constants(graph: onnx.GraphProto) -> tuple[set[str], set[str]]:
    """Return the names of the constants beyond fp16, and of the single numbers that vanish in it.

    An epsilon that vanishes matters; a few tiny weights in a matrix do not.
    """
    from onnx import numpy_helper

    arrays = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            arrays |= {o: numpy_helper.to_array(a.t) for o in node.output for a in node.attribute if a.name == "value"}
    large, epsilons = set(), set()
    for name, array in arrays.items():
        sizes = np.abs(array[np.isfinite(array)]) if array.dtype == np.float32 else np.zeros(0)
        if sizes.size and sizes.max() > _LARGEST:
            large.add(name)
        if sizes.size == 1 and 0 < sizes.max() < _SMALLEST:
            epsilons.add(name)
    return large, epsilons


def _behind_the_last_product(graph: onnx.GraphProto) -> set[str]:
    """Return the names of the nodes from which no convolution or matrix product follows: the decoding of a head."""
    feeds_heavy: set[str] = set()
    tail = set()
    for node in reversed(graph.node):
        if node.op_type in _HEAVY or feeds_heavy.intersection(node.output):
            feeds_heavy.update(node.input)
        else:
            tail.add(node.name)
    return tail


def _rejoin(graph: onnx.GraphProto) -> None:
    """Let float32 nodes that follow each other hand over float32.

    onnxruntime's converter casts down after, and up before, each node that it leaves alone (and writes the same cast
    once for each reader, which is no valid graph).
    """
    source = {
        node.output[0]: node.input[0]
        for node in graph.node
        if _is_cast(node, 10, "graph_input_cast", "_cast_to_fp16_node")
    }
    written: set[str] = set()
    kept: list[onnx.NodeProto] = []
    direct: dict[str, str] = {}
    outputs = {value.name for value in graph.output}
    for node in graph.node:
        if _is_cast(node, 1, "graph_output_cast", "_cast_to_fp32_node"):
            name = node.output[0]
            if name in written or name in direct:
                continue
            if node.input[0] in source and name not in outputs:
                direct[name] = source[node.input[0]]
                continue
            if node.input[0] in source:  # an output keeps its name: it becomes a plain copy
                node.CopyFrom(_copy_node(source[node.input[0]], name, node.name))
        written.update(node.output)
        kept.append(node)
    for node in kept:
        for index, name in enumerate(node.input):
            node.input[index] = direct.get(name, name)
    del graph.node[:]
    graph.node.extend(_used(kept, outputs))
    del graph.value_info[:]  # said of the tensors before; whoever needs the types infers them


def _is_cast(node: onnx.NodeProto, to: int, start: str, end: str) -> bool:
    """Tell whether the converter wrote this cast (the model's own stay), by the names it gives."""
    ours = node.op_type == "Cast" and (node.name.startswith(start) or node.name.endswith(end))
    return ours and any(a.name == "to" and a.i == to for a in node.attribute)


def _copy_node(source: str, target: str, name: str) -> onnx.NodeProto:
    from onnx import helper

    return helper.make_node("Identity", [source], [target], name=name)


def _used(nodes: Sequence[onnx.NodeProto], outputs: Iterable[str]) -> list[onnx.NodeProto]:
    """Drop casts that nobody reads; every other node stays."""
    read = {name for node in nodes for name in node.input}.union(outputs)
    return [node for node in nodes if node.op_type != "Cast" or node.output[0] in read]


def _check_runs(before: bytes, after: bytes, feeds: Sequence[Probe]) -> None:
    """Refuse a graph that ONNX Runtime cannot run, or that gives no numbers where the source does.

    On a CPU it computes fp16 in float32: what overflows inside is known from the ranges, not from this.
    """
    for feed in feeds:
        wanted, got = run_onnx(before, feed), run_onnx(after, feed)
        for name, value in wanted.items():
            if value.dtype.kind == "f" and np.isfinite(value).all() and not np.isfinite(got[name]).all():
                raise StepFailed(f"fp16_onnx: the output {name!r} overflows in fp16.", hint=_HINT)

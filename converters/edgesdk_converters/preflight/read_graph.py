"""ONNX bytes → `Graph`: sizes inferred, constants folded away, weights looked through.

Sizes that ONNX's inference does not find (a resize to a computed size) are measured by running the model once on zeros.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk_converters.framework_edge import framework_edge, needs
from edgesdk_converters.preflight.graph import Graph, Op, Shape, Weight
from edgesdk_converters.steps.node_reading import attributes_of, mentioned
from edgesdk_converters.steps.parse_onnx import parse_onnx

if TYPE_CHECKING:
    import onnx

_HINT = "Export the model again; `python -m onnx.checker` may tell more."
_OWN = frozenset({"", "ai.onnx"})
_RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)


def read_graph(model: bytes) -> Graph:
    """Read a model.

    Raises:
        InputError: these bytes are no ONNX model.
        StepFailed: onnx cannot read it.
        MissingExtra: onnx is not installed.
    """
    parsed = parse_onnx(model)
    with framework_edge("preflight", hint=_HINT):
        with needs("onnx", extra="torch"):
            import onnx
            from onnx import inliner
        if parsed.functions:
            parsed = inliner.inline_local_functions(parsed)
        inferred = onnx.shape_inference.infer_shapes(parsed, data_prop=True)
        graph = inferred.graph
        weights = dict(_weights(graph))
        ops, nested = _ops(graph, set(weights))
        values = [*graph.input, *graph.value_info, *graph.output]
        shapes = {value.name: shape for value in values if (shape := _shape(value)) is not None}
        dtypes = {value.name: _dtype(value.type.tensor_type.elem_type) for value in values}
        _measure(parsed, ops, shapes, dtypes)
        return Graph(
            ops=ops,
            shapes=shapes,
            dtypes=dtypes,
            weights=weights,
            inputs=tuple(value.name for value in graph.input),
            outputs=tuple(value.name for value in graph.output),
            opset=next((entry.version for entry in parsed.opset_import if entry.domain in _OWN), 0),
            nested=nested,
        )


def _weights(graph: onnx.GraphProto) -> Iterable[tuple[str, Weight]]:
    """Yield the stored tensors, looked through one at a time."""
    from onnx import numpy_helper

    for tensor in graph.initializer:
        yield tensor.name, _weight(numpy_helper.to_array(tensor), tensor.data_type)
    for node in graph.node:
        if node.op_type == "Constant" and node.domain in _OWN:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield node.output[0], _weight(numpy_helper.to_array(attribute.t), attribute.t.data_type)


def _weight(array: Any, kind: int) -> Weight:
    nan = infinite = 0
    if np.issubdtype(array.dtype, np.floating):
        nan = int(np.isnan(array).sum())
        infinite = int(np.isinf(array).sum())
    return Weight(tuple(array.shape), _dtype(kind), int(array.nbytes), nan, infinite)


def _ops(graph: onnx.GraphProto, constant: set[str]) -> tuple[tuple[Op, ...], int]:
    """Return the operations that depend on the model's input, and how many stand inside loops and branches."""
    kept, nested = [], 0
    for number, node in enumerate(graph.node):
        reads = mentioned(node)
        if all(name in constant for name in reads) and node.op_type not in _RANDOM:
            constant.update(node.output)
            continue
        nested += sum(len(inner.node) for a in node.attribute for inner in [a.g, *a.graphs])
        name = node.op_type if node.domain in _OWN else f"{node.domain}.{node.op_type}"
        place = node.name or f"for {next((output for output in node.output if output), number)}"
        kept.append(Op(name, place, tuple(node.input), tuple(node.output), attributes_of(node)))
    return tuple(kept), nested


def _shape(value: onnx.ValueInfoProto) -> Shape | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    sizes = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
    return tuple(sizes) if all(size >= 0 for size in sizes) else None


def _dtype(kind: int) -> str:
    from onnx import TensorProto, helper

    if kind == TensorProto.BFLOAT16:
        return "bfloat16"
    try:
        return str(helper.tensor_dtype_to_np_dtype(kind))
    except (KeyError, TypeError, ValueError):
        return "unknown"


def _measure(model: onnx.ModelProto, ops: Iterable[Op], shapes: dict[str, Shape], dtypes: dict[str, str]) -> None:
    """Add the sizes that inference left open, where ONNX Runtime is installed and runs the model."""
    open_values = [name for op in ops for name in op.outputs if name and name not in shapes]
    if not open_values:
        return
    for name, array in _run_on_zeros(model, open_values, shapes, dtypes).items():
        shapes[name] = tuple(array.shape)
        dtypes[name] = str(array.dtype)


def _run_on_zeros(
    model: onnx.ModelProto, wanted: list[str], shapes: Mapping[str, Shape], dtypes: Mapping[str, str]
) -> dict[str, Any]:
    from onnx import helper

    try:
        import onnxruntime
    except ImportError:
        return {}
    if any(value.name not in shapes for value in model.graph.input):
        return {}
    shown = {value.name for value in model.graph.output}
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in wanted if name not in shown)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    feeds = {value.name: np.zeros(shapes[value.name], dtypes[value.name]) for value in model.graph.input}
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        arrays = session.run(wanted, feeds)
    except Exception:  # noqa: BLE001  # a model that this runtime refuses keeps its open sizes; its own check tells why
        return {}
    return {name: array for name, array in zip(wanted, arrays, strict=True) if isinstance(array, np.ndarray)}

"""A float ONNX model → the same, in the form in which a quantiser can measure and replace its parts.

Rule: every node has a name of its own; what is known beforehand is a constant; batch norm is inside its convolution; a
Gemm's factors are inside its weights (onnxruntime's quantiser sets `beta` to 1 and then forgets it where the bias stays
float). The answers do not change. A model that cannot be quantised is refused here, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgesdk_converters.steps.node_order import name_nodes, replace_nodes
from edgesdk_converters.steps.parse_onnx import input_shapes, parse_onnx
from edgesdk_targets.errors import InputError, StepFailed

if TYPE_CHECKING:
    import onnx

    Constants = dict[str, npt.NDArray[Any]]

OLDEST = 13  # opset in which a weight may have one scale for each channel
_LARGEST_FOLDED = 1 << 24  # numbers; a constant larger than this is left to be computed
_QUANTISED = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"})
_NOT_FOLDED = frozenset(
    {"If", "Loop", "Scan", "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike"}
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model ready to be measured and quantised.

    Attributes:
        model: with the type and size of every tensor inside.
        moved: nodes that are no more → the node that does their work now (batch norm → its convolution).
    """

    model: onnx.ModelProto
    moved: dict[str, str]


def prepare(content: bytes) -> Prepared:
    """Parse a float model and bring it into that form.

    Raises:
        InputError: it is no ONNX model, its sizes are not fixed, or a weight is no number.
        StepFailed: it is quantised already, or computes in float16.
    """
    import onnx

    model = parse_onnx(content)
    input_shapes(model)
    name_nodes(model.graph)
    _refuse(model)
    version = next((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), OLDEST)
    if version < OLDEST:
        model = onnx.version_converter.convert_version(model, OLDEST)
        name_nodes(model.graph)
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    constants = _fold_constants(model)
    moved = _fold_batch_norm(model.graph, constants)
    _fold_factors(model.graph, constants)
    _keep_used(model.graph, constants)
    del model.graph.value_info[:]  # an exporter's notes may be of another opset
    return Prepared(onnx.shape_inference.infer_shapes(model, data_prop=True), moved)


def _refuse(model: onnx.ModelProto) -> None:
    import onnx
    from onnx import numpy_helper

    for node in model.graph.node:
        if node.op_type in _QUANTISED or node.op_type.startswith("QLinear"):
            raise StepFailed(
                f"int8_onnx: the model is quantised already (node {node.name!r} is a {node.op_type}).",
                hint="Convert the float model that it was made from; or keep this one as it is with --precision fp32.",
            )
    half = onnx.TensorProto.FLOAT16
    for value in [*model.graph.input, *model.graph.output]:
        if value.type.tensor_type.elem_type == half:
            raise _float16(value.name)
    for weight in model.graph.initializer:
        if weight.data_type == half:
            raise _float16(weight.name)
        if weight.data_type == onnx.TensorProto.FLOAT and not np.isfinite(numpy_helper.to_array(weight)).all():
            users = [node.name for node in model.graph.node if weight.name in node.input]
            # Minus infinity in an attention mask is meant; in a weight it is damage.
            if any(
                node.op_type in {"Conv", "Gemm", "ConvTranspose"} for node in model.graph.node if node.name in users
            ):
                raise InputError(
                    f"The weight {weight.name!r} of {', '.join(users)} holds values that are no numbers (NaN or infinity).",
                    hint="The training went wrong: take an earlier checkpoint.",
                )


def _float16(name: str) -> StepFailed:
    return StepFailed(
        f"int8_onnx: the model is in float16 ({name!r}), and ranges are measured in float32.",
        hint="Export it in float32 (`model.float()`), and convert that.",
    )


def _fold_constants(model: onnx.ModelProto) -> Constants:
    """Take out, in place, every node whose answer is known beforehand; return all constants by name."""
    from onnx import numpy_helper

    graph = model.graph
    constants: Constants = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
    shapes = dict(known_shapes(graph))
    kept = []
    for node in graph.node:
        found = _answers(model, node, constants, shapes)
        if found is None:
            kept.append(node)
        else:
            constants.update(found)
    replace_nodes(graph, kept)
    return constants


def known_shapes(graph: onnx.GraphProto) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the tensors whose size is written in the graph, with it."""
    for value in [*graph.input, *graph.value_info, *graph.output]:
        tensor = value.type.tensor_type
        dims = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
        if tensor.HasField("shape") and all(size >= 0 for size in dims):
            yield value.name, tuple(dims)


def _answers(
    model: onnx.ModelProto, node: onnx.NodeProto, constants: Constants, shapes: dict[str, tuple[int, ...]]
) -> Constants | None:
    """Return a node's outputs where they are known beforehand."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    sizes = [int(np.prod(shapes[name])) for name in node.output if name in shapes]
    if node.domain not in {"", "ai.onnx"} or node.op_type in _NOT_FOLDED or max(sizes, default=0) > _LARGEST_FOLDED:
        return None
    if node.op_type == "Shape" and node.input[0] in shapes:
        feeds: Constants = {node.input[0]: np.empty(shapes[node.input[0]], np.bool_)}
    elif all(name in constants for name in node.input if name):
        feeds = {name: constants[name] for name in node.input if name}
    else:
        return None
    if set(node.output) & {value.name for value in model.graph.output}:
        return None  # an output has to be made by a node
    values = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in feeds.items()
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
    single = helper.make_model(helper.make_graph([node], "one", values, outputs), opset_imports=model.opset_import)
    answers = ReferenceEvaluator(single).run(None, feeds)
    return {name: np.asarray(value) for name, value in zip((n for n in node.output if n), answers, strict=True)}


def _fold_batch_norm(graph: onnx.GraphProto, constants: Constants) -> dict[str, str]:
    """Put each batch norm into the convolution before it, where that has no other reader."""
    made = {name: node for node in graph.node for name in node.output}
    readers = _readers(graph)
    moved: dict[str, str] = {}
    for node in graph.node:
        before = made.get(node.input[0]) if node.op_type == "BatchNormalization" else None
        if before is None or before.op_type not in {"Conv", "ConvTranspose"} or readers[node.input[0]] != 1:
            continue
        if any(name not in constants for name in [*before.input[1:], *node.input[1:]]):
            continue
        if before.op_type == "ConvTranspose" and _attribute(before, "group", 1) != 1:
            continue
        _absorb(before, node, constants)
        before.output[0] = node.output[0]
        moved[node.name] = before.name
    replace_nodes(graph, [node for node in graph.node if node.name not in moved])
    return moved


def _absorb(conv: onnx.NodeProto, norm: onnx.NodeProto, constants: Constants) -> None:
    scale, shift, mean, variance = (constants[name].astype(np.float64) for name in norm.input[1:5])
    factor = scale / np.sqrt(variance + _attribute(norm, "epsilon", 1e-5))
    weight = constants[conv.input[1]]
    bias = constants[conv.input[2]] if len(conv.input) > 2 else np.zeros(len(factor))
    sides = [1] * weight.ndim
    sides[0 if conv.op_type == "Conv" else 1] = -1
    names = f"{conv.name}/weight_with_norm", f"{conv.name}/bias_with_norm"
    constants[names[0]] = (weight * factor.reshape(sides)).astype(np.float32)
    constants[names[1]] = ((bias - mean) * factor + shift).astype(np.float32)
    conv.input[:] = [conv.input[0], *names]


def _fold_factors(graph: onnx.GraphProto, constants: Constants) -> None:
    """Multiply a Gemm's alpha into its constant weights and beta into its constant bias."""
    for node in graph.node:
        if node.op_type != "Gemm":
            continue
        for slot, key in ((1, "alpha"), (2, "beta")):
            factor = _attribute(node, key, 1.0)
            if factor == 1.0 or len(node.input) <= slot or node.input[slot] not in constants:
                continue
            name = f"{node.name}/{key}_times_{slot}"
            constants[name] = (constants[node.input[slot]] * factor).astype(np.float32)
            node.input[slot] = name
            kept = [attribute for attribute in node.attribute if attribute.name != key]
            del node.attribute[:]
            node.attribute.extend(kept)


def _attribute(node: onnx.NodeProto, name: str, default: float) -> float:
    for attribute in node.attribute:
        if attribute.name == name:
            return float(attribute.f if attribute.type == attribute.FLOAT else attribute.i)
    return default


def _readers(graph: onnx.GraphProto) -> dict[str, int]:
    """Count who reads each tensor; being an output of the graph counts too."""
    from edgesdk_converters.steps.node_reading import mentioned

    count: dict[str, int] = {}
    for name in [n for node in graph.node for n in mentioned(node)] + [value.name for value in graph.output]:
        count[name] = count.get(name, 0) + 1
    return count


def _keep_used(graph: onnx.GraphProto, constants: Constants) -> None:
    """Write the constants that somebody reads as the graph's weights, those that were there before unchanged."""
    from onnx import numpy_helper

    read = _readers(graph)
    before = {weight.name: weight for weight in graph.initializer}
    kept = [
        before[name] if name in before else numpy_helper.from_array(np.ascontiguousarray(array), name)
        for name, array in constants.items()
        if name in read
    ]
    copies = [type(weight).FromString(weight.SerializeToString()) for weight in kept]
    del graph.initializer[:]
    graph.initializer.extend(copies)

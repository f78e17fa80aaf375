"""Other people's ONNX → the same model with its input sizes fixed.

Rule: nothing but sizes changes. Open dimensions of the inputs become the card's; initializers stop being inputs (old
exporters list them as both, and converters then take weights for inputs).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgesdk_converters.framework_edge import framework_edge, needs
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import TensorSpec

if TYPE_CHECKING:
    import onnx

_HINT = "Export the model again with a fixed input size."


def static_onnx(model: bytes, inputs: Sequence[TensorSpec]) -> bytes:
    """Fix the sizes of a model's inputs.

    Args:
        inputs: every input by the graph's name, with static shape.

    Raises:
        InputError: the graph has another number of dimensions, or fixed dimensions that differ.
        StepFailed: the file cannot be read or written by onnx.
    """
    with framework_edge("static_onnx", hint=_HINT):
        with needs("onnx", extra="torch"):
            import onnx
        proto = onnx.load_from_string(model)
        weights = {initializer.name for initializer in proto.graph.initializer}
        kept = [value for value in proto.graph.input if value.name not in weights]
        del proto.graph.input[:]
        proto.graph.input.extend(kept)
        for spec in inputs:
            _fix(proto.graph, spec)
        if any(not d.HasField("dim_value") for v in proto.graph.output for d in v.type.tensor_type.shape.dim):
            # What the exporter wrote of later sizes still names the open ones; let inference find them anew.
            del proto.graph.value_info[:]
            for value in proto.graph.output:
                for dim in value.type.tensor_type.shape.dim:
                    dim.ClearField("dim_param")
            proto = onnx.shape_inference.infer_shapes(proto)
        return bytes(proto.SerializeToString(deterministic=True))


def _fix(graph: onnx.GraphProto, spec: TensorSpec) -> None:
    value = next((value for value in graph.input if value.name == spec.name), None)
    if value is None:
        names = ", ".join(v.name for v in graph.input)
        raise InputError(f"The model has no input {spec.name!r}.", hint=f"Its inputs are: {names}.")
    dims = value.type.tensor_type.shape.dim
    if len(dims) != len(spec.shape):
        raise InputError(
            f"The input {spec.name!r} has {len(dims)} dimensions, the card says {list(spec.shape)}.",
            hint="Correct `input.shape` in the card.",
        )
    for dim, size in zip(dims, spec.shape, strict=True):
        if dim.HasField("dim_value") and dim.dim_value not in {0, size}:
            raise InputError(
                f"The input {spec.name!r} is fixed to {[d.dim_value or '?' for d in dims]}, the card says {list(spec.shape)}.",
                hint="Correct `input.shape` in the card, or export the model for that size.",
            )
        dim.dim_value = size

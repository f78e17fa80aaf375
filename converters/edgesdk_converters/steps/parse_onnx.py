"""Bytes from outside become an ONNX model here, or are refused with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesdk_converters.framework_edge import needs
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    import onnx


def parse_onnx(content: bytes) -> onnx.ModelProto:
    """Parse an ONNX file's bytes; weights listed among the inputs (old exporters do that) are taken out of them.

    Raises:
        InputError: it is no ONNX model, or it keeps its weights in a second file.
        MissingExtra: onnx is not installed.
    """
    with needs("onnx", extra="torch"):
        import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_from_string(content)
    except DecodeError as error:
        raise InputError("This is not an ONNX file.", hint="Give the .onnx file that the exporter wrote.") from error
    if not model.graph.node or not model.opset_import:
        raise InputError("This ONNX file holds no graph.", hint="Export the model again; the file is empty or cut off.")
    if any(weight.data_location == onnx.TensorProto.EXTERNAL for weight in model.graph.initializer):
        raise InputError(
            "This ONNX model keeps its weights in a second file.",
            hint="Join them: python -c \"import onnx; onnx.save(onnx.load('model.onnx'), 'joined.onnx')\"",
        )
    # Before IR 4 every weight had to be an input too; later versions, and every tool, allow it not to be.
    model.ir_version = max(model.ir_version, 4)
    weights = {weight.name for weight in model.graph.initializer}
    kept = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return model


def input_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return the shape of every input, by name.

    Raises:
        InputError: a length is not fixed.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for value in model.graph.input:
        tensor = value.type.tensor_type
        lengths = [d.dim_value if d.HasField("dim_value") else 0 for d in tensor.shape.dim]
        if not tensor.HasField("shape") or any(length < 1 for length in lengths):
            names = [d.dim_param or str(d.dim_value or "?") for d in tensor.shape.dim]
            raise InputError(
                f"The input {value.name!r} has no fixed shape: ({', '.join(names)}).",
                hint="Give `input.shape` in the model card, or export with fixed sizes; a device runs one size.",
            )
        shapes[value.name] = tuple(lengths)
    return shapes

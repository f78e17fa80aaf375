"""What an `.onnx` file and the files beside it say of a model, read without running it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from edgesdk_converters.drafting.exporter_metadata import read_metadata
from edgesdk_converters.framework_edge import needs, reason
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import DTYPES, DYNAMIC, TensorSpec

if TYPE_CHECKING:
    import onnx

# Ops that change a tensor's form and not its meaning.
_TRANSPARENT = frozenset({"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose"})
_SIDE_FILES = ("config.json", "preprocessor_config.json")
_SIDE_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model's border.

    Attributes:
        inputs: without weights; -1 for a size that the file leaves open.
        outputs: likewise.
        metadata: the file's properties, and the texts of Hugging Face's files beside it.
        made_by: the op that makes an output, by the output's name.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    metadata: dict[str, str]
    made_by: dict[str, str]


def read_onnx(path: Path) -> ModelFacts:
    """Read an `.onnx` file.

    Raises:
        InputError: it cannot be read, or has a tensor of a type that edgesdk does not handle.
        MissingExtra: onnx is not installed.
    """
    with needs("onnx", extra="torch"):
        import onnx
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own classes, and OSError
        raise InputError(
            f"{path} cannot be read as ONNX: {reason(error)}", hint="Copy the file again, or export it again."
        ) from error
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    if "names" not in metadata:
        metadata |= _side_files(path)
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer} | {t.values.name for t in graph.sparse_initializer}
    # Old exporters list the weights among the inputs.
    inputs = tuple(_spec(value) for value in graph.input if value.name not in weights)
    outputs = tuple(_spec(value) for value in graph.output)
    if any(spec.dynamic for spec in outputs):
        outputs = _inferred(model, read_metadata(metadata).size)
    return ModelFacts(inputs, outputs, metadata, _makers(graph.node, [spec.name for spec in outputs]))


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    import onnx

    kind = value.type.WhichOneof("value")
    element = value.type.tensor_type.elem_type
    dtype = str(onnx.helper.tensor_dtype_to_np_dtype(element)) if kind == "tensor_type" and element else str(kind)
    if dtype not in DTYPES:
        raise InputError(
            f"The model's tensor {value.name!r} is {dtype}; {', '.join(DTYPES)} can be handled.",
            hint="Cast it inside the model, or remove it from the model's outputs.",
        )
    dims = value.type.tensor_type.shape.dim
    shape = tuple(d.dim_value if d.dim_value > 0 else DYNAMIC for d in dims)
    try:
        return TensorSpec(name=value.name, shape=shape or (1,), dtype=dtype)
    except ValidationError as error:
        raise InputError(
            f"The model's tensor {value.name[:40]!r} cannot be handled: {error.errors()[0]['msg']}.",
            hint="Export the model again, with tensors of a usual name and size.",
        ) from error


def _inferred(model: onnx.ModelProto, size: tuple[int, int] | None) -> tuple[TensorSpec, ...]:
    """Work out the outputs' sizes for one picture, of the size that the metadata tell."""
    import onnx

    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        if len(dims) == 4:
            height, width = size or (None, None)
            last = dims[3].dim_value in {1, 3}
            known = (1, height, width, None) if last else (1, None, height, width)
            for dim, fixed in zip(dims, known, strict=True):
                if fixed is not None and dim.dim_value < 1:
                    dim.dim_value = fixed
    for value in model.graph.output:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_value < 1:
                dim.Clear()
    # Where it cannot tell, sizes stay open, which the readings cope with.
    with contextlib.suppress(RuntimeError, ValueError):
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    return tuple(_spec(value) for value in model.graph.output)


def _makers(nodes: Iterable[Any], outputs: list[str]) -> dict[str, str]:
    by_output = {name: node for node in nodes for name in node.output}
    makers: dict[str, str] = {}
    for output in outputs:
        node = by_output.get(output)
        while node is not None and node.op_type in _TRANSPARENT and node.input:
            node = by_output.get(node.input[0])
        if node is not None:
            makers[output] = node.op_type
    return makers


def _side_files(path: Path) -> dict[str, str]:
    """Read Hugging Face's configuration beside the model, or one folder up, where its exporter puts it."""
    for folder in (path.resolve().parent, path.resolve().parent.parent):
        texts = {name: text for name in _SIDE_FILES if (text := _small_text(folder / name)) is not None}
        if "config.json" in texts and '"model_type"' in texts["config.json"]:
            return texts
    return {}


def _small_text(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            data = file.read(_SIDE_FILE_BYTES + 1)
        return data.decode("utf-8") if len(data) <= _SIDE_FILE_BYTES else None
    except (OSError, UnicodeDecodeError):
        return None

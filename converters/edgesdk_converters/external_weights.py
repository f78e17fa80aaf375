"""Where an ONNX model keeps weights beside itself."""

from __future__ import annotations

from pathlib import Path

from edgesdk_converters.framework_edge import needs


def weights_beside(path: Path) -> list[Path]:
    """Return the files of an ONNX model's weights beside it; none where it holds all of them itself.

    Raises:
        OSError: the model cannot be read.
        MissingExtra: onnx is not installed.
    """
    if b"location" not in path.read_bytes():  # the key under which a tensor names its file
        return []
    with needs("onnx", extra="torch"):
        import onnx
    graph = onnx.load(str(path), load_external_data=False).graph
    constants = [attribute.t for node in graph.node for attribute in node.attribute if attribute.HasField("t")]
    tensors = (*graph.initializer, *constants)
    named = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    return [path.parent / name for name in sorted(named)]

"""An artifact with other weights in an otherwise healthy bundle: what a check has to find out."""

from __future__ import annotations

from pathlib import Path, PurePath
from xml.etree import ElementTree as ET

import numpy as np
import onnx
from onnx import numpy_helper

from edgesdk_targets.bundle.bundle import open_bundle, write_bundle
from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.tensor import Array


def altered(bundle: Path, variant_id: str, factor: float, target: Path) -> bool:
    """Write the bundle with one convolution's weights scaled and its hashes right.

    Returns:
        False for a format that is not altered here.
    """
    with open_bundle(bundle) as opened:
        files = {name: opened.read(name) for name in opened.manifest.files}
        manifest = opened.manifest
    places = next(variant.files for variant in manifest.variants if variant.id == variant_id)
    suffix = PurePath(places["model"]).suffix
    if suffix == ".onnx":
        new = _scaled_onnx(files[places["model"]], factor)
        name = places["model"]
    elif suffix == ".xml":
        new = _scaled_openvino(files[places["model"]], files[places["weights"]], factor)
        name = places["weights"]
    else:
        return False
    if new is None:
        return False
    files[name] = new
    document = manifest.model_dump(mode="json", by_alias=True)
    write_bundle(target, Manifest.model_validate(document), files)
    return True


def _scaled_onnx(data: bytes, factor: float) -> bytes | None:
    """Scale the first convolution's weights; of quantised ones, the steps in which they are counted."""
    model = onnx.load_from_string(data)
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    steps = {
        node.output[0]: node.input[1]
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in held
    }
    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        tensor = held.get(steps.get(node.input[1], node.input[1]))
        if tensor is not None and tensor.data_type == onnx.TensorProto.FLOAT:
            scaled: Array = numpy_helper.to_array(tensor) * np.float32(factor)
            tensor.CopyFrom(numpy_helper.from_array(scaled, tensor.name))
            return model.SerializeToString()
    return None


def _scaled_openvino(xml: bytes, weights: bytes, factor: float) -> bytes | None:
    """Scale the first float constant with a number for each output channel: a convolution's weights, or their steps."""
    for layer in ET.fromstring(xml).iter("layer"):  # noqa: S314  (our own converter wrote it)
        data = layer.find("data")
        if layer.get("type") != "Const" or data is None or data.get("element_type") != "f32":
            continue
        shape = [int(side) for side in (data.get("shape") or "").split(",") if side.strip()]
        if len(shape) != 4 or shape[0] == 1:
            continue
        start, size = int(data.get("offset", 0)), int(data.get("size", 0))
        scaled = np.frombuffer(weights, "<f4", size // 4, start) * np.float32(factor)
        return weights[:start] + scaled.astype("<f4").tobytes() + weights[start + size :]
    return None

"""ONNX → OpenVINO's IR (xml and weights), optionally with normalisation folded in.

Rule: the file says nothing of the machine that made it: the converter's record of versions and arguments is dropped,
so that two conversions are byte-identical. Resizing is never folded (it is slower there, and gives other pixels), nor
is channel order, which the host's preprocessing does while it resizes.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree as ET

from edgesdk_converters.framework_edge import framework_edge, needs

# OpenVINO names what it inserts by its type and a number that counts on in the process: `Convert_2802`.
_RUNNING_NUMBER = re.compile(r"^[A-Z][A-Za-z]*_\d+$")
_BORDER = frozenset({"Parameter", "Result"})
_HINT = "Convert for ONNX Runtime (--target generic-onnx), or export the model with other ops."


@dataclass(frozen=True, slots=True)
class Fold:
    """What becomes part of the model: its picture input takes uint8 NHWC and does x = (pixel - mean) / std itself.

    Attributes:
        mean, std: one value a channel, in pixel units (0..255).
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


def openvino_from_onnx(
    onnx: bytes, *, precision: Literal["fp32", "fp16"], fold: Fold | None = None
) -> tuple[bytes, bytes]:
    """Convert a static float ONNX model and return the IR's xml and its weights.

    Args:
        precision: `fp16` stores the weights in half precision; computing stays the session's choice.
        fold: for the first input, (1, C, H, W) float32.

    Raises:
        StepFailed: OpenVINO has no equivalent for an op; the message names it.
        MissingExtra: openvino is not installed.
    """
    with framework_edge("openvino_from_onnx", hint=_HINT):
        with needs("openvino", extra="openvino"):
            import openvino
        with tempfile.TemporaryDirectory(prefix="edgesdk-openvino-") as folder:
            source, made = Path(folder) / "model.onnx", Path(folder) / "model.xml"
            source.write_bytes(onnx)
            model = openvino.convert_model(str(source))
            if fold is not None:
                model = _folded(model, fold)
            openvino.save_model(model, str(made), compress_to_fp16=precision == "fp16")
            return _without_history(made.read_bytes()), made.with_suffix(".bin").read_bytes()


def _folded(model: Any, fold: Fold) -> Any:
    from openvino import Layout, Type
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    image = steps.input(0)
    image.tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
    image.model().set_layout(Layout("NCHW"))
    image.preprocess().convert_element_type(Type.f32)
    if any(fold.mean):
        image.preprocess().mean(list(fold.mean))
    if any(value != 1 for value in fold.std):
        image.preprocess().scale(list(fold.std))
    return steps.build()


def _without_history(xml: bytes) -> bytes:
    """Drop what tells of this process: the model's runtime information, and names that hold a running number."""
    root = ET.fromstring(xml)  # noqa: S314  (OpenVINO wrote it a moment ago)
    for info in root.findall("rt_info"):
        root.remove(info)
    root.set("name", "model")
    for layer in root.iter("layer"):
        if _RUNNING_NUMBER.match(layer.get("name", "")) and layer.get("type") not in _BORDER:
            layer.set("name", f"{layer.get('type')}_{layer.get('id')}")
        for info in layer.findall("rt_info"):
            for attribute in info.findall("attribute[@name='fused_names']"):
                info.remove(attribute)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))

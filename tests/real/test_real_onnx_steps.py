"""Other people's `.onnx` files go to every runtime: each artifact answers as ONNX Runtime does, on a real picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgesdk_converters.steps.fp16_onnx import fp16_onnx
from edgesdk_converters.steps.litert_from_onnx import litert_from_onnx
from edgesdk_converters.steps.litert_from_torch import litert_from_torch
from edgesdk_converters.steps.openvino_from_onnx import Fold, openvino_from_onnx
from edgesdk_converters.steps.tensorrt_rtx_check import parser_accepts
from edgesdk_converters.steps.torch_from_onnx import torch_from_onnx
from edgesdk_testkit import torch_models as models

pytestmark = pytest.mark.real


@dataclass(frozen=True)
class Export:
    """An exported model, and how a picture is given to it: BGR or RGB, x = (pixel - mean) / std."""

    path: str
    picture: str
    size: tuple[int, int]
    rgb: bool
    mean: float
    std: float

    def pixels(self, assets: Path) -> Any:
        image = cv2.resize(cv2.imread(str(assets / self.picture)), self.size[::-1])
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if self.rgb else image

    def tensor(self, assets: Path) -> Any:
        values = (self.pixels(assets).astype(np.float32) - self.mean) / self.std
        return np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis])


FASTESTDET = Export(
    "detection_coco/fastestdet_coco.onnx", "detection_coco/images/000000001000.jpg", (352, 352), False, 0, 255
)
ULTRAFACE = Export("face/ultraface_rfb_320.onnx", "face/images/grace_hopper.bmp", (240, 320), True, 127, 128)
by_export = pytest.mark.parametrize("export", [FASTESTDET, ULTRAFACE], ids=["fastestdet", "ultraface"])


@cache
def _reference(export: Export, assets: Path) -> tuple[bytes, str, Any, list[Any]]:
    import onnx

    content = (assets / export.path).read_bytes()
    graph = onnx.load_from_string(content).graph
    weights = {weight.name for weight in graph.initializer}
    name = next(value.name for value in graph.input if value.name not in weights)
    given = export.tensor(assets)
    return content, name, given, models.run_onnx(content, {name: given})


def _run_openvino(files: tuple[bytes, bytes], name: str, given: Any) -> list[Any]:
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(*files), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    said = compiled({name: given})
    return [np.array(said[port]) for port in compiled.outputs]


@by_export
def test_litert_fp32(export: Export, assets: Path) -> None:
    content, _, given, wanted = _reference(export, assets)
    artifact = litert_from_onnx(content, precision="fp32")
    assert models.worst_db(wanted, models.run_litert(artifact, [given])) >= 100


def test_litert_fp16(assets: Path) -> None:
    content, _, given, wanted = _reference(ULTRAFACE, assets)
    module, example = torch_from_onnx(content)
    artifact = litert_from_torch(module, example, precision="fp16")
    assert len(artifact) < 0.6 * len(content)
    assert models.worst_db(wanted, models.run_litert(artifact, [given])) >= 45


@by_export
@pytest.mark.parametrize(("precision", "least_db"), [("fp32", 100), ("fp16", 45)])
def test_openvino(export: Export, assets: Path, precision: Any, least_db: float) -> None:
    content, name, given, wanted = _reference(export, assets)
    files = openvino_from_onnx(content, precision=precision)
    assert models.worst_db(wanted, _run_openvino(files, name, given)) >= least_db


@by_export
def test_openvino_with_the_normalisation_inside(export: Export, assets: Path) -> None:
    content, name, _, wanted = _reference(export, assets)
    fold = Fold("rgb" if export.rgb else "bgr", (float(export.mean),) * 3, (float(export.std),) * 3)
    files = openvino_from_onnx(content, precision="fp32", fold=fold)
    pixels = np.ascontiguousarray(export.pixels(assets)[np.newaxis])
    assert models.worst_db(wanted, _run_openvino(files, name, pixels)) >= 100


@by_export
def test_fp16_onnx_for_tensorrt(export: Export, assets: Path) -> None:
    content, name, given, wanted = _reference(export, assets)
    half = fp16_onnx(content)
    assert len(half) < 0.6 * len(content)
    assert models.worst_db(wanted, models.run_onnx(half, {name: given})) >= 40
    assert parser_accepts(half).status in {"accepted", "not checked"}

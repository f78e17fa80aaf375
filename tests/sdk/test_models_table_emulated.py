"""The emulated board's part of the table: wrong artifacts to be found out, and how far its figures may be from this machine's."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesdk.evaluate.intervals import Metric
from edgesdk_targets.results import Detections
from edgesdk_targets.tensor import Array

pytestmark = pytest.mark.usefixtures("benchmarks_path")

KERNEL = np.random.default_rng(3).normal(0, 1, (4, 3, 3, 3)).astype(np.float32)
PICTURE = np.random.default_rng(4).normal(0, 1, (1, 3, 8, 8)).astype(np.float32)


def _module(name: str) -> Any:
    return importlib.import_module(f"table.{name}")


def convolution(*, quantised: bool) -> bytes:
    """Return a model of one convolution, its weights in float or as steps of 8 bits."""
    steps = (np.abs(KERNEL).max(axis=(1, 2, 3)) / 127).astype(np.float32)
    held, nodes = [numpy_helper.from_array(KERNEL, "weights")], []
    if quantised:
        codes = np.rint(KERNEL / steps[:, None, None, None]).astype(np.int8)
        arrays = {"codes": codes, "steps": steps, "zero": np.zeros(4, np.int8)}
        held = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
        nodes.append(helper.make_node("DequantizeLinear", ["codes", "steps", "zero"], ["weights"], axis=0))
    nodes.append(helper.make_node("Conv", ["image", "weights"], ["out"]))
    given, got = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("image", [1, 3, 8, 8]), ("out", [1, 4, 6, 6]))
    )
    graph = helper.make_graph(nodes, "convolution", [given], [got], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def by_onnxruntime(model: bytes) -> Array:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found: Array = session.run(None, {"image": PICTURE})[0]
    return found


def by_openvino(xml: bytes, weights: bytes) -> Array:
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(xml, weights), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found: Array = compiled(PICTURE)[compiled.output(0)]
    return found


@pytest.mark.parametrize("quantised", [False, True])
def test_an_onnx_artifact_is_altered_in_its_weights(quantised: bool) -> None:
    model = convolution(quantised=quantised)
    wrong = _module("altered")._scaled_onnx(model, 1.5)
    onnx.checker.check_model(onnx.load_from_string(wrong))
    np.testing.assert_allclose(by_onnxruntime(wrong), 1.5 * by_onnxruntime(model), rtol=1e-4, atol=1e-4)


def openvino_convolution(folder: Path, *, quantised: bool) -> tuple[bytes, bytes]:
    """Return what OpenVINO saves of one convolution; in 8 bits as NNCF writes it, with the ranges of what comes in before it."""
    import openvino
    from openvino import opset13 as ops

    image = ops.parameter([1, 3, 8, 8], np.float32, name="image")
    came, weights = image, ops.constant(KERNEL)
    if quantised:
        ends = [np.full((1, 3, 1, 1), end, np.float32) for end in (-4, 4, -4, 4)]
        came = ops.fake_quantize(image, *ends, 256)
        steps = (np.abs(KERNEL).max(axis=(1, 2, 3), keepdims=True) / 127).astype(np.float32)
        weights = ops.multiply(ops.convert(ops.constant(np.rint(KERNEL / steps).astype(np.int8)), "f32"), steps)
    found = ops.convolution(came, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    openvino.save_model(openvino.Model([found], [image]), folder / "model.xml", compress_to_fp16=False)
    return (folder / "model.xml").read_bytes(), (folder / "model.bin").read_bytes()


@pytest.mark.parametrize("quantised", [False, True])
def test_an_openvino_artifact_is_altered_in_its_weights(quantised: bool, tmp_path: Path) -> None:
    xml, weights = openvino_convolution(tmp_path, quantised=quantised)
    wrong = _module("altered")._scaled_openvino(xml, weights, 1.5)
    assert len(wrong) == len(weights)
    np.testing.assert_allclose(by_openvino(xml, wrong), 1.5 * by_openvino(xml, weights), rtol=1e-3, atol=1e-3)


def test_a_model_without_a_convolution_is_not_altered() -> None:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["a"], ["b"])],
        "relu",
        [value("a", TensorProto.FLOAT, [1])],
        [value("b", TensorProto.FLOAT, [1])],
    )
    assert _module("altered")._scaled_onnx(helper.make_model(graph).SerializeToString(), 2.0) is None
    assert _module("altered")._scaled_openvino(b"<net><layers/></net>", b"", 2.0) is None


def found(count: int, score: float = 0.9) -> Detections:
    boxes = np.asarray([(10.0 * n, 0.0, 10.0 * n + 8, 8.0) for n in range(count)], np.float32).reshape(-1, 4)
    return Detections(boxes, np.full(count, score, np.float32), np.zeros(count, np.int64), ("a",))


def test_a_tolerance_is_never_less_than_one_detection() -> None:
    one = _module("figures")._one_detection([found(12), found(8), found(30, score=0.1)])["F1 with float"]
    assert one == 1 / 20
    f1 = _module("figures")._f1
    elsewhere = Detections(found(8).boxes + np.float32([500, 0, 500, 0]), found(8).scores, found(8).class_ids, ("a",))
    assert f1([found(1), elsewhere], [found(1), elsewhere]).value == 1.0
    pair = _module("emulate")._pair
    here = Metric(1.0, 0.9, 1.0, 2)
    assert pair("F1 with float", Metric(1 - one, 0, 1, 2), here, one)["holds"]
    assert not pair("F1 with float", Metric(1 - 2 * one, 0, 1, 2), here, one)["holds"]
    # Of many detections two points are more than one of them.
    assert pair("F1 with float", Metric(0.981, 0, 1, 2), here, 1 / 200)["within"] == 0.02
    assert not pair("F1 with float", Metric(0.979, 0, 1, 2), here, 1 / 200)["holds"]


def test_one_detection_elsewhere_is_what_the_tolerance_says() -> None:
    figures = _module("figures")
    wanted, got = found(20), found(20)
    got.boxes[7] += 500
    assert figures._f1([wanted], [got]).value == pytest.approx(1 - figures._one_detection([wanted])["F1 with float"])

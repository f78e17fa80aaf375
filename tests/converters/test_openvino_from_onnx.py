"""ONNX → OpenVINO: the same numbers, folded normalisation, the same bytes whatever was converted before."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgesdk_converters.child import run_step
from edgesdk_converters.steps.openvino_from_onnx import Fold, openvino_from_onnx
from edgesdk_targets.errors import InputError, StepFailed
from edgesdk_testkit import torch_models as models

CONVERTIBLE = ("classifier", "reader", "detector", "streaming")
IMAGENET = Fold("rgb", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


def _run(files: tuple[bytes, bytes], given: dict[str, Any]) -> list[Any]:
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(*files), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    said = compiled(given)
    return [np.array(said[port]) for port in compiled.outputs]


@pytest.mark.parametrize("name", CONVERTIBLE)
@pytest.mark.parametrize(("precision", "least_db"), [("fp32", 100), ("fp16", 45)])
def test_the_answers_are_the_sources(name: str, precision: Any, least_db: float) -> None:
    given = dict(zip(models.inputs(name), models.feeds(name), strict=True))
    wanted = models.run_onnx(models.onnx_of(name), given)
    assert (
        models.worst_db(wanted, _run(openvino_from_onnx(models.onnx_of(name), precision=precision), given)) >= least_db
    )


def test_names_and_shapes_are_kept() -> None:
    import openvino

    model = openvino.Core().read_model(*openvino_from_onnx(models.onnx_of("streaming"), precision="fp32"))
    assert [port.get_any_name() for port in model.inputs] == ["input_0", "input_1"]
    assert ["state_out" in port.get_names() for port in model.outputs] == [False, True]
    assert all(port.partial_shape.is_static for port in (*model.inputs, *model.outputs))


def test_fp16_halves_the_weights() -> None:
    whole, half = (openvino_from_onnx(models.onnx_of("detector"), precision=p)[1] for p in ("fp32", "fp16"))
    assert len(half) < 0.6 * len(whole)


@pytest.mark.parametrize(("precision", "least_db"), [("fp32", 100), ("fp16", 45)])
def test_folded_it_takes_pixels(precision: Any, least_db: float) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (1, 3, 32, 32), np.uint8)
    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (IMAGENET.mean, IMAGENET.std))
    wanted = models.run_onnx(models.onnx_of("detector"), {"input_0": (pixels - mean) / std})
    files = openvino_from_onnx(models.onnx_of("detector"), precision=precision, fold=IMAGENET)
    inside = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
    assert models.worst_db(wanted, _run(files, {"input_0": inside})) >= least_db
    # Negative control: with the channels the other way round it is another picture.
    assert models.worst_db(wanted, _run(files, {"input_0": inside[..., ::-1].copy()})) < 40


def test_folded_means_stay_exact_in_fp16() -> None:
    _, weights = openvino_from_onnx(models.onnx_of("detector"), precision="fp16", fold=IMAGENET)
    assert np.float32(123.675).tobytes() in weights or np.float32(-123.675).tobytes() in weights


def test_the_bytes_do_not_depend_on_what_was_converted_before() -> None:
    first = openvino_from_onnx(models.onnx_of("detector"), precision="fp16", fold=IMAGENET)
    openvino_from_onnx(models.onnx_of("reader"), precision="fp32")
    again = openvino_from_onnx(models.onnx_of("detector"), precision="fp16", fold=IMAGENET)
    elsewhere = run_step(
        "edgesdk_converters.steps.openvino_from_onnx:openvino_from_onnx",
        onnx=models.onnx_of("detector"),
        precision="fp16",
        fold=IMAGENET,
    )
    assert first == again == elsewhere
    assert b"edgesdk-openvino" not in first[0]  # the folder it was written in
    assert b"conversion_parameters" not in first[0]


def _one_node(op: str, domain: str = "", shape: Any = (1, 4, 4)) -> bytes:
    node = helper.make_node(op, ["x"], ["y"], name="the_node", domain=domain)
    border = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in (("x", shape), ("y", None))
    ]
    graph = helper.make_graph([node], "g", border[:1], border[1:])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("my", 1)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def test_an_op_that_openvino_lacks_is_named() -> None:
    with pytest.raises(StepFailed, match=r"openvino_from_onnx: .*my\.Foo"):
        openvino_from_onnx(_one_node("Foo", "my"), precision="fp32")


def test_an_open_size_is_refused() -> None:
    with pytest.raises(InputError, match=r"'x' has no fixed shape: \(n, 4\)"):
        openvino_from_onnx(_one_node("Relu", shape=("n", 4)), precision="fp32")


@pytest.mark.parametrize("content", [b"", b"no onnx at all", b"\x08"])
def test_what_is_no_onnx_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="ONNX"):
        openvino_from_onnx(content, precision="fp32")


def test_weights_in_a_second_file_are_refused() -> None:
    model = onnx.load_from_string(models.onnx_of("classifier"))
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    with pytest.raises(InputError, match="second file") as caught:
        openvino_from_onnx(model.SerializeToString(), precision="fp32")
    assert "onnx.save" in caught.value.hint


@pytest.mark.parametrize(
    ("color", "mean", "std"), [("rgb", (1.0,), (1.0,)), ("gray", (1.0,), (0.0,)), ("gray", (1.0, 2.0), (1.0, 1.0))]
)
def test_a_fold_that_cannot_be_is_refused(color: Any, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    with pytest.raises(InputError):
        Fold(color, mean, std)


def test_a_fold_that_does_not_fit_the_input_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be built into"):
        openvino_from_onnx(models.onnx_of("reader"), precision="fp32", fold=IMAGENET)


def test_openvino_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    openvino_from_onnx(models.onnx_of("classifier"), precision="fp16")
    assert capfd.readouterr() == ("", "")

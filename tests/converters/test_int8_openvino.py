"""ONNX → OpenVINO INT8: close to float, float tail and borders, folded pixels, the same bytes each time."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
from onnx import numpy_helper

from edgesdk_converters.child import run_step
from edgesdk_converters.steps.int8_openvino import AccuracyControl, int8_openvino
from edgesdk_converters.steps.openvino_from_onnx import Fold
from edgesdk_targets.errors import InputError, StepFailed
from edgesdk_targets.tensor import Array
from edgesdk_testkit import torch_models as models

FOLD = Fold("rgb", (123.7, 116.3, 103.5), (58.4, 57.1, 57.4))
Ir = tuple[bytes, bytes]


def samples_of(name: str, count: int = 16) -> dict[str, Array]:
    random = np.random.default_rng(3)
    shapes = models.MODELS[name].SHAPES
    return {f"input_{i}": random.random((count, *shape)).astype(np.float32) for i, shape in enumerate(shapes)}


@functools.cache
def int8_of(name: str) -> Ir:
    return int8_openvino(models.onnx_of(name), samples_of(name))


def run(files: Ir, feeds: dict[str, Array]) -> list[Array]:
    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(*files), "CPU", settings)
    said = compiled(feeds)
    return [said[port] for port in compiled.outputs]


def quantisers(files: Ir) -> set[str]:
    """Return the names of the operations whose results are quantised."""
    model = openvino.Core().read_model(*files)
    ops = [op for op in model.get_ordered_ops() if op.get_type_name() == "FakeQuantize"]
    return {op.input_value(0).get_node().get_friendly_name() for op in ops}


def int8_weights(files: Ir) -> int:
    model = openvino.Core().read_model(*files)
    constants = [op for op in model.get_ordered_ops() if op.get_type_name() == "Constant"]
    return sum(op.get_element_type().get_type_name() == "i8" for op in constants)


@pytest.mark.parametrize("name", ["classifier", "reader", "detector", "streaming"])
def test_the_answers_are_near_the_float_models(name: str) -> None:
    given = models.feeds(name)
    wanted = models.answers(models.make(name), given)
    got = run(int8_of(name), {f"input_{i}": value for i, value in enumerate(given)})
    assert 25 <= models.worst_db(wanted, got) < 90  # near, and really quantised
    assert int8_weights(int8_of(name)) > 0
    model = openvino.Core().read_model(*int8_of(name))
    ports = [*model.inputs, *model.outputs]
    assert {port.element_type.get_type_name() for port in ports} == {"f32"}


def test_what_follows_the_last_convolutions_is_float() -> None:
    """Boxes' arithmetic and the scores' sigmoid: NNCF would quantise their products."""
    names = quantisers(int8_of("detector"))
    tail = {"Sigmoid", "Multiply"}
    model = openvino.Core().read_model(*int8_of("detector"))
    kinds = {op.get_friendly_name(): op.get_type_name() for op in model.get_ordered_ops()}
    assert names
    assert not {kinds[name] for name in names} & tail


def test_kept_nodes_stay_float() -> None:
    content = models.onnx_of("classifier")
    nodes = [node.name for node in onnx.load_from_string(content).graph.node if node.op_type == "Conv"]
    kept = int8_openvino(content, samples_of("classifier"), keep_float=nodes[:1])
    assert int8_weights(kept) == int8_weights(int8_of("classifier")) - 1
    with pytest.raises(InputError, match="no node 'conv_9'"):
        int8_openvino(content, samples_of("classifier"), keep_float=["conv_9"])
    every = [node.name for node in onnx.load_from_string(content).graph.node]
    with pytest.raises(StepFailed, match="no layer is left"):
        int8_openvino(content, samples_of("classifier"), keep_float=every)


def test_another_process_writes_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    # This one has another seed, which Python chose by chance.
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    made = run_step(
        "edgesdk_converters.steps.int8_openvino:int8_openvino",
        onnx=models.onnx_of("reader"),
        samples=samples_of("reader"),
    )
    assert made == int8_of("reader")


def test_normalisation_is_folded_into_the_input() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (17, 1, 32, 32, 3), np.uint8)
    prepared = ((pixels.astype(np.float32) - FOLD.mean) / FOLD.std).astype(np.float32)
    prepared = np.ascontiguousarray(prepared.transpose(0, 1, 4, 2, 3))
    files = int8_openvino(models.onnx_of("classifier"), {"input_0": prepared[1:]}, fold=FOLD)
    wanted = models.answers(models.make("classifier"), [prepared[0]])
    assert models.worst_db(wanted, run(files, {"input_0": pixels[0]})) >= 25
    model = openvino.Core().read_model(*files)
    assert model.inputs[0].element_type.get_type_name() == "u8"


def test_accuracy_control_returns_layers_to_float() -> None:
    content, samples = models.onnx_of("detector"), samples_of("detector")
    strict = int8_openvino(content, samples, accuracy=AccuracyControl(min_sqnr_db=150, samples=4, max_layers=3))
    assert int8_weights(strict) < int8_weights(int8_of("detector"))
    given = models.feeds("detector")
    wanted = models.answers(models.make("detector"), given)
    better = models.worst_db(wanted, run(strict, {"input_0": given[0]}))
    assert better > models.worst_db(wanted, run(int8_of("detector"), {"input_0": given[0]}))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ({}, "The samples have inputs"),
        ({"input_0": np.zeros((0, 1, 3, 32, 32), np.float32)}, "no calibration samples"),
        ({"input_0": np.zeros((2, 1, 3, 16, 16), np.float32)}, "The samples have inputs"),
        ({"input_0": np.full((1, 1, 3, 32, 32), np.nan, np.float32)}, "sample 0 holds NaN"),
    ],
)
def test_samples_that_cannot_be_are_refused(samples: dict[str, Array], message: str) -> None:
    with pytest.raises(InputError, match=message):
        int8_openvino(models.onnx_of("classifier"), samples)


def test_weights_that_are_no_numbers_are_refused() -> None:
    model = onnx.load_from_string(models.onnx_of("classifier"))
    weight: Any = next(w for w in model.graph.initializer if len(w.dims) == 4)
    broken = np.full(tuple(weight.dims), np.nan, np.float32)
    weight.CopyFrom(numpy_helper.from_array(broken, weight.name))
    with pytest.raises(InputError, match=r"no number|NaN"):
        int8_openvino(model.SerializeToString(), samples_of("classifier"))


def test_nncf_is_silent_and_sends_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    int8_openvino(models.onnx_of("streaming"), samples_of("streaming"))
    assert capfd.readouterr() == ("", "")
    from nncf.telemetry import wrapper

    assert not isinstance(wrapper.telemetry, wrapper.NNCFTelemetry)

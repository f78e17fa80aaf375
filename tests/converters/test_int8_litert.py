"""Float LiteRT → INT8 LiteRT: close to float, small, float borders and tail, the same bytes each time."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgesdk_converters.child import run_step
from edgesdk_converters.sniff import Kind
from edgesdk_converters.steps.int8_litert import int8_litert
from edgesdk_converters.steps.litert_from_torch import litert_from_torch
from edgesdk_converters.steps.litert_graph import LiteRtGraph
from edgesdk_converters.steps.litert_places import litert_places
from edgesdk_converters.steps.openvino_from_onnx import Fold
from edgesdk_converters.steps.weight_rounding import rounded
from edgesdk_targets.errors import InputError, StepFailed
from edgesdk_targets.tensor import Array
from edgesdk_testkit import torch_models as models

pytestmark = pytest.mark.long

FOLD = Fold("rgb", (123.7, 116.3, 103.5), (58.4, 57.1, 57.4))


def samples_of(name: str, count: int = 24) -> dict[str, Array]:
    random = np.random.default_rng(3)
    shapes = models.MODELS[name].SHAPES
    return {f"input_{i}": random.random((count, *shape)).astype(np.float32) for i, shape in enumerate(shapes)}


@functools.cache
def int8_of(name: str, mode: Any = "static") -> bytes:
    return int8_litert(models.litert_of(name), samples_of(name), mode=mode)


def kinds_of(content: bytes) -> dict[str, set[str]]:
    """Return the types of the weights of each kind of layer."""
    graph = LiteRtGraph(content)
    floats = {op.inputs[1] for op in graph.layers()}
    found: dict[str, set[str]] = {}
    for op in graph.operations:
        if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            found.setdefault(op.kind, set()).add("float" if op.inputs[1] in floats else "int8")
    return found


@pytest.mark.parametrize("mode", ["static", "dynamic"])
@pytest.mark.parametrize("name", ["classifier", "reader", "detector", "streaming"])
def test_the_answers_are_near_the_float_models(name: str, mode: str) -> None:
    given = models.feeds(name)
    wanted = models.answers(models.make(name), given)
    got = models.run_litert(int8_of(name, mode), given)
    assert models.worst_db(wanted, got) >= 25
    assert models.worst_db(wanted, got) < 90  # really quantised
    assert {array.dtype for array in got} == {np.dtype(np.float32)}
    assert "int8" in set.union(*kinds_of(int8_of(name, mode)).values())


def test_boxes_and_scores_never_share_a_scale() -> None:
    """What follows the last convolutions is float: small scores beside boxes of 64 pixels keep their precision."""
    graph = LiteRtGraph(int8_of("detector"))
    float_graph = LiteRtGraph(models.litert_of("detector"))
    tail = float_graph.tail()
    assert tail
    kinds = {op.name: op.kind for op in float_graph.operations}
    assert "LOGISTIC" in {kinds[name] for name in tail}
    import ai_edge_litert.interpreter as litert

    interpreter = litert.Interpreter(model_content=int8_of("detector"))
    types = {detail["name"]: detail["dtype"] for detail in interpreter.get_tensor_details()}
    assert {types[name] for name in tail} == {np.float32}
    assert any(op.kind == "DEQUANTIZE" for op in graph.operations)


def test_another_process_writes_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    # This one has another seed, which Python chose by chance.
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    made = run_step(
        "edgesdk_converters.steps.int8_litert:int8_litert",
        tflite=models.litert_of("classifier"),
        samples=samples_of("classifier"),
        mode="static",
    )
    assert made == int8_of("classifier")


def test_kept_operations_stay_float() -> None:
    content = models.litert_of("classifier")
    (depthwise,) = [op.name for op in LiteRtGraph(content).operations if op.kind == "DEPTHWISE_CONV_2D"]
    mixed = int8_litert(content, samples_of("classifier"), mode="static", keep_float=[depthwise])
    assert kinds_of(mixed)["DEPTHWISE_CONV_2D"] == {"float"}
    assert kinds_of(mixed)["CONV_2D"] == {"int8"}


class Joined(nn.Module):
    """What passes by a convolution is pooled and joined with what comes out of it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.last = nn.Conv2d(8, 4, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(nn.functional.relu(self.first(x)), 2)
        return self.last(torch.cat([x, nn.functional.relu(self.second(x))], 1))


@pytest.mark.parametrize("layers", [0, 1])
def test_beside_layers_in_float_what_has_no_weights_is_float(layers: int) -> None:
    """With every layer in 8 bits so are pools and joins; padding belongs to the layer that reads it."""
    torch.manual_seed(0)
    samples = {"x": np.random.default_rng(2).random((8, 1, 3, 16, 16)).astype(np.float32)}
    content = litert_from_torch(Joined().eval(), [torch.zeros(1, 3, 16, 16)], precision="fp32")
    kept = [op.name for op in LiteRtGraph(content).layers()][:layers]
    types = _types(int8_litert(content, samples, mode="static", keep_float=kept))
    expected = "float32" if layers else "int8"
    assert types["MAX_POOL_2D"] == types["CONCATENATION"] == {expected}
    assert types["PAD"] == {"int8"}
    assert "int8" in types["CONV_2D"]


def _types(content: bytes) -> dict[str, set[str]]:
    """Return the types of what each kind of operation gives."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    types = {detail["name"]: np.dtype(detail["dtype"]).name for detail in interpreter.get_tensor_details()}
    found: dict[str, set[str]] = {}
    for op in LiteRtGraph(content).operations:
        found.setdefault(op.kind, set()).add(types[op.name])
    return found


def test_an_unknown_name_is_refused_with_near_ones() -> None:
    with pytest.raises(InputError, match="No operation of the LiteRT model") as caught:
        int8_litert(models.litert_of("classifier"), samples_of("classifier"), mode="static", keep_float=["Conv2d_9"])
    assert "Conv2d" in caught.value.hint


def test_nothing_left_to_quantise_is_told() -> None:
    with pytest.raises(StepFailed, match="no layer is left"):
        int8_litert(models.litert_of("classifier"), samples_of("classifier"), mode="static", keep_float=["*"])


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ({}, "no calibration samples"),
        ({"x": np.zeros((0, 1, 3, 32, 32), np.float32)}, "no calibration samples"),
        ({"x": np.zeros((2, 1, 3, 16, 16), np.float32)}, "have shapes"),
        ({"x": np.full((1, 1, 3, 32, 32), np.nan, np.float32)}, "sample 0 holds NaN"),
    ],
)
def test_samples_that_cannot_be_are_refused(samples: dict[str, Array], message: str) -> None:
    with pytest.raises(InputError, match=message):
        int8_litert(models.litert_of("classifier"), samples, mode="static")


def test_a_dead_channel_keeps_its_bias() -> None:
    """A channel without weights: a step made for them alone would cut its bias off."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1)).eval()
    with torch.no_grad():
        module[0].weight[2] = 0
        module[0].bias[2] = 1.5
    given = [np.random.default_rng(1).random((1, 3, 8, 8)).astype(np.float32)]
    content = litert_from_torch(module, [torch.zeros(1, 3, 8, 8)], precision="fp32")
    small = int8_litert(content, {"x": np.stack([given[0]] * 4)}, mode="static")
    assert models.worst_db(models.answers(module, given), models.run_litert(small, given)) > 25


def test_weights_on_a_grid_are_kept_exactly() -> None:
    whole = np.random.default_rng(5).integers(-90, 91, (6, 40))
    weights = (whole * np.float32(0.0137)).astype(np.float32)
    made = rounded(weights)
    np.testing.assert_allclose(made.whole * made.steps[:, None], weights, rtol=1e-6, atol=1e-7)
    # Negative control: the usual step, from the largest weight, does not.
    usual = np.abs(weights).max(1, keepdims=True) / 127
    assert np.abs(np.rint(weights / usual) * usual - weights).max() > 1e-3


def test_the_bias_makes_up_for_the_rounding() -> None:
    random = np.random.default_rng(6)
    weights, means = random.normal(size=(8, 64)).astype(np.float32), random.random(64)
    made = rounded(weights, means=means)
    wanted = weights.astype(np.float64) @ means
    np.testing.assert_allclose((made.whole * made.steps[:, None]) @ means + made.shift, wanted, atol=1e-9)
    assert np.abs(made.shift).max() > 0


@functools.cache
def folded_float() -> bytes:
    return litert_from_torch(models.make("classifier"), models.example("classifier"), precision="fp32", fold=FOLD)


def pixels_and_prepared(seed: int = 1, count: int = 1) -> tuple[Array, Array]:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 1, 32, 32, 3), np.uint8)
    prepared = ((pixels.astype(np.float32) - FOLD.mean) / FOLD.std).astype(np.float32)
    return pixels, np.ascontiguousarray(prepared.transpose(0, 1, 4, 2, 3))


def test_normalisation_is_folded_into_the_float_model() -> None:
    pixels, prepared = pixels_and_prepared()
    wanted = models.answers(models.make("classifier"), [prepared[0]])
    assert models.worst_db(wanted, models.run_litert(folded_float(), [pixels[0]])) >= 90


def test_a_folded_model_is_quantised_on_the_samples_of_the_plain_one() -> None:
    pixels, prepared = pixels_and_prepared()
    _, many = pixels_and_prepared(2, 16)
    content = int8_litert(folded_float(), {"image": many}, mode="static", fold=FOLD)
    wanted = models.answers(models.make("classifier"), [prepared[0]])
    assert models.worst_db(wanted, models.run_litert(content, [pixels[0]])) >= 25
    assert kinds_of(content)["CONV_2D"] == {"int8"}


def test_a_fold_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be built into"):
        litert_from_torch(models.make("reader"), models.example("reader"), precision="fp32", fold=FOLD)


def test_layers_are_found_by_their_weights() -> None:
    import onnx

    content = models.onnx_of("detector")
    nodes = [node.name for node in onnx.load_from_string(content).graph.node if node.op_type == "Conv"]
    graph = LiteRtGraph(models.litert_of("detector"))
    places = [litert_places(content, models.litert_of("detector"), [node]) for node in nodes]
    assert sorted(name for found in places for name in found) == sorted(op.name for op in graph.layers())
    assert litert_places(content, models.litert_of("classifier"), nodes) == ()


def test_a_factory_is_loaded_and_converted_in_a_child(tmp_path: Any) -> None:
    (tmp_path / "my_net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, width):\n"
        "        super().__init__()\n"
        "        self.layer = nn.Linear(6, width)\n"
        "    def forward(self, x):\n"
        "        return {'a': self.layer(x), 'b': x * 2}\n"
        "def make(width):\n"
        "    return Net(width)\n"
    )
    content = run_step(
        "edgesdk_converters.steps.litert_from_source:litert_from_source",
        path=None,
        kind=Kind.STATE_DICT,
        factory="my_net:make",
        factory_args={"width": 3},
        folder=tmp_path,
        inputs=[{"name": "x", "shape": [1, 6], "dtype": "float32"}],
        precision="fp32",
    )
    x = np.ones((1, 6), np.float32)
    layer, doubled = models.run_litert(content, [x])
    assert layer.shape == (1, 3)
    np.testing.assert_allclose(doubled, x * 2)


def test_the_quantiser_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    int8_litert(models.litert_of("classifier"), samples_of("classifier"), mode="static")
    assert capfd.readouterr() == ("", "")

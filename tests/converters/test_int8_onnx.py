"""Float ONNX → 8 bits: near the float answers, float where it must be, and the traps of the quantiser and the runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesdk_converters.child import run_step
from edgesdk_converters.steps.int8_onnx import int8_onnx
from edgesdk_converters.steps.int8_onnx_clipping import best_size
from edgesdk_converters.steps.int8_onnx_drift import STYLES, Style
from edgesdk_converters.steps.int8_onnx_ranges import measure_ranges
from edgesdk_converters.steps.int8_onnx_regions import depthwise_nodes, head_nodes, nodes_matching
from edgesdk_converters.steps.onnx_session import session_of
from edgesdk_converters.steps.tensorrt_rtx_check import parser_accepts
from edgesdk_targets.errors import InputError, StepFailed
from edgesdk_testkit import torch_models as models

FLOAT = TensorProto.FLOAT
RANDOM = np.random.default_rng(5)


def _samples(name: str, count: int = 24) -> dict[str, Any]:
    random = np.random.default_rng(3)
    shapes = models.MODELS[name].SHAPES
    return {n: random.random((count, *s)).astype(np.float32) for n, s in zip(models.inputs(name), shapes, strict=True)}


def _graph(
    nodes: Sequence[onnx.NodeProto], outputs: Sequence[str], weights: dict[str, Any], shape: Any, opset: int = 18
) -> bytes:
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()]
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", FLOAT, shape)],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        tensors,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return bytes(onnx.shape_inference.infer_shapes(made).SerializeToString())


def _normal(*shape: int, spread: float = 0.3) -> Any:
    return RANDOM.normal(0, spread, shape).astype(np.float32)


def _conv(name: str, source: str, weight: str, target: str, **more: Any) -> onnx.NodeProto:
    return helper.make_node("Conv", [source, weight, f"{weight}_b"], [target], name=name, **more)


def _stack(outliers: float = 1.0) -> bytes:
    """Three convolutions with ReLU6; the second has one channel that is `outliers` times as large."""
    middle = _normal(8, 8, 3, 3)
    middle[3] *= outliers
    last = _normal(4, 8, 1, 1)
    last[:, 3] /= outliers
    weights = {"w1": _normal(8, 3, 3, 3), "w2": middle, "w3": last}
    weights |= {f"{name}_b": np.zeros(len(array), np.float32) for name, array in weights.items()}
    weights |= {"low": np.float32(0), "high": np.float32(6), "big": np.float32(6 * outliers)}
    nodes = [
        _conv("first", "x", "w1", "a"),
        helper.make_node("Clip", ["a", "low", "high"], ["b"], name="clip_first"),
        _conv("middle", "b", "w2", "c"),
        helper.make_node("Clip", ["c", "low", "big"], ["d"], name="clip_middle"),
        _conv("last", "d", "w3", "y"),
    ]
    return _graph(nodes, ["y"], weights, (1, 3, 10, 10))


def _x(*shape: int, count: int = 16) -> dict[str, Any]:
    return {"x": np.random.default_rng(8).random((count, *shape)).astype(np.float32)}


def _db(model: bytes, quantised: bytes, samples: dict[str, Any], **how: Any) -> float:
    plain, other = session_of(model), session_of(quantised, **how)
    feeds = [{name: array[i] for name, array in samples.items()} for i in range(len(next(iter(samples.values()))))]
    pairs = [(plain.run(None, feed), other.run(None, feed)) for feed in feeds]
    return min(
        models.sqnr_db(np.stack([a[i] for a, _ in pairs]), np.stack([b[i] for _, b in pairs]))
        for i in range(len(pairs[0][0]))
    )


def _nodes(content: bytes, op: str) -> list[onnx.NodeProto]:
    return [node for node in onnx.load_from_string(content).graph.node if node.op_type == op]


def _weights(content: bytes) -> dict[str, Any]:
    return {w.name: numpy_helper.to_array(w) for w in onnx.load_from_string(content).graph.initializer}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", ["classifier", "reader", "detector"])
def test_the_answers_are_near_and_the_borders_float(name: str, style: Style) -> None:
    content = models.onnx_of(name)
    quantised = int8_onnx(content, _samples(name), style=style)
    assert 15 <= _db(content, quantised, _samples(name)) < 100  # near, and really in 8 bits
    graph = onnx.load_from_string(quantised).graph
    assert {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)} == {FLOAT}
    assert [value.name for value in graph.output] == list(models.MODELS[name].OUTPUTS)
    large = [weight for weight in graph.initializer if len(weight.dims) == 4 or weight.data_type == TensorProto.INT8]
    assert any(weight.data_type == TensorProto.INT8 and len(weight.dims) > 1 for weight in large)
    if style == "symmetric":
        assert parser_accepts(quantised).status != "refused"
        zeros = [w for w in graph.initializer if w.name.endswith("_zero_point")]
        assert zeros
        assert not any(numpy_helper.to_array(zero).any() for zero in zeros)
        assert {zero.data_type for zero in zeros} == {TensorProto.INT8}


def test_the_bytes_are_always_the_same() -> None:
    content, samples = models.onnx_of("detector"), _samples("detector")
    ranges = run_step("edgesdk_converters.steps.int8_onnx_ranges:measure_ranges", model=content, samples=samples)
    elsewhere = run_step(
        "edgesdk_converters.steps.int8_onnx:int8_onnx", model=content, samples=samples, style="u8s8", ranges=ranges
    )
    assert int8_onnx(content, samples, style="u8s8") == elsewhere


@pytest.mark.parametrize("style", STYLES)
def test_what_decodes_stays_float(style: Style) -> None:
    """No pair behind a sigmoid, and none behind the joining of boxes with scores."""
    weights = {"wb": _normal(4, 3, 1, 1), "ws": _normal(2, 3, 1, 1), "size": np.float32(320)}
    weights |= {"wb_b": np.zeros(4, np.float32), "ws_b": np.zeros(2, np.float32)}
    nodes = [
        _conv("boxes", "x", "wb", "b"),
        _conv("scores", "x", "ws", "s"),
        helper.make_node("Mul", ["b", "size"], ["pixels"], name="to_pixels"),
        helper.make_node("Sigmoid", ["s"], ["p"], name="sigmoid"),
        helper.make_node("Concat", ["pixels", "p"], ["y"], name="join", axis=1),
    ]
    content = _graph(nodes, ["y"], weights, (1, 3, 8, 8))
    quantised = int8_onnx(content, _x(1, 3, 8, 8), style=style)
    made = {name for node in _nodes(quantised, "QuantizeLinear") for name in node.input[:1]}
    assert not made & {"pixels", "p", "y"}
    got, wanted = (session_of(c).run(None, {"x": _x(1, 3, 8, 8)["x"][0]})[0] for c in (quantised, content))
    assert models.sqnr_db(wanted[:, 4:], got[:, 4:]) > 30  # the scores alone
    assert set(head_nodes(content)) == {"boxes", "scores", "to_pixels", "sigmoid", "join"}
    assert head_nodes(_stack()) == ("last",)


def _mixed() -> bytes:
    """One convolution gives boxes, which are large, and logits."""
    nodes = [
        _conv("body", "x", "w1", "a"),
        _conv("head", "a", "w2", "h"),
        helper.make_node("Split", ["h"], ["boxes", "logits"], name="split", axis=1, num_outputs=2),
        helper.make_node("Sigmoid", ["logits"], ["scores"], name="sigmoid"),
    ]
    large = _normal(8, 6, 1, 1)
    large[:4] *= 3000
    weights = {"w1": _normal(6, 3, 1, 1), "w2": large}
    weights |= {"w1_b": np.zeros(6, np.float32), "w2_b": np.zeros(8, np.float32)}
    return _graph(nodes, ["boxes", "scores"], weights, (1, 3, 8, 8))


@pytest.mark.parametrize("style", STYLES)
def test_one_convolution_for_boxes_and_scores_has_no_common_scale(style: Style) -> None:
    content = _mixed()
    quantised = int8_onnx(content, _x(1, 3, 8, 8), style=style)
    assert not {n for node in _nodes(quantised, "QuantizeLinear") for n in node.input} & {"h", "boxes", "logits"}
    assert _db(content, quantised, _x(1, 3, 8, 8)) > 30


def _upsampling() -> bytes:
    """A transposed convolution, which stays float in the u8s8 style; what one of its inputs weighs is large, and it is 0."""
    first, up = _normal(8, 3, 3, 3), _normal(8, 6, 2, 2)
    first[3] = 0
    up[3] *= 1000
    weights = {"w1": first, "w2": up, "w3": _normal(4, 6, 1, 1)}
    weights |= {f"w{i}_b": np.zeros(n, np.float32) for i, n in ((1, 8), (2, 6), (3, 4))}
    nodes = [
        _conv("body", "x", "w1", "a"),
        helper.make_node("ConvTranspose", ["a", "w2", "w2_b"], ["b"], name="up", strides=[2, 2]),
        _conv("last", "b", "w3", "y"),
    ]
    return _graph(nodes, ["y"], weights, (1, 3, 8, 8))


def test_float_weights_stay_float_when_the_runtime_loads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    content, samples = _upsampling(), _x(1, 3, 8, 8)
    shielded = int8_onnx(content, samples, style="u8s8")
    assert np.array_equal(_weights(shielded)["w2"], _weights(content)["w2"])
    assert _db(content, shielded, samples) > 28
    # The negative control: ONNX Runtime takes one scale for all channels, and the small weights are gone.
    monkeypatch.setattr("edgesdk_converters.steps.int8_onnx.shield_float_layers", lambda *_: None)
    bare = int8_onnx(content, samples, style="u8s8")
    assert _db(content, bare, samples) < 15
    assert _db(content, bare, samples, pairs_as_they_stand=True) > 28


def test_a_mean_of_box_distances_is_decoding() -> None:
    """The product behind a softmax of distances has weights, and stays float."""
    nodes = [
        _conv("boxes", "x", "w", "a"),
        helper.make_node("Softmax", ["a"], ["p"], name="softmax", axis=1),
        helper.make_node("Conv", ["p", "steps"], ["y"], name="mean_distance"),
    ]
    steps = np.arange(8, dtype=np.float32).reshape(1, 8, 1, 1)
    content = _graph(
        nodes, ["y"], {"w": _normal(8, 3, 1, 1), "w_b": np.zeros(8, np.float32), "steps": steps}, (1, 3, 8, 8)
    )
    quantised = int8_onnx(content, _x(1, 3, 8, 8), style="u8s8")
    assert np.array_equal(_weights(quantised)["steps"], steps)
    assert head_nodes(content) == ("boxes", "softmax", "mean_distance")


def test_a_range_is_taken_behind_the_clip() -> None:
    """In the form for TensorRT no pair lies between a convolution and its Clip: that costs MobileNetV2 6.5 points."""
    quantised = int8_onnx(_stack(), _x(1, 3, 10, 10), style="symmetric")
    assert {node.input[0] for node in _nodes(quantised, "QuantizeLinear")} == {"x", "b", "d"}
    assert [node.input[0] for node in _nodes(quantised, "Clip")] == ["a", "c"]
    assert all(weight.dtype != np.int32 for weight in _weights(quantised).values())  # its parser takes no such bias


@pytest.mark.parametrize("style", STYLES)
def test_a_layer_that_is_kept_is_float_and_reads_float(style: Style) -> None:
    content, samples = _stack(), _x(1, 3, 10, 10)
    kept = int8_onnx(content, samples, style=style, keep_float=["middle", "last"])
    middle = next(node for node in _nodes(kept, "Conv") if node.name == "middle")
    assert np.array_equal(_weights(kept)[middle.input[1]], _weights(content)["w2"])
    assert middle.input[0] not in {name for node in _nodes(kept, "DequantizeLinear") for name in node.output}
    # What it reads is cut at 0 and 6 as before, though the quantiser takes the Clip away where 8 bits do the same.
    assert _db(content, kept, samples) > _db(content, int8_onnx(content, samples, style=style), samples) + 3
    assert _db(content, kept, samples) == pytest.approx(_db(content, kept, samples, pairs_as_they_stand=True), abs=3)


def test_rare_values_are_cut_so_that_the_usual_ones_are_told_finer() -> None:
    """But half-way only: other pictures than the calibration's reach farther."""
    counts = np.zeros(1024)
    counts[:100] = 1000.0
    counts[-1] = 1e-6
    assert best_size(counts, 0.0, 10.0) == pytest.approx(np.sqrt(10.0 * 2), rel=0.1)
    assert best_size(np.ones(1024), -10.0, 4.0) == pytest.approx(10, rel=0.03)


@pytest.mark.parametrize("style", STYLES)
def test_the_mean_answer_does_not_drift(style: Style, monkeypatch: pytest.MonkeyPatch) -> None:
    """All weights of a channel are rounded the same way, and inputs are of one sign."""
    weight = np.full((4, 16, 1, 1), 0.0146, np.float32)
    weight[:, 0] = 1.27
    nodes = [_conv("layer", "x", "w", "a"), helper.make_node("Relu", ["a"], ["y"], name="relu")]
    content = _graph(nodes, ["y"], {"w": weight, "w_b": np.zeros(4, np.float32)}, (1, 16, 6, 6))
    samples = _x(1, 16, 6, 6)
    corrected = _db(content, int8_onnx(content, samples, style=style), samples)
    monkeypatch.setattr("edgesdk_converters.steps.int8_onnx.correct_drift", lambda *_, **__: None)
    assert corrected > _db(content, int8_onnx(content, samples, style=style), samples) + 6


def test_seven_bits_for_cpus_whose_products_overflow() -> None:
    for reduce_range, most in ((False, 127), (True, 64)):
        quantised = int8_onnx(_stack(), _x(1, 3, 10, 10), style="u8s8", reduce_range=reduce_range)
        stored = [w for w in _weights(quantised).values() if w.dtype == np.int8 and w.ndim == 4]
        assert max(int(np.abs(w.astype(int)).max()) for w in stored) == most


def test_names_that_are_missing_or_repeated_find_their_node() -> None:
    model = onnx.load_from_string(_stack())
    for node in model.graph.node:
        node.name = "" if node.op_type == "Clip" else "conv"
    content = model.SerializeToString()
    assert nodes_matching(content, ["conv", "Conv_*"]) == ("conv", "Conv_2_c", "Conv_4_y")
    quantised = int8_onnx(content, _x(1, 3, 10, 10), style="u8s8", keep_float=["Conv_2_c"])
    stored = [w for w in _weights(quantised).values() if w.ndim == 4]
    assert sorted(w.dtype.name for w in stored) == ["float32", "int8", "int8"]


def test_a_pattern_that_matches_nothing_tells_names_that_come_near() -> None:
    with pytest.raises(InputError, match="'midle'") as caught:
        nodes_matching(_stack(), ["first", "midle"])
    assert "middle" in caught.value.hint
    assert nodes_matching(_stack(), ["clip_*", "last"]) == ("clip_first", "clip_middle", "last")
    with pytest.raises(InputError, match="no output 'z'"):
        head_nodes(_stack(), ["z"])


@pytest.mark.parametrize("style", STYLES)
def test_a_gemms_factors_are_kept(style: Style) -> None:
    """Onnxruntime's quantiser sets beta to 1, and forgets it where the bias stays float."""
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="gemm", transB=1, alpha=0.5, beta=3.0)
    content = _graph([node], ["y"], {"w": _normal(5, 12), "b": _normal(5, spread=2.0)}, (1, 12))
    assert _db(content, int8_onnx(content, _x(1, 12), style=style), _x(1, 12)) > 30


@pytest.mark.parametrize("style", STYLES)
def test_weights_read_by_two_layers_along_different_axes(style: Style) -> None:
    weight = _normal(6, 6) * np.logspace(-3, 0, 6).astype(np.float32)
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["a"], name="rows", transB=1),
        helper.make_node("Gemm", ["a", "w", "b"], ["c"], name="columns"),
        helper.make_node("Gemm", ["c", "w", "b"], ["y"], name="kept"),
    ]
    content = _graph(nodes, ["y"], {"w": weight, "b": np.zeros(6, np.float32)}, (1, 6))
    quantised = int8_onnx(content, _x(1, 6), style=style, keep_float=["kept"])
    assert _db(content, quantised, _x(1, 6)) > 28
    assert any(np.array_equal(array, weight) for array in _weights(quantised).values())


def test_batch_norm_and_an_old_opset_are_no_hindrance() -> None:
    nodes = [
        helper.make_node("Constant", [], ["w"], name="weights", value=numpy_helper.from_array(_normal(6, 3, 3, 3))),
        helper.make_node("Conv", ["x", "w"], ["a"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", "scale", "shift", "mean", "var"], ["b"], name="norm"),
        helper.make_node("Relu", ["b"], ["y"], name="relu"),
    ]
    weights = {
        "scale": _normal(6, spread=1.0),
        "shift": _normal(6),
        "mean": _normal(6),
        "var": np.full(6, 0.3, np.float32),
    }
    content = _graph(nodes, ["y"], weights, (1, 3, 8, 8), opset=11)
    quantised = int8_onnx(content, _x(1, 3, 8, 8), style="u8s8")
    assert _nodes(quantised, "Conv")
    assert not _nodes(quantised, "BatchNormalization")
    assert _db(content, quantised, _x(1, 3, 8, 8)) > 25
    with pytest.raises(StepFailed, match="every node with weights"):  # the norm's name stands for its convolution
        int8_onnx(content, _x(1, 3, 8, 8), style="u8s8", keep_float=["norm"])


def test_what_cannot_be_quantised_is_refused_with_what_to_do() -> None:
    content, samples = _stack(), _x(1, 3, 10, 10)
    with pytest.raises(StepFailed, match="quantised already") as caught:
        int8_onnx(int8_onnx(content, samples, style="u8s8"), samples, style="u8s8")
    assert "float model" in caught.value.hint
    relu = _graph([helper.make_node("Relu", ["x"], ["y"])], ["y"], {}, (1, 4))
    with pytest.raises(StepFailed, match=r"no convolution or matrix product .* \(it has Relu\)"):
        int8_onnx(relu, _x(1, 4), style="u8s8")
    half = onnx.load_from_string(content)
    half.graph.initializer[0].CopyFrom(numpy_helper.from_array(_normal(8, 3, 3, 3).astype(np.float16), "w1"))
    with pytest.raises(StepFailed, match="float16"):
        measure_ranges(half.SerializeToString(), samples)


def test_numbers_that_are_none_are_refused() -> None:
    broken = onnx.load_from_string(_stack())
    broken.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full((8, 3, 3, 3), np.nan, np.float32), "w1"))
    with pytest.raises(InputError, match="'w1' of first"):
        measure_ranges(broken.SerializeToString(), _x(1, 3, 10, 10))
    samples = _x(1, 3, 10, 10)
    samples["x"][5, 0, 0, 2, 2] = np.inf
    with pytest.raises(InputError, match="sample 6"):
        measure_ranges(_stack(), samples)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ({"x": np.zeros((0, 1, 3, 10, 10), np.float32)}, "no calibration samples"),
        ({"x": np.zeros((4, 3, 10, 10), np.float32)}, "are .3, 10, 10. each"),
        ({"image": np.zeros((4, 1, 3, 10, 10), np.float32)}, "no samples for the input 'x'"),
    ],
)
def test_samples_that_do_not_fit_are_refused(samples: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        measure_ranges(_stack(), samples)


def test_depthwise_layers_are_those_with_a_group_for_each_channel() -> None:
    names = ("deep", "grouped", "single", "plain")
    nodes = [
        _conv("deep", "x", "w_deep", "a", group=8),
        _conv("grouped", "a", "w_grouped", "b", group=2),
        _conv("plain", "b", "w_plain", "c"),
        _conv("single", "c", "w_single", "y"),
    ]
    shapes = {"deep": (8, 1, 1, 1), "grouped": (8, 4, 1, 1), "plain": (1, 8, 1, 1), "single": (1, 1, 1, 1)}
    weights = {f"w_{name}": _normal(*shapes[name]) for name in names}
    weights |= {f"w_{name}_b": _normal(shapes[name][0]) for name in names}
    assert depthwise_nodes(_graph(nodes, ["y"], weights, (1, 8, 4, 4))) == ("deep",)

"""Whether a target can have a model: by its limits, and asked of the runtimes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgesdk_converters.preflight import support as asking
from edgesdk_converters.preflight.facts import facts_of
from edgesdk_converters.preflight.fits import fit
from edgesdk_converters.preflight.graph import Graph
from edgesdk_converters.preflight.preflight import preflight
from edgesdk_converters.preflight.read_graph import read_graph
from edgesdk_converters.preflight.support import Support, support
from edgesdk_converters.preflight.tensorrt_ops import refused_ops
from edgesdk_converters.routes import Route, routes
from edgesdk_converters.steps.tensorrt_rtx_check import Verdict
from edgesdk_targets.catalogue import find_target
from edgesdk_targets.errors import InputError, MissingExtra, StepFailed
from edgesdk_targets.target import Precision, Runtime
from edgesdk_targets.tensor import TensorSpec
from edgesdk_testkit.conv_graphs import ConvOnnx, graph_of, op_of

# --- verdicts -----------------------------------------------------------------------------------------------------


def _small() -> Graph:
    return graph_of([op_of("Conv", "x w", "y")], {"x": (1, 3, 8, 8), "y": (1, 4, 8, 8)}, {"w": (4, 3, 1, 1)})


def _judged(graph: Graph, target: str, *, refuses: Sequence[Runtime] = (), precision: Precision | None = None) -> Any:
    found = find_target(target)

    def supported(route: Route) -> Support:
        refused = route.runtime in refuses
        return Support(route.runtime, "no" if refused else "yes", "no kernel for Foo" if refused else "")

    return fit(facts_of("m", "classify", graph), found, routes(found, from_onnx=True, precision=precision), supported)


def test_verdicts() -> None:
    good = _judged(_small(), "rpi5")
    assert (good.verdict, good.runtime, good.precision) == ("fits", Runtime.LITERT, Precision.FP32)
    assert "HEVC" in good.remarks[0]
    second = _judged(_small(), "rpi5", refuses=[Runtime.LITERT])
    assert (second.verdict, second.runtime) == ("fits with notes", Runtime.ONNXRUNTIME)
    assert "no kernel for Foo" in second.notes[0]
    none = _judged(_small(), "rpi5", refuses=[Runtime.LITERT, Runtime.ONNXRUNTIME])
    assert (none.verdict, none.runtime) == ("does not fit", None)
    assert len(none.problems) == 2
    assert "agent does not run" in _judged(_small(), "jetson-nano").notes[0]
    assert _judged(_small(), "jetson-orin-nano").remarks == ()


def test_a_model_too_large_for_the_target_does_not_fit() -> None:
    large = graph_of([op_of("Conv", "x w", "y")], {"x": (1, 3, 8, 8), "y": (1, 4, 8, 8)}, {"w": (200_000_000, 1)})
    found = _judged(large, "rpi5")
    assert found.verdict == "does not fit"
    assert "800.0 MB; rpi5 takes bundles up to 536.9 MB" in found.problems[0]
    assert _judged(large, "rpi5", precision=Precision.INT8).problems == ()  # 200 MB
    hungry = graph_of([op_of("Relu", "x", "y")], {"x": (1, 3, 1, 1), "y": (1, 200_000_000)})
    assert "rpi-zero2w has 536.9 MB" in _judged(hungry, "rpi-zero2w").problems[0]
    assert _judged(hungry, "rpi5").verdict == "fits"
    tight = graph_of([op_of("Relu", "x", "y")], {"x": (1, 3, 1, 1), "y": (1, 600_000_000)})
    assert "little is left" in _judged(tight, "rpi5").notes[0]


def test_int8_tells_what_stays_in_float() -> None:
    ops = [
        op_of("Conv", "x w", "a"),
        op_of("LSTM", "a i r", "b"),
        op_of("MatMul", "b b", "c"),
        op_of("Softmax", "c", "d"),
    ]
    shapes = {"x": (1, 4, 1, 100), "a": (1, 1, 100), "b": (1, 1, 10), "c": (1, 1, 10), "d": (1, 1, 10)}
    graph = graph_of(ops, shapes, {"w": (1, 4, 1, 1), "i": (1, 40, 100), "r": (1, 40, 10)})
    facts = facts_of("m", "text", graph)
    onnxruntime, litert = facts.float_parts(Runtime.ONNXRUNTIME), facts.float_parts(Runtime.LITERT)
    assert dict(onnxruntime.ops) == {"LSTM": 1, "MatMul of two activations": 1}
    assert dict(litert.ops) == {"MatMul of two activations": 1}
    assert dict(onnxruntime.tail) == {"Softmax": 1}
    assert onnxruntime.share == pytest.approx(4500 / (400 + 4400 + 100))
    judged = _judged(graph, "generic-onnx", precision=Precision.INT8)
    assert "INT8 leaves 92% of the MACs in float: 1 LSTM, 1 MatMul of two activations" in judged.notes
    assert any("1 Softmax" in remark for remark in judged.remarks)


def test_tensorrt_lists_by_opset() -> None:
    ops = [op_of("LayerNormalization", "x s", "a"), op_of("Reciprocal", "a", "b"), op_of("own.Foo", "b", "c")]
    graph = graph_of(ops, {"x": (4,)})
    assert [op.op for op in refused_ops(graph, 13)] == ["LayerNormalization", "Reciprocal", "own.Foo"]
    assert [op.op for op in refused_ops(graph, 17)] == ["LayerNormalization", "own.Foo"]
    assert [op.op for op in refused_ops(graph, 20)] == ["own.Foo"]


# --- the whole ----------------------------------------------------------------------------------------------------

_CARD = """
name: m
source: m.onnx
task: classify
input: {name: image, shape: [1, 3, 8, 8]}
preprocess: imagenet
"""


def _saved(folder: Path, made: ConvOnnx, output: str, **options: Any) -> str:
    (folder / "m.onnx").write_bytes(made.bytes([output], **options))
    (folder / "m.yaml").write_text(_CARD)
    return str(folder / "m.yaml")


def test_every_runtime_is_asked(tmp_path: Path) -> None:
    made = ConvOnnx((1, 3, 8, 8))
    output = made.node("Flatten", made.node("GlobalAveragePool", made.conv("image", 3, 4, 1)))
    found = preflight(_saved(tmp_path, made, output, image=["batch", 3, 8, 8]), cache=None)
    answers = {answer.runtime: answer.status for answer in found.supports}
    assert {answers[r] for r in (Runtime.ONNXRUNTIME, Runtime.OPENVINO)} == {"yes"}
    assert {answers[r] for r in (Runtime.LITERT, Runtime.TENSORRT)} <= {"yes", "likely"}
    assert found.facts.macs.total == 64 * 4 * 3
    assert "open sizes (batch x 3 x 8 x 8)" in found.facts.notes[0]
    assert found.passed
    json.dumps(found.to_json(), allow_nan=False)


def test_an_operator_is_named_where_a_runtime_lacks_it(tmp_path: Path) -> None:
    """Det: ONNX Runtime has it, LiteRT's translation and TensorRT have not."""
    made = ConvOnnx((1, 3, 8, 8))
    output = made.node("Unsqueeze", made.node("Det", "image"), made.weight(0))
    made.weights[-1].CopyFrom(numpy_helper.from_array(np.array([0], np.int64), made.weights[-1].name))
    output = made.node("Flatten", output, axis=2)
    found = preflight(_saved(tmp_path, made, output), ["rpi5", "jetson-xavier-nx"], cache=None)
    rpi5, xavier = found.fits
    assert (rpi5.verdict, rpi5.runtime) == ("fits with notes", Runtime.ONNXRUNTIME)
    assert "Det (n0)" in rpi5.notes[0]
    assert xavier.verdict == "does not fit"
    assert "Det (n0)" in xavier.problems[0]
    assert not found.passed


def test_a_model_that_no_runtime_can_run_is_told_in_full(tmp_path: Path) -> None:
    made = ConvOnnx((1, 3, 8, 8))
    output = made.node("Foo", made.conv("image", 3, 4, 1), domain="own")
    found = preflight(_saved(tmp_path, made, output), "generic-onnx", cache=None)
    assert found.fits[0].verdict == "does not fit"
    assert any("Foo" in problem for problem in found.fits[0].problems)
    assert found.facts.macs.total == 64 * 4 * 3


def test_a_precision_that_a_target_lacks_is_its_verdict_and_an_unknown_one_is_an_error(tmp_path: Path) -> None:
    made = ConvOnnx((1, 3, 8, 8))
    output = made.node("Flatten", made.node("GlobalAveragePool", made.conv("image", 3, 4, 1)))
    source = _saved(tmp_path, made, output)
    found = preflight(source, ["jetson-nano"], precision="int8", cache=None)
    assert found.fits[0].verdict == "does not fit"
    assert "no runtime for int8" in found.fits[0].problems[0]
    with pytest.raises(InputError, match="Unknown precision"):
        preflight(source, ["jetson-nano"], precision="int7", cache=None)
    with pytest.raises(InputError, match="no target"):
        preflight(source, ["jetson-nanoo"], cache=None)


def _answer(runtime: Runtime, outputs: Sequence[TensorSpec] = (), *, from_onnx: bool = True) -> Support:
    return support(runtime, b"", _small(), outputs, max_opset=None, from_onnx=from_onnx)


def test_an_output_of_open_size_is_refused_by_runtimes_with_fixed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "run_step", lambda _dotted, **_given: [])
    boxes = [TensorSpec(name="boxes", shape=(-1, 4))]
    for runtime in (Runtime.LITERT, Runtime.TENSORRT):
        answer = _answer(runtime, boxes)
        assert (answer.status, "boxes" in answer.reason) == ("no", True)
    assert _answer(Runtime.ONNXRUNTIME, boxes).status == "yes"
    assert _answer(Runtime.LITERT).status == "likely"
    assert _answer(Runtime.LITERT, from_onnx=False).status == "likely"


def test_a_missing_runtime_is_not_one_that_refused_and_a_crash_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_dotted: str, **_given: object) -> object:
        raise MissingExtra("openvino", "openvino")

    def crashes(_dotted: str, **_given: object) -> object:
        raise StepFailed("asked: its process crashed (SIGSEGV).")

    monkeypatch.setattr(asking, "run_step", missing)
    answer = _answer(Runtime.OPENVINO)
    assert answer.status == "not checked"
    found = find_target("x86-cpu")
    ways = routes(found, from_onnx=True, precision=None)
    judged = fit(facts_of("m", "classify", _small()), found, ways, lambda _: answer)
    assert (judged.verdict, judged.runtime) == ("fits with notes", Runtime.OPENVINO)
    assert "openvino was not asked" in judged.notes[0]
    monkeypatch.setattr(asking, "run_step", crashes)
    assert (_answer(Runtime.OPENVINO).status, "SIGSEGV" in _answer(Runtime.OPENVINO).reason) == ("no", True)


def test_tensorrt_is_asked_in_the_opset_that_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ConvOnnx((1, 3, 8, 8))
    model = made.bytes([made.node("Relu", made.conv("image", 3, 4, 1))])
    graph = read_graph(model)
    seen: list[int] = []

    def parser(onnx_bytes: bytes) -> Verdict:
        seen.append(onnx.load_from_string(onnx_bytes).opset_import[0].version)
        return Verdict("accepted", built=True)

    monkeypatch.setattr(asking, "parser_accepts", parser)
    answers = [support(Runtime.TENSORRT, model, graph, (), max_opset=opset, from_onnx=True) for opset in (13, 17, 20)]
    assert seen == [13, 17, 18]
    assert [answer.status for answer in answers] == ["likely", "likely", "yes"]
    monkeypatch.setattr(asking, "parser_accepts", lambda _: Verdict("refused", "Foo is unknown", "Foo", "n1"))
    refused = support(Runtime.TENSORRT, model, graph, (), max_opset=20, from_onnx=True)
    assert (refused.status, refused.ops) == ("no", ("Foo (n1)",))
    monkeypatch.setattr(asking, "parser_accepts", lambda _: Verdict("not checked", "tensorrt-rtx is not installed"))
    assert support(Runtime.TENSORRT, model, graph, (), max_opset=20, from_onnx=True).status == "likely"

"""What is told of a model before it is converted: counted by hand, by the papers, and asked of the runtimes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesdk_converters.preflight import support as asking
from edgesdk_converters.preflight.facts import facts_of
from edgesdk_converters.preflight.fits import fit
from edgesdk_converters.preflight.graph import Graph, Op, Weight
from edgesdk_converters.preflight.macs import count_macs
from edgesdk_converters.preflight.memory import activation_memory
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


def _graph(
    ops: Sequence[Op],
    shapes: dict[str, tuple[int, ...]],
    weights: dict[str, tuple[int, ...]] | None = None,
    **more: Any,
) -> Graph:
    stored = {name: Weight(shape, "float32", 4 * int(np.prod(shape))) for name, shape in (weights or {}).items()}
    made = {name for op in ops for name in op.outputs}
    inputs = tuple(name for name in shapes if name not in made)
    dtypes = dict.fromkeys(shapes, "float32")
    return Graph(tuple(ops), shapes, dtypes, stored, inputs, (ops[-1].outputs[0],), 18, **more)


def _op(op: str, inputs: str, outputs: str, **attributes: object) -> Op:
    return Op(op, f"{op}_{outputs.split(maxsplit=1)[0]}", tuple(inputs.split()), tuple(outputs.split()), attributes)


class Onnx:
    """Writes ONNX graphs of convolutions, with zeros for weights."""

    def __init__(self, image: tuple[int, ...]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.image = image

    def weight(self, *shape: int) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.zeros(shape, np.float32), name))
        return name

    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: object) -> str:
        names = [f"v{len(self.nodes)}" + ("" if i == 0 else f"_{i}") for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"n{len(self.nodes)}", **attributes))
        return names[0]

    def conv(self, x: str, inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> str:
        pad = [kernel // 2] * 4
        w, b = self.weight(outside, inside // groups, kernel, kernel), self.weight(outside)
        return self.node("Conv", x, w, b, strides=[stride, stride], pads=pad, group=groups)

    def bytes(self, outputs: Sequence[str], *, opset: int = 18, image: Sequence[int | str] | None = None) -> bytes:
        given = [helper.make_tensor_value_info("image", TensorProto.FLOAT, image or self.image)]
        told = [helper.make_empty_tensor_value_info(name) for name in outputs]
        graph = helper.make_graph(self.nodes, "g", given, told, self.weights)
        imports = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=9)
        inferred = onnx.shape_inference.infer_shapes(model)
        return bytes(inferred.SerializeToString())


def mobilenet_v2() -> bytes:
    """MobileNetV2 1.0 at 224 (Sandler et al., 2018, table 2), with 1,000 classes."""
    made = Onnx((1, 3, 224, 224))
    x, channels = made.conv("image", 3, 32, 3, 2), 32
    for expansion, outside, repeats, first in (
        *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
        *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
    ):
        for repeat in range(repeats):
            stride, inside, wide = (first if repeat == 0 else 1), x, channels * expansion
            if expansion > 1:
                x = made.node("Relu", made.conv(x, channels, wide, 1))
            x = made.node("Relu", made.conv(x, wide, wide, 3, stride, wide))
            x = made.conv(x, wide, outside, 1)
            if stride == 1 and channels == outside:
                x = made.node("Add", inside, x)
            channels = outside
    x = made.node("GlobalAveragePool", made.node("Relu", made.conv(x, 320, 1280, 1)))
    x = made.node("Flatten", x)
    return made.bytes([made.node("Gemm", x, made.weight(1280, 1000), made.weight(1000))])


def resnet_20() -> bytes:
    """ResNet-20 for CIFAR-10 (He et al., 2015, section 4.2), shortcuts without parameters."""
    made = Onnx((1, 3, 32, 32))
    x, channels = made.node("Relu", made.conv("image", 3, 16, 3)), 16
    for outside in (16, 32, 64):
        for block in range(3):
            stride = 2 if outside > channels else 1
            y = made.node("Relu", made.conv(x, channels, outside, 3, stride))
            y = made.conv(y, outside, outside, 3)
            x = made.node("Relu", made.node("Add", x, y) if block else y)
            channels = outside
    x = made.node("Flatten", made.node("GlobalAveragePool", x))
    return made.bytes([made.node("Gemm", x, made.weight(64, 10), made.weight(10))])


# --- MACs ---------------------------------------------------------------------------------------------------------


def test_macs_of_published_models() -> None:
    """The papers and torchvision's documentation say 300 M (0.30 G) for MobileNetV2 and about 41 M for ResNet-20."""
    mobilenet = read_graph(mobilenet_v2())
    counted = count_macs(mobilenet)
    assert counted.total == 300_774_272
    assert set(counted.by_op) == {"Conv", "Gemm"}
    # Without batch norm, whose scales and shifts (34,112 numbers) are biases here (half of them): torchvision has 3,504,872.
    assert mobilenet.parameters == 3_487_816
    assert count_macs(read_graph(resnet_20())).total == 40_551_040


@pytest.mark.parametrize(
    ("op", "shapes", "weights", "expected"),
    [
        (_op("Conv", "x w", "y"), {"x": (1, 3, 8, 8), "y": (1, 4, 6, 6)}, {"w": (4, 3, 3, 3)}, 4 * 36 * 27),
        (_op("Conv", "x w", "y", group=4), {"x": (1, 4, 8, 8), "y": (1, 4, 8, 8)}, {"w": (4, 1, 3, 3)}, 4 * 64 * 9),
        (_op("ConvTranspose", "x w", "y"), {"x": (1, 8, 5, 5), "y": (1, 6, 10, 10)}, {"w": (8, 6, 2, 2)}, 8 * 25 * 24),
        (_op("Gemm", "x w", "y", transB=1), {"x": (2, 10), "y": (2, 7)}, {"w": (7, 10)}, 2 * 7 * 10),
        (_op("Gemm", "x w", "y", transA=1), {"x": (10, 2), "y": (2, 7)}, {"w": (10, 7)}, 2 * 7 * 10),
        (_op("MatMul", "x z", "y"), {"x": (3, 4, 5), "z": (3, 5, 6), "y": (3, 4, 6)}, {}, 3 * 4 * 6 * 5),
        (_op("MatMul", "x z", "y"), {"x": (5,), "z": (5,), "y": ()}, {}, 5),
        # Four gates of 6 from 5 inputs and 6 states, over 7 steps of 2 sequences, in both directions.
        (
            _op("LSTM", "x w r", "y"),
            {"x": (7, 2, 5), "y": (7, 2, 2, 6)},
            {"w": (2, 24, 5), "r": (2, 24, 6)},
            7 * 2 * 2 * 4 * 6 * (5 + 6),
        ),
        (
            _op("GRU", "x w r", "y"),
            {"x": (7, 1, 5), "y": (7, 1, 1, 6)},
            {"w": (1, 18, 5), "r": (1, 18, 6)},
            7 * 3 * 6 * (5 + 6),
        ),
        (
            _op("Einsum", "x z", "y", equation=b"bij,bjk->bik"),
            {"x": (2, 3, 4), "z": (2, 4, 5), "y": (2, 3, 5)},
            {},
            120,
        ),
        (_op("Relu", "x", "y"), {"x": (1, 3, 8, 8), "y": (1, 3, 8, 8)}, {}, 0),
    ],
    ids=lambda value: value.op if isinstance(value, Op) else "",
)
def test_macs_by_hand(
    op: Op, shapes: dict[str, tuple[int, ...]], weights: dict[str, tuple[int, ...]], expected: int
) -> None:
    counted = count_macs(_graph([op], shapes, weights))
    assert counted.total == expected
    assert counted.uncounted == ()


def test_work_of_unknown_size_is_told_and_not_taken_for_nothing() -> None:
    graph = _graph([_op("Conv", "x w", "y")], {"x": (1, 3, 8, 8)}, {"w": (4, 3, 3, 3)})
    assert count_macs(graph).uncounted == ("Conv_y",)
    assert any("not counted" in note for note in facts_of("m", "classify", graph).notes)


# --- memory -------------------------------------------------------------------------------------------------------


def test_memory_by_hand() -> None:
    """x (100) → a (60) → b (40), joined with a again → c (30): alive at once x+a, then a+b, then a+b+c."""
    ops = [_op("Conv", "x w", "a"), _op("Conv", "a w", "b"), _op("Conv", "a b", "c")]
    graph = _graph(ops, {"x": (100,), "a": (60,), "b": (40,), "c": (30,)}, {"w": (1,)})
    memory = activation_memory(graph)
    assert (memory.peak, memory.at) == (4 * 160, "Conv_a")
    assert memory.arena == 4 * 160  # b takes the place of x, c fits behind it
    assert activation_memory(graph, float_bytes=1).peak == 160


def test_a_view_and_a_sole_activation_take_nothing_but_a_shared_input_is_not_overwritten() -> None:
    shapes = {"x": (10,), "a": (100,), "r": (100,), "v": (10, 10), "y": (1,)}
    alone = [_op("Conv", "x w", "a"), _op("Relu", "a", "r"), _op("Reshape", "r w", "v"), _op("Conv", "v w", "y")]
    assert activation_memory(_graph(alone, shapes, {"w": (1,)})).peak == 4 * 110
    shared = [*alone[:3], _op("Conv", "v a", "y")]  # the convolution's own output is wanted later
    assert activation_memory(_graph(shared, shapes, {"w": (1,)})).peak == 4 * 201


def test_outputs_live_to_the_end_and_unknown_sizes_are_told() -> None:
    ops = [_op("Conv", "x w", "y"), _op("Conv", "x w", "a"), _op("NonZero", "a", "n"), _op("Conv", "a w", "z")]
    graph = _graph(ops, {"x": (10,), "y": (50,), "a": (20,), "z": (5,)}, {"w": (1,)})
    graph = Graph(graph.ops, graph.shapes, graph.dtypes, graph.weights, ("x",), ("y", "z"), 18)
    memory = activation_memory(graph)
    assert memory.peak == 4 * 80
    assert memory.unknown == 1


def test_the_arena_is_never_below_the_peak() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        count = 12
        ops = [_op("Conv", f"t{rng.integers(max(0, i - 4), i)} t{i - 1}", f"t{i}") for i in range(1, count)]
        graph = _graph(ops, {f"t{i}": (int(rng.integers(1, 99)),) for i in range(count)})
        memory = activation_memory(graph)
        assert memory.peak <= memory.arena <= sum(4 * int(np.prod(s)) for s in graph.shapes.values())


def test_memory_of_mobilenet_is_where_it_is_widest() -> None:
    """The first expansion makes 96 channels of 112 x 112; the depthwise convolution halves their sides."""
    memory = activation_memory(read_graph(mobilenet_v2()))
    assert memory.peak == 4 * 96 * (112 * 112 + 56 * 56)


# --- reading ------------------------------------------------------------------------------------------------------


def test_constants_are_folded_and_open_sizes_measured() -> None:
    made = Onnx((1, 3, 8, 8))
    made.weights.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"))
    doubled = made.node("Mul", "scales", "scales")  # constants alone: no operation of the model
    x = made.node("Resize", "image", "", doubled, mode="nearest")
    graph = read_graph(made.bytes([made.conv(x, 3, 4, 1)]))
    assert [op.op for op in graph.ops] == ["Resize", "Conv"]
    assert count_macs(graph).total == 32 * 32 * 4 * 3


def test_broken_weights_are_found_and_whole_ones_are_not() -> None:
    made = Onnx((1, 3, 8, 8))
    output = made.conv("image", 3, 4, 1)
    assert facts_of("m", "classify", read_graph(made.bytes([output]))).faults == ()
    made.weights[0].CopyFrom(numpy_helper.from_array(np.full((4, 3, 1, 1), np.nan, np.float32), "w0"))
    assert facts_of("m", "classify", read_graph(made.bytes([output]))).faults == ("weights are NaN: w0",)
    made.weights[0].CopyFrom(numpy_helper.from_array(np.full((4, 3, 1, 1), -np.inf, np.float32), "w0"))
    facts = facts_of("m", "classify", read_graph(made.bytes([output])))
    assert facts.faults == ()
    assert "infinite: w0" in facts.notes[0]


# --- verdicts -----------------------------------------------------------------------------------------------------


def _small() -> Graph:
    return _graph([_op("Conv", "x w", "y")], {"x": (1, 3, 8, 8), "y": (1, 4, 8, 8)}, {"w": (4, 3, 1, 1)})


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
    large = _graph([_op("Conv", "x w", "y")], {"x": (1, 3, 8, 8), "y": (1, 4, 8, 8)}, {"w": (200_000_000, 1)})
    found = _judged(large, "rpi5")
    assert found.verdict == "does not fit"
    assert "800.0 MB; rpi5 takes bundles up to 536.9 MB" in found.problems[0]
    assert _judged(large, "rpi5", precision=Precision.INT8).problems == ()  # 200 MB
    hungry = _graph([_op("Relu", "x", "y")], {"x": (1, 3, 1, 1), "y": (1, 200_000_000)})
    assert "rpi-zero2w has 536.9 MB" in _judged(hungry, "rpi-zero2w").problems[0]
    assert _judged(hungry, "rpi5").verdict == "fits"
    tight = _graph([_op("Relu", "x", "y")], {"x": (1, 3, 1, 1), "y": (1, 600_000_000)})
    assert "little is left" in _judged(tight, "rpi5").notes[0]


def test_int8_tells_what_stays_in_float() -> None:
    ops = [
        _op("Conv", "x w", "a"),
        _op("LSTM", "a i r", "b"),
        _op("MatMul", "b b", "c"),
        _op("Softmax", "c", "d"),
    ]
    shapes = {"x": (1, 4, 1, 100), "a": (1, 1, 100), "b": (1, 1, 10), "c": (1, 1, 10), "d": (1, 1, 10)}
    graph = _graph(ops, shapes, {"w": (1, 4, 1, 1), "i": (1, 40, 100), "r": (1, 40, 10)})
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
    ops = [_op("LayerNormalization", "x s", "a"), _op("Reciprocal", "a", "b"), _op("own.Foo", "b", "c")]
    graph = _graph(ops, {"x": (4,)})
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


def _saved(folder: Path, made: Onnx, output: str, **options: Any) -> str:
    (folder / "m.onnx").write_bytes(made.bytes([output], **options))
    (folder / "m.yaml").write_text(_CARD)
    return str(folder / "m.yaml")


def test_every_runtime_is_asked(tmp_path: Path) -> None:
    made = Onnx((1, 3, 8, 8))
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
    made = Onnx((1, 3, 8, 8))
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
    made = Onnx((1, 3, 8, 8))
    output = made.node("Foo", made.conv("image", 3, 4, 1), domain="own")
    found = preflight(_saved(tmp_path, made, output), "generic-onnx", cache=None)
    assert found.fits[0].verdict == "does not fit"
    assert any("Foo" in problem for problem in found.fits[0].problems)
    assert found.facts.macs.total == 64 * 4 * 3


def test_a_precision_that_a_target_lacks_is_its_verdict_and_an_unknown_one_is_an_error(tmp_path: Path) -> None:
    made = Onnx((1, 3, 8, 8))
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
    made = Onnx((1, 3, 8, 8))
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

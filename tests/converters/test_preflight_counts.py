"""What is counted of a model before it is converted: by hand, and by the papers."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper

from edgesdk_converters.preflight.facts import facts_of
from edgesdk_converters.preflight.graph import Graph, Op
from edgesdk_converters.preflight.macs import count_macs
from edgesdk_converters.preflight.memory import activation_memory
from edgesdk_converters.preflight.read_graph import read_graph
from edgesdk_testkit.conv_graphs import ConvOnnx, graph_of, mobilenet_v2, op_of, resnet_20

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
        (op_of("Conv", "x w", "y"), {"x": (1, 3, 8, 8), "y": (1, 4, 6, 6)}, {"w": (4, 3, 3, 3)}, 4 * 36 * 27),
        (op_of("Conv", "x w", "y", group=4), {"x": (1, 4, 8, 8), "y": (1, 4, 8, 8)}, {"w": (4, 1, 3, 3)}, 4 * 64 * 9),
        (
            op_of("ConvTranspose", "x w", "y"),
            {"x": (1, 8, 5, 5), "y": (1, 6, 10, 10)},
            {"w": (8, 6, 2, 2)},
            8 * 25 * 24,
        ),
        (op_of("Gemm", "x w", "y", transB=1), {"x": (2, 10), "y": (2, 7)}, {"w": (7, 10)}, 2 * 7 * 10),
        (op_of("Gemm", "x w", "y", transA=1), {"x": (10, 2), "y": (2, 7)}, {"w": (10, 7)}, 2 * 7 * 10),
        (op_of("MatMul", "x z", "y"), {"x": (3, 4, 5), "z": (3, 5, 6), "y": (3, 4, 6)}, {}, 3 * 4 * 6 * 5),
        (op_of("MatMul", "x z", "y"), {"x": (5,), "z": (5,), "y": ()}, {}, 5),
        # Four gates of 6 from 5 inputs and 6 states, over 7 steps of 2 sequences, in both directions.
        (
            op_of("LSTM", "x w r", "y"),
            {"x": (7, 2, 5), "y": (7, 2, 2, 6)},
            {"w": (2, 24, 5), "r": (2, 24, 6)},
            7 * 2 * 2 * 4 * 6 * (5 + 6),
        ),
        (
            op_of("GRU", "x w r", "y"),
            {"x": (7, 1, 5), "y": (7, 1, 1, 6)},
            {"w": (1, 18, 5), "r": (1, 18, 6)},
            7 * 3 * 6 * (5 + 6),
        ),
        (
            op_of("Einsum", "x z", "y", equation=b"bij,bjk->bik"),
            {"x": (2, 3, 4), "z": (2, 4, 5), "y": (2, 3, 5)},
            {},
            120,
        ),
        (op_of("Relu", "x", "y"), {"x": (1, 3, 8, 8), "y": (1, 3, 8, 8)}, {}, 0),
    ],
    ids=lambda value: value.op if isinstance(value, Op) else "",
)
def test_macs_by_hand(
    op: Op, shapes: dict[str, tuple[int, ...]], weights: dict[str, tuple[int, ...]], expected: int
) -> None:
    counted = count_macs(graph_of([op], shapes, weights))
    assert counted.total == expected
    assert counted.uncounted == ()


def test_work_of_unknown_size_is_told_and_not_taken_for_nothing() -> None:
    graph = graph_of([op_of("Conv", "x w", "y")], {"x": (1, 3, 8, 8)}, {"w": (4, 3, 3, 3)})
    assert count_macs(graph).uncounted == ("Conv_y",)
    assert any("not counted" in note for note in facts_of("m", "classify", graph).notes)


# --- memory -------------------------------------------------------------------------------------------------------


def test_memory_by_hand() -> None:
    """x (100) → a (60) → b (40), joined with a again → c (30): alive at once x+a, then a+b, then a+b+c."""
    ops = [op_of("Conv", "x w", "a"), op_of("Conv", "a w", "b"), op_of("Conv", "a b", "c")]
    graph = graph_of(ops, {"x": (100,), "a": (60,), "b": (40,), "c": (30,)}, {"w": (1,)})
    memory = activation_memory(graph)
    assert (memory.peak, memory.at) == (4 * 160, "Conv_a")
    assert memory.arena == 4 * 160  # b takes the place of x, c fits behind it
    assert activation_memory(graph, float_bytes=1).peak == 160


def test_a_view_and_a_sole_activation_take_nothing_but_a_shared_input_is_not_overwritten() -> None:
    shapes = {"x": (10,), "a": (100,), "r": (100,), "v": (10, 10), "y": (1,)}
    alone = [
        op_of("Conv", "x w", "a"),
        op_of("Relu", "a", "r"),
        op_of("Reshape", "r w", "v"),
        op_of("Conv", "v w", "y"),
    ]
    assert activation_memory(graph_of(alone, shapes, {"w": (1,)})).peak == 4 * 110
    shared = [*alone[:3], op_of("Conv", "v a", "y")]  # the convolution's own output is wanted later
    assert activation_memory(graph_of(shared, shapes, {"w": (1,)})).peak == 4 * 201


def test_outputs_live_to_the_end_and_unknown_sizes_are_told() -> None:
    ops = [op_of("Conv", "x w", "y"), op_of("Conv", "x w", "a"), op_of("NonZero", "a", "n"), op_of("Conv", "a w", "z")]
    graph = graph_of(ops, {"x": (10,), "y": (50,), "a": (20,), "z": (5,)}, {"w": (1,)})
    graph = Graph(graph.ops, graph.shapes, graph.dtypes, graph.weights, ("x",), ("y", "z"), 18)
    memory = activation_memory(graph)
    assert memory.peak == 4 * 80
    assert memory.unknown == 1


def test_the_arena_is_never_below_the_peak() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        count = 12
        ops = [op_of("Conv", f"t{rng.integers(max(0, i - 4), i)} t{i - 1}", f"t{i}") for i in range(1, count)]
        graph = graph_of(ops, {f"t{i}": (int(rng.integers(1, 99)),) for i in range(count)})
        memory = activation_memory(graph)
        assert memory.peak <= memory.arena <= sum(4 * int(np.prod(s)) for s in graph.shapes.values())


def test_memory_of_mobilenet_is_where_it_is_widest() -> None:
    """The first expansion makes 96 channels of 112 x 112; the depthwise convolution halves their sides."""
    memory = activation_memory(read_graph(mobilenet_v2()))
    assert memory.peak == 4 * 96 * (112 * 112 + 56 * 56)


# --- reading ------------------------------------------------------------------------------------------------------


def test_constants_are_folded_and_open_sizes_measured() -> None:
    made = ConvOnnx((1, 3, 8, 8))
    made.weights.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"))
    doubled = made.node("Mul", "scales", "scales")  # constants alone: no operation of the model
    x = made.node("Resize", "image", "", doubled, mode="nearest")
    graph = read_graph(made.bytes([made.conv(x, 3, 4, 1)]))
    assert [op.op for op in graph.ops] == ["Resize", "Conv"]
    assert count_macs(graph).total == 32 * 32 * 4 * 3


def test_broken_weights_are_found_and_whole_ones_are_not() -> None:
    made = ConvOnnx((1, 3, 8, 8))
    output = made.conv("image", 3, 4, 1)
    assert facts_of("m", "classify", read_graph(made.bytes([output]))).faults == ()
    made.weights[0].CopyFrom(numpy_helper.from_array(np.full((4, 3, 1, 1), np.nan, np.float32), "w0"))
    assert facts_of("m", "classify", read_graph(made.bytes([output]))).faults == ("weights are NaN: w0",)
    made.weights[0].CopyFrom(numpy_helper.from_array(np.full((4, 3, 1, 1), -np.inf, np.float32), "w0"))
    facts = facts_of("m", "classify", read_graph(made.bytes([output])))
    assert facts.faults == ()
    assert "infinite: w0" in facts.notes[0]

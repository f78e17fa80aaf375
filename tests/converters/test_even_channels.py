"""Channels evened out before INT8: the float model stays what it was, and 8 bits hold more of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx import load_from_string as load

from edgesdk_converters.int8.evening import evened_where_better
from edgesdk_converters.steps.even_channels import channel_sizes, even_channels
from edgesdk_converters.steps.tensor_ranges import run_onnx_each
from edgesdk_targets.errors import InputError

Array = NDArray[Any]
SIZES = np.array([1.0, 0.02, 0.02, 1.0, 0.5, 0.01, 0.03, 0.7], np.float32)


def model(middle: str) -> bytes:
    """Two halves of very uneven channels, joined, shuffled, and read by a depthwise and a plain convolution."""
    rng = np.random.default_rng(3)
    weights = {
        "first": rng.normal(size=(8, 3, 3, 3)).astype(np.float32) * SIZES.reshape(-1, 1, 1, 1),
        "first_bias": rng.normal(size=8).astype(np.float32) * SIZES,
        "deep": rng.normal(size=(8, 1, 3, 3)).astype(np.float32),
        "last": (rng.normal(size=(4, 8, 1, 1)) / SIZES.reshape(1, -1, 1, 1)).astype(np.float32),
        "six": np.array(6.0, np.float32),
        "zero": np.array(0.0, np.float32),
    }
    indices = {"odd": [1, 8, 1, 2], "even": [0, 8, 1, 2]}
    weights |= {f"{key}{i}": np.array([v], np.int64) for key, vs in indices.items() for i, v in enumerate(vs)}
    limits = ["zero", "six"] if middle == "Clip" else []
    nodes = [
        helper.make_node("Conv", ["x", "first", "first_bias"], ["a"], "first", pads=[1] * 4),
        helper.make_node(middle, ["a", *limits], ["b"], "middle"),
        helper.make_node("Slice", ["b", "even0", "even1", "even2", "even3"], ["c"], "even"),
        helper.make_node("Slice", ["b", "odd0", "odd1", "odd2", "odd3"], ["d"], "odd"),
        helper.make_node("Concat", ["d", "c"], ["e"], "join", axis=1),
        helper.make_node("Conv", ["e", "deep"], ["f"], "deep", group=8, pads=[1] * 4),
        helper.make_node("Conv", ["f", "last"], ["y"], "last"),
    ]
    graph = helper.make_graph(
        nodes,
        "uneven",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 16, 16])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    ).SerializeToString()
    return content


@pytest.fixture(scope="module")
def samples() -> dict[str, Array]:
    return {"x": np.random.default_rng(4).normal(size=(48, 1, 3, 16, 16)).astype(np.float32)}


def answers(content: bytes, samples: Mapping[str, Array]) -> Array:
    return np.stack([found["y"] for found in run_onnx_each(content, samples)])


def sizes(content: bytes, samples: Mapping[str, Array]) -> Array:
    feeds = [{"x": array} for array in samples["x"]]
    return channel_sizes(load(content), feeds, {"b": 4})["b"]


def test_channels_become_more_even_and_the_answers_stay(samples: dict[str, Array]) -> None:
    plain = model("Relu")
    even = even_channels(plain, samples)
    before, after = sizes(plain, samples), sizes(even, samples)
    assert before.max() / before.min() > 50
    assert after.max() / after.min() < 0.2 * before.max() / before.min()
    np.testing.assert_allclose(answers(even, samples), answers(plain, samples), rtol=1e-3, atol=1e-4)
    assert [node.name for node in load(even).graph.node] == [node.name for node in load(plain).graph.node]


def test_in_8_bits_the_even_model_is_taken(samples: dict[str, Array]) -> None:
    assert evened_where_better(model("Relu"), samples, None) == even_channels(model("Relu"), samples)


@pytest.mark.parametrize("middle", ["Clip", "Sigmoid"])
def test_nothing_is_scaled_through_what_does_not_keep_a_factor(middle: str, samples: dict[str, Array]) -> None:
    plain, even = model(middle), even_channels(model(middle), samples)
    np.testing.assert_array_equal(_weight(plain, "first"), _weight(even, "first"))
    np.testing.assert_allclose(answers(even, samples), answers(plain, samples), rtol=1e-3, atol=1e-4)


def test_a_model_of_even_channels_stays_byte_for_byte(samples: dict[str, Array]) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], "only")]
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 16, 16])],
        [numpy_helper.from_array(np.ones((4, 3, 1, 1), np.float32), "w")],
    )
    plain = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    assert even_channels(plain, samples) == plain
    assert evened_where_better(plain, samples, None) == plain


def test_weights_that_two_layers_read_are_left_alone(samples: dict[str, Array]) -> None:
    shared = load(model("Relu"))
    twin = shared.graph.node.add()
    twin.CopyFrom(next(node for node in shared.graph.node if node.name == "last"))
    twin.name, twin.output[0] = "twin", "z"
    shared.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 4, 16, 16]))
    plain = shared.SerializeToString()
    even = even_channels(plain, samples)
    np.testing.assert_array_equal(_weight(plain, "last"), _weight(even, "last"))
    np.testing.assert_allclose(answers(even, samples), answers(plain, samples), rtol=1e-3, atol=1e-4)


def test_samples_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match="samples for 'x'"):
        even_channels(model("Relu"), {"x": np.zeros((4, 1, 3, 8, 8), np.float32)})


def _weight(content: bytes, name: str) -> Array:
    return numpy_helper.to_array(next(w for w in load(content).graph.initializer if w.name == name))

"""Weights chosen for 8 bits: int8 holds them exactly, layers answer more like float, and what stays in float is not touched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, shape_inference
from onnx import load_from_string as load

from edgesdk_converters.int8.closeness import Closeness
from edgesdk_converters.int8.tuning import tuned_where_better
from edgesdk_converters.steps.centred_channels import centred_channels
from edgesdk_converters.steps.compensated_rounding import compensated
from edgesdk_converters.steps.layer_inputs import input_moments
from edgesdk_converters.steps.tensor_ranges import run_onnx_each
from edgesdk_converters.steps.tuned_weights import tuned_weights, with_weights_of

Array = NDArray[Any]
OFFSETS = np.array([-6.0, 0.0, 5.0, 8.0, -3.0, 1.0, -9.0, 4.0], np.float32)


def model(*, pad: int = 0, bias: bool = True) -> bytes:
    """A plain, a depthwise and a pointwise convolution, the middle one's channels far apart; then a mean and a product."""
    rng = np.random.default_rng(3)
    weights = {
        "first": rng.normal(size=(8, 3, 3, 3)).astype(np.float32),
        "first_bias": rng.normal(size=8).astype(np.float32),
        "deep": rng.normal(size=(8, 1, 3, 3)).astype(np.float32) * 0.2,
        "deep_bias": OFFSETS,
        "point": rng.normal(size=(8, 8, 1, 1)).astype(np.float32),
        "point_bias": rng.normal(size=8).astype(np.float32),
        "last": rng.normal(size=(8, 4)).astype(np.float32),
    }
    point = ["c", "point", *(["point_bias"] if bias else [])]
    nodes = [
        helper.make_node("Conv", ["x", "first", "first_bias"], ["a"], "first", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Conv", ["b", "deep", "deep_bias"], ["c"], "deep", group=8, pads=[1] * 4, strides=[2, 2]),
        helper.make_node("Conv", point, ["d"], "point", pads=[pad] * 4),
        helper.make_node("Relu", ["d"], ["e"], "relu2"),
        helper.make_node("ReduceMean", ["e"], ["f"], "mean", axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["f", "last"], ["y"], "last"),
    ]
    graph = helper.make_graph(
        nodes,
        "offset",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    ).SerializeToString()
    return content


@pytest.fixture(scope="module")
def samples() -> dict[str, Array]:
    """Blurred noise: neighbouring pixels go together, as in pictures."""
    noise = np.random.default_rng(4).normal(size=(48, 1, 3, 18, 18)).astype(np.float32)
    return {"x": np.lib.stride_tricks.sliding_window_view(noise, (3, 3), axis=(3, 4)).mean(axis=(5, 6)) * 3}


def weight(content: bytes, name: str) -> Array:
    return next(numpy_helper.to_array(w) for w in load(content).graph.initializer if w.name == name)


def answers(content: bytes, samples: dict[str, Array]) -> Array:
    return np.stack([found["y"] for found in run_onnx_each(content, samples)])


def between(content: bytes, samples: dict[str, Array]) -> Array:
    """Return the values between the depthwise and the pointwise convolution, (places, 8)."""
    parsed = shape_inference.infer_shapes(load(content))
    parsed.graph.output.extend(v for v in parsed.graph.value_info if v.name == "c")
    values = np.stack([found["c"][0] for found in run_onnx_each(parsed.SerializeToString(), samples)])
    return np.moveaxis(values, 1, -1).reshape(-1, 8)


class TestRounding:
    def test_the_answers_change_less_than_by_rounding_to_the_nearest(self) -> None:
        rng = np.random.default_rng(1)
        mixing = rng.normal(size=(2, 20, 6))
        x = np.einsum("gkm,pgm->pgk", mixing, rng.normal(size=(500, 2, 6))) + 0.05 * rng.normal(size=(500, 2, 20))
        moments = np.einsum("pgk,pgj->gkj", x, x) / len(x)
        rows = rng.normal(size=(2, 16, 20))
        steps = np.abs(rows).max(axis=2, keepdims=True) / 127
        nearest, chosen = np.rint(rows / steps) * steps, compensated(rows, moments)

        def noise(given: Array) -> float:
            return float((np.einsum("gok,pgk->pgo", rows - given, x) ** 2).mean())

        assert noise(chosen) < 0.4 * noise(nearest)
        whole = chosen / steps
        np.testing.assert_allclose(whole, np.rint(whole), atol=1e-9)
        np.testing.assert_allclose(np.abs(whole).max(axis=2), 127)

    def test_inputs_that_have_nothing_to_do_with_each_other_are_rounded_to_the_nearest(self) -> None:
        rows = np.random.default_rng(2).normal(size=(1, 5, 9))
        steps = np.abs(rows).max(axis=2, keepdims=True) / 127
        np.testing.assert_allclose(compensated(rows, np.eye(9)[None]), np.rint(rows / steps) * steps)

    def test_a_channel_of_noughts_and_inputs_of_noughts_are_no_trouble(self) -> None:
        assert not compensated(np.zeros((1, 2, 4)), np.zeros((1, 4, 4))).any()

    def test_more_columns_than_a_block(self) -> None:
        rng = np.random.default_rng(5)
        x = rng.normal(size=(400, 10)) @ rng.normal(size=(10, 150))
        rows, moments = rng.normal(size=(1, 3, 150)), (x.T @ x / len(x))[None]
        steps = np.abs(rows).max(axis=2, keepdims=True) / 127
        lost = [
            ((rows - given)[0] @ x.T).std() for given in (np.rint(rows / steps) * steps, compensated(rows, moments))
        ]
        assert lost[1] < 0.5 * lost[0]


def test_moments_are_those_of_what_the_weights_meet(samples: dict[str, Array]) -> None:
    """The layers' own answers follow from them: their mean, and how much they vary."""
    parsed = shape_inference.infer_shapes(load(model()))
    nodes = [node for node in parsed.graph.node if node.op_type in {"Conv", "MatMul"}]
    shapes = {node.name: weight(model(), node.input[1]).shape for node in nodes}
    shapes["last"] = shapes["last"][::-1]
    found = input_moments(parsed, ({"x": sample} for sample in samples["x"]), nodes, shapes)
    parsed.graph.output.extend(v for v in parsed.graph.value_info if v.name in "cd")
    given = list(run_onnx_each(parsed.SerializeToString(), samples))
    for node, groups in (("deep", 8), ("point", 1)):
        rows = weight(model(), node).reshape(groups, -1, found[node].mean.shape[1]).astype(np.float64)
        answer = np.stack([one[{"deep": "c", "point": "d"}[node]][0] for one in given]).astype(np.float64)
        mean = (rows @ found[node].mean[:, :, None]).reshape(-1) + weight(model(), f"{node}_bias")
        np.testing.assert_allclose(mean, answer.mean(axis=(0, 2, 3)), rtol=1e-3, atol=1e-3)
        spread = np.einsum("gok,gkj,goj->go", rows, found[node].about_mean, rows).reshape(-1)
        np.testing.assert_allclose(spread, answer.var(axis=(0, 2, 3)), rtol=1e-2, atol=1e-3)


def test_centred_channels_lie_around_nought_and_the_answers_stay(samples: dict[str, Array]) -> None:
    plain, centred = model(), centred_channels(model(), samples)
    np.testing.assert_allclose(answers(centred, samples), answers(plain, samples), rtol=1e-4, atol=1e-4)
    before, after = (between(content, samples) for content in (plain, centred))
    assert np.abs(before.max(axis=0) + before.min(axis=0)).max() > 10
    np.testing.assert_allclose(after.max(axis=0), -after.min(axis=0), rtol=1e-3)
    assert centred_channels(model(pad=1), samples) == model(pad=1)  # noughts around it would no longer be noughts
    assert centred_channels(model(bias=False), samples) == model(bias=False)


def test_in_8_bits_the_tuned_model_is_closer_to_float(samples: dict[str, Array]) -> None:
    closeness = Closeness(model(), samples, None)
    made = tuned_where_better(model(), samples, None)
    assert made.gain_db > 3
    assert closeness.of(made.model) > closeness.of(model()) + 3
    np.testing.assert_allclose(answers(made.base, samples), answers(model(), samples), rtol=1e-4, atol=1e-4)


def test_what_gains_nothing_is_left_alone(samples: dict[str, Array]) -> None:
    exact = tuned_weights(model(pad=1), samples)
    made = tuned_where_better(exact, samples, None)
    assert (made.model, made.gain_db) == (exact, 0.0)


def test_every_run_gives_the_same_bytes(samples: dict[str, Array]) -> None:
    assert tuned_weights(model(), samples) == tuned_weights(model(), samples)


def test_layers_kept_in_float_have_the_weights_they_had(samples: dict[str, Array]) -> None:
    tuned = tuned_weights(model(), samples)
    mixed = with_weights_of(tuned, model(), ["deep"])
    for name in ("deep", "deep_bias"):
        np.testing.assert_array_equal(weight(mixed, name), weight(model(), name))
        assert (weight(mixed, name) != weight(tuned, name)).any()
    np.testing.assert_array_equal(weight(mixed, "point"), weight(tuned, "point"))

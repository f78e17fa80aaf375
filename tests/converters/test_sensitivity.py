"""Which layer costs the accuracy: told for each alone, by the worst group of the outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesdk_converters.steps.int8_onnx import int8_onnx
from edgesdk_converters.steps.int8_onnx_drift import STYLES, Style
from edgesdk_converters.steps.int8_onnx_ranges import measure_ranges
from edgesdk_converters.steps.sensitivity_onnx import sensitivities
from edgesdk_testkit import torch_models as models

SHAPE = (1, 3, 12, 12)


def _chain() -> bytes:
    """Four layers; what the third reads has one channel that is 1000 times as large, and that it hardly looks at."""
    random = np.random.default_rng(1)
    weights = {f"w{i}": random.normal(0, 0.3, (8, 3 if i == 0 else 8, 3, 3)).astype(np.float32) for i in range(4)}
    weights["w1"][5] *= 1000
    weights["w2"][:, 5] /= 1000
    nodes, source = [], "x"
    for i in range(4):
        nodes.append(helper.make_node("Conv", [source, f"w{i}"], [f"a{i}"], name=f"layer_{i}", pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"a{i}"], [f"b{i}"], name=f"relu_{i}"))
        source = f"b{i}"
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)]
    graph = helper.make_graph(
        nodes,
        "g",
        given,
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, (1, 8, 12, 12))],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(onnx.shape_inference.infer_shapes(made).SerializeToString())


def _samples(count: int = 12) -> dict[str, Any]:
    return {"x": np.random.default_rng(2).random((count, *SHAPE)).astype(np.float32)}


@pytest.mark.parametrize("style", STYLES)
def test_the_layer_that_costs_most_comes_first(style: Style) -> None:
    content, samples = _chain(), _samples()
    ranges = measure_ranges(content, samples)
    said: list[str] = []
    found = sensitivities(content, samples, ranges, style=style, progress=said.append)
    assert found[0].node in {"layer_1", "layer_2"}
    assert found[0].op == "Conv"
    assert {item.node for item in found} == {f"layer_{i}" for i in range(4)}
    assert [item.sqnr_db for item in found] == sorted(item.sqnr_db for item in found)
    assert found[0].sqnr_db < found[-1].sqnr_db - 20
    assert {item.node: item.parameters for item in found}["layer_0"] == 8 * 3 * 9
    assert len(said) == 4
    # What it says is what keeping the worst in float gains.
    by_hand = [item.node for item in found if item.sqnr_db < 25]
    plain, mended = (int8_onnx(content, samples, style=style, ranges=ranges, keep_float=k) for k in ((), by_hand))
    wanted, coarse, fine = (models.run_onnx(c, {"x": samples["x"][0]}) for c in (content, plain, mended))
    assert models.worst_db(wanted, fine) > models.worst_db(wanted, coarse) + 6


def test_the_worst_output_counts() -> None:
    content = models.onnx_of("detector")
    random = np.random.default_rng(3)
    samples = {"input_0": random.random((6, *models.MODELS["detector"].SHAPES[0])).astype(np.float32)}
    ranges = measure_ranges(content, samples)
    found = {item.node: item.sqnr_db for item in sensitivities(content, samples, ranges, most_samples=3)}
    assert len(found) >= 3
    assert min(found.values()) > 10
    assert max(found.values()) < 200  # each of them touches an output

"""Float ONNX → fp16 inside: float borders, a valid graph, and float32 where fp16 would lose the meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesdk_converters.child import run_step
from edgesdk_converters.steps.fp16_onnx import fp16_onnx
from edgesdk_targets.errors import InputError
from edgesdk_testkit import torch_models as models

CONVERTIBLE = ("classifier", "reader", "detector", "streaming")
FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def _graph(
    nodes: Sequence[onnx.NodeProto], outputs: Sequence[str], weights: dict[str, Any], shape: Any = (1, 8)
) -> bytes:
    tensors = [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in weights.items()]
    given = [helper.make_tensor_value_info("x", FLOAT, shape)]
    graph = helper.make_graph(
        list(nodes), "g", given, [helper.make_empty_tensor_value_info(n) for n in outputs], tensors
    )
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    )


def _ops(content: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(content).graph.node]


def _plain(content: bytes, given: Any) -> list[Any]:
    """Run by ONNX's reference, which computes fp16 in fp16; ONNX Runtime on a CPU does it in float32."""
    from onnx.reference import ReferenceEvaluator

    with np.errstate(over="ignore", invalid="ignore"):
        said: list[Any] = ReferenceEvaluator(onnx.load_from_string(content)).run(None, {"x": given})
    return said


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_the_answers_are_near_and_the_borders_float(name: str) -> None:
    half = fp16_onnx(models.onnx_of(name))
    given = dict(zip(models.inputs(name), models.feeds(name), strict=True))
    figure = models.worst_db(models.run_onnx(models.onnx_of(name), given), models.run_onnx(half, given))
    assert 45 <= figure < 110  # near, and really fp16
    graph = onnx.load_from_string(half).graph
    assert {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)} == {FLOAT}
    assert [value.name for value in graph.output] == list(models.MODELS[name].OUTPUTS)
    weights = [weight for weight in graph.initializer if weight.data_type in (FLOAT, HALF) and weight.dims]
    assert {weight.data_type for weight in weights if len(weight.dims) > 1} <= {HALF, FLOAT}
    assert any(weight.data_type == HALF for weight in weights)
    onnx.checker.check_model(half, full_check=True)


def test_the_bytes_are_always_the_same() -> None:
    content = models.onnx_of("detector")
    elsewhere = run_step("edgesdk_converters.steps.fp16_onnx:fp16_onnx", onnx=content)
    assert fp16_onnx(content) == elsewhere


def test_what_overflows_stays_float32_from_end_to_end() -> None:
    """Squares above 65504 between two such nodes must not pass through fp16."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Mul", ["m", "m"], ["square"]),
        helper.make_node("ReduceMean", ["square"], ["mean"], keepdims=1),
        helper.make_node("Sqrt", ["mean"], ["root"]),
        helper.make_node("Div", ["m", "root"], ["n"]),
        helper.make_node("MatMul", ["n", "v"], ["y"]),
    ]
    random = np.random.default_rng(0)
    content = _graph(nodes, ["y"], {"w": random.normal(0, 300, (8, 8)), "v": random.normal(0, 1, (8, 4))})
    given = random.random((1, 8)).astype(np.float32)
    half = fp16_onnx(content)
    assert models.worst_db(_plain(content, given), _plain(half, given)) >= 45
    # Negative control: onnxruntime's converter alone gives infinities here.
    from onnxruntime.transformers.float16 import convert_float_to_float16

    naive = convert_float_to_float16(onnx.load_from_string(content), keep_io_types=True)
    naive.graph.node.sort(key=lambda node: not node.name.startswith("graph_input_cast"))  # it leaves them at the end
    assert not np.allclose(_plain(naive.SerializeToString(), given)[0], _plain(content, given)[0], atol=0.1)


def test_boxes_in_pixels_keep_their_fractions() -> None:
    """Behind the last product, values above 512 stay float32; fp16 would round them to halves."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "anchors"], ["y"])]
    content = _graph(nodes, ["y"], {"w": np.full((8, 3), 0.1), "anchors": [1.25, 700.3, 1200.7]})
    given = np.full((1, 8), 0.5, np.float32)
    assert np.abs(_plain(content, given)[0] - _plain(fp16_onnx(content), given)[0]).max() < 0.01
    assert abs(float(np.float16(1200.7)) - 1200.7) > 0.1  # what it would have been


def test_an_epsilon_that_fp16_cannot_hold_stays() -> None:
    nodes = [helper.make_node("Add", ["x", "epsilon"], ["a"]), helper.make_node("Log", ["a"], ["y"])]
    content = _graph(nodes, ["y"], {"epsilon": [1e-12]})
    given = np.zeros((1, 8), np.float32)
    assert np.allclose(_plain(fp16_onnx(content), given)[0], np.log(1e-12), atol=0.1)


def test_probes_decide_where_the_drawn_ones_are_too_tame() -> None:
    nodes = [helper.make_node("Mul", ["x", "x"], ["square"]), helper.make_node("Sqrt", ["square"], ["y"])]
    content = _graph(nodes, ["y"], {})
    probe = {"x": np.full((1, 8), 1000.0, np.float32)}
    assert np.isinf(_plain(fp16_onnx(content), probe["x"])[0]).all()
    assert np.allclose(_plain(fp16_onnx(content, probes=[probe]), probe["x"])[0], 1000.0)


def test_one_tensor_read_by_two_kept_nodes_and_an_output() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Mul", ["m", "big"], ["large"]),
        helper.make_node("Neg", ["large"], ["a"]),
        helper.make_node("Abs", ["large"], ["b"]),
    ]
    content = _graph(nodes, ["large", "a", "b"], {"w": np.eye(8), "big": [90000.0]})
    given = np.random.default_rng(1).random((1, 8)).astype(np.float32)
    half = fp16_onnx(content)
    assert models.worst_db(_plain(content, given), _plain(half, given)) >= 45
    assert _ops(half).count("Cast") == 2  # into fp16, and out of it before the large values


def test_whole_numbers_inside_are_left_alone() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("ArgMax", ["m"], ["best"], axis=1),
        helper.make_node("Cast", ["best"], ["y"], to=FLOAT),
    ]
    content = _graph(nodes, ["y"], {"w": np.eye(8)})
    given = np.eye(8, dtype=np.float32)[3:4]
    assert _plain(fp16_onnx(content), given)[0].tolist() == [[3.0]]


def test_nodes_without_names_are_told_apart() -> None:
    model = onnx.load_from_string(models.onnx_of("detector"))
    for node in model.graph.node:
        node.name = ""
    given = {"input_0": models.feeds("detector")[0]}
    half = fp16_onnx(model.SerializeToString())
    assert models.worst_db(models.run_onnx(models.onnx_of("detector"), given), models.run_onnx(half, given)) >= 45


def test_an_open_size_is_refused() -> None:
    content = _graph([helper.make_node("Relu", ["x"], ["y"])], ["y"], {}, shape=("n", 8))
    with pytest.raises(InputError, match="no fixed shape"):
        fp16_onnx(content)


def test_it_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    fp16_onnx(models.onnx_of("classifier"))
    assert capfd.readouterr() == ("", "")

"""What runs in which precision, and what fell back: as the runtimes themselves tell it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgesdk.benchmark.coverage import litert, onnxruntime, openvino
from edgesdk.benchmark.coverage.nodes import Coverage, ExecutedNode, summarise
from edgesdk_targets.bundle.manifest import Variant
from edgesdk_targets.target import Precision, Runtime
from edgesdk_targets.tensor import TensorSpec
from edgesdk_testkit.onnx_writer import Node, onnx_model
from edgesdk_testkit.tiny_bundles import tiny_variant
from edgesdk_testkit.tiny_models import WIDE

HOME = "CPUExecutionProvider"
SHAPE = (1, 8, 12, 12)
IMAGE = TensorSpec(name="image", shape=SHAPE)
RESULT = TensorSpec(name="result", shape=(1, 8, 10, 10))


def _conv(inputs: tuple[str, ...], output: str) -> Node:
    return Node("Conv", list(inputs), [output])


def _int8_onnx(*, quantised: bool) -> bytes:
    """One convolution, between the conversions of int8 or as it is."""
    rng = np.random.default_rng(1)
    weights = {
        "scale": np.array(0.05, np.float32),
        "zero": np.array(128, np.uint8),
        "w_scale": np.array(0.01, np.float32),
        "w_zero": np.array(0, np.int8),
        "w": rng.integers(-100, 100, (8, 8, 3, 3)).astype(np.int8 if quantised else np.float32),
    }
    if not quantised:
        return onnx_model([_conv(("image", "w"), "result")], (IMAGE,), (RESULT,), {"w": weights["w"]})
    around = ["scale", "zero"]
    nodes = [
        Node("QuantizeLinear", ["image", *around], ["q"]),
        Node("DequantizeLinear", ["q", *around], ["dq"]),
        Node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_dq"]),
        _conv(("dq", "w_dq"), "c"),
        Node("QuantizeLinear", ["c", *around], ["q2"]),
        Node("DequantizeLinear", ["q2", *around], ["result"]),
    ]
    return onnx_model(nodes, (IMAGE,), (RESULT,), weights)


def _variant(precision: Precision) -> Variant:
    return Variant(
        id="generic-onnx-onnxruntime",
        target="generic-onnx",
        runtime=Runtime.ONNXRUNTIME,
        precision=precision,
        files={"model": "m.onnx"},
        inputs=(IMAGE,),
        outputs=(RESULT,),
    )


class TestSummary:
    def test_a_float_node_in_int8_has_fallen_back(self) -> None:
        nodes = [
            ExecutedNode("a", "QLinearConv", "i8", HOME, 2.0),
            ExecutedNode("b", "Conv", "f32", HOME, 1.0),
            ExecutedNode("c", "Sigmoid", "f32", HOME, 1.0),
        ]
        found = summarise(nodes, Precision.INT8, HOME)
        assert found.multiplying == {"i8": 1, "f32": 1}
        assert found.time_share == {"i8": 0.5, "f32": 0.5}
        assert found.fell_back == ("Conv b: computes in f32",)
        # In mixed precision that is meant.
        assert summarise(nodes, Precision.MIXED, HOME).fell_back_count == 0

    def test_a_node_elsewhere_has_fallen_back(self) -> None:
        found = summarise([ExecutedNode("a", "Conv", "f32", "CPU")], Precision.FP32, "CUDA")
        assert found.fell_back == ("Conv a: runs on CPU, not CUDA",)
        assert found.time_share == {}

    def test_converting_is_not_multiplying(self) -> None:
        ops = [
            "Convert",
            "Conv",
            "QLinearMatMul",
            "FULLY_CONNECTED",
            "CONV_2D",
            "DEPTHWISE_CONV_2D",
            "Relu",
            "Convolution",
        ]
        found = [ExecutedNode("n", op, "f32", "").multiplies for op in ops]
        assert found == [False, True, True, True, True, True, False, True]

    def test_many_are_counted_and_few_are_named(self) -> None:
        found = summarise([ExecutedNode(str(i), "Conv", "f32", HOME) for i in range(50)], Precision.INT8, HOME)
        assert (found.fell_back_count, len(found.fell_back)) == (50, 20)

    def test_it_crosses_as_json(self) -> None:
        found = summarise([ExecutedNode("a", "Conv", "f32", HOME, 1.0)], Precision.INT8, HOME)
        assert Coverage.from_json(found.to_json()) == found
        assert summarise([], Precision.INT8, HOME).effective_precision is None


class TestOnnxRuntime:
    def test_int8_computes_in_int8(self, tmp_path: Path) -> None:
        nodes = onnxruntime.executed_nodes({"model": _int8_onnx(quantised=True)}, _variant(Precision.INT8), 1, tmp_path)
        found = summarise(nodes, Precision.INT8, onnxruntime.home())
        assert found.effective_precision == "i8", nodes
        assert found.fell_back_count == 0
        assert sum(found.time_share.values()) == pytest.approx(1)

    def test_a_file_that_only_says_int8_is_seen_through(self, tmp_path: Path) -> None:
        nodes = onnxruntime.executed_nodes(
            {"model": _int8_onnx(quantised=False)}, _variant(Precision.INT8), 1, tmp_path
        )
        found = summarise(nodes, Precision.INT8, onnxruntime.home())
        assert found.effective_precision == "f32"
        assert found.fell_back_count == 1


class TestOpenVino:
    def test_what_is_executed_is_listed_with_its_time(self, tmp_path: Path) -> None:
        variant, files = tiny_variant(WIDE, "x86-cpu", Runtime.OPENVINO)
        roles = {role: files[path] for role, path in variant.files.items()}
        nodes = openvino.executed_nodes(roles, variant, 1, tmp_path)
        assert {"Convolution", "FullyConnected"} <= {node.op for node in nodes}
        assert all(node.precision == "f32" and node.ms is not None for node in nodes)


class TestLiteRt:
    def test_the_delegate_takes_a_float_network(self, tmp_path: Path) -> None:
        variant, files = tiny_variant(WIDE, "rpi5", Runtime.LITERT)
        nodes = litert.executed_nodes({"model": files[variant.files["model"]]}, variant, 1, tmp_path)
        assert nodes is not None
        assert [node.op for node in nodes] == ["TRANSPOSE", "CONV_2D", "MEAN", "FULLY_CONNECTED"]
        assert {node.where for node in nodes} == {litert.DELEGATE}

    def test_what_lies_outside_the_delegate_is_found(self) -> None:
        """Two parts in the delegate and one node between them, which it does not know."""
        listed = [
            {"index": 0, "op_name": "CONV_2D", "inputs": [0, 10], "outputs": [1]},
            {"index": 1, "op_name": "RELU", "inputs": [1], "outputs": [2]},
            {"index": 2, "op_name": "TOPK_V2", "inputs": [2], "outputs": [3]},
            {"index": 3, "op_name": "FULLY_CONNECTED", "inputs": [3, 11], "outputs": [4]},
            {"index": 4, "op_name": "DELEGATE", "inputs": [0, 10], "outputs": [2]},
            {"index": 5, "op_name": "DELEGATE", "inputs": [3, 11], "outputs": [4]},
        ]
        types = {0: "float32", 1: "float32", 2: "float32", 3: "float32", 4: "float32", 10: "float32", 11: "int8"}
        nodes = litert.read_nodes(listed, types)
        assert [node.where == litert.DELEGATE for node in nodes] == [True, True, False, True]
        assert [node.precision for node in nodes] == ["f32", "f32", "f32", "i8"]
        found = summarise(nodes, Precision.FP32, litert.home())
        assert found.fell_back == ("TOPK_V2 2: runs on LiteRT's own kernels, not XNNPACK",)

    def test_without_a_delegate_all_nodes_are_outside(self) -> None:
        listed = [{"index": 0, "op_name": "CONV_2D", "inputs": [0], "outputs": [1]}]
        assert litert.read_nodes(listed, {0: "int8"})[0].where == litert.PLAIN

"""Channels in an order of our choice inside a graph: the same answers, and no copy number by number."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesdk_converters.steps.contiguous_channels import contiguous_channels
from edgesdk_converters.steps.tensor_ranges import run_onnx_each
from edgesdk_targets.errors import InputError

CHANNELS = 8


class Net:
    """Writes small graphs of the ShuffleNet family, with weights drawn by a seed."""

    def __init__(self, seed: int = 0) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(seed)

    def constant(self, array: np.ndarray) -> str:
        name = f"constant{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def add(self, op: str, *inputs: str, **attributes: object) -> str:
        name = f"{op}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def conv(self, x: str, inputs: int, outputs: int, *, group: int = 1, size: int = 1) -> str:
        weight = self._random.normal(size=(outputs, inputs // group, size, size)).astype(np.float32)
        bias = self._random.normal(size=outputs).astype(np.float32)
        pads = [size // 2] * 4
        return self.add("Conv", x, self.constant(weight), self.constant(bias), group=group, pads=pads)

    def every_other(self, x: str, start: int, step: int = 2) -> str:
        bounds = (start, 2**63 - 1, 1, step)
        return self.add("Slice", x, *(self.constant(np.array([value], np.int64)) for value in bounds))

    def branch(self, x: str, inputs: int, outputs: int) -> str:
        x = self.add("Relu", self.conv(x, inputs, outputs))
        x = self.conv(x, outputs, outputs, group=outputs, size=3)
        return self.add("Relu", self.conv(x, outputs, outputs))

    def stage(self, x: str, blocks: int, *, inputs: int = CHANNELS) -> str:
        half = CHANNELS // 2
        x = self.add("Concat", self.branch(x, inputs, half), self.branch(x, inputs, half), axis=1)
        for _ in range(blocks):
            kept, taken = self.every_other(x, 0), self.every_other(x, 1)
            x = self.add("Concat", kept, self.branch(taken, half, half), axis=1)
        return x

    def model(self, *outputs: str, opset: int = 18) -> bytes:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, CHANNELS, 6, 6))
        made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "net", [image], made, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        content: bytes = onnx.shape_inference.infer_shapes(model).SerializeToString()
        return content


def assert_same_answers(before: bytes, after: bytes) -> None:
    image = np.random.default_rng(1).normal(size=(1, 1, CHANNELS, 6, 6)).astype(np.float32)
    wanted, got = (next(iter(run_onnx_each(content, {"image": image}))) for content in (before, after))
    for name, array in wanted.items():
        np.testing.assert_allclose(got[name], array, rtol=1e-4, atol=1e-4)


def steps_of(content: bytes) -> list[int]:
    """Return the step of every Slice."""
    graph = onnx.load_from_string(content).graph
    constants = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
    slices = [node for node in graph.node if node.op_type == "Slice"]
    return [int(constants[node.input[4]][0]) if len(node.input) > 4 else 1 for node in slices]


@pytest.mark.parametrize("blocks", [1, 2, 3, 7])
def test_no_channel_is_taken_in_steps_any_more_and_the_answers_stay(blocks: int) -> None:
    net = Net(seed=blocks)
    before = net.model(net.conv(net.stage("image", blocks), CHANNELS, 3))
    after = contiguous_channels(before)
    assert set(steps_of(before)) == {2}
    assert set(steps_of(after)) <= {1}
    assert_same_answers(before, after)


def test_few_runs_are_copied() -> None:
    """The order is chosen for that: an order at random would leave about a run for every two channels."""
    net = Net()
    after = onnx.load_from_string(contiguous_channels(net.model(net.conv(net.stage("image", 2), CHANNELS, 3))))
    assert [len(node.input) for node in after.graph.node if node.op_type == "Concat"] == [2, 2, 3]


def test_what_follows_a_stage_keeps_its_order_through_pooling_depthwise_and_joins() -> None:
    net = Net()
    fine = net.stage("image", 2)
    pooled = net.add("AveragePool", fine, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    deep = net.conv(net.stage(net.conv(fine, CHANNELS, CHANNELS, group=CHANNELS, size=3), 3), CHANNELS, CHANNELS)
    joined = net.add("Concat", pooled, deep, fine, axis=1)
    before = net.model(net.conv(joined, 3 * CHANNELS, 5))
    after = contiguous_channels(before)
    assert set(steps_of(after)) <= {1}
    assert_same_answers(before, after)


def test_nodes_keep_their_names_and_convolutions_their_number() -> None:
    net = Net()
    before = net.model(net.conv(net.stage("image", 2), CHANNELS, 3))
    names = [
        [node.name for node in onnx.load_from_string(content).graph.node if node.op_type == "Conv"]
        for content in (before, contiguous_channels(before))
    ]
    assert names[0] == names[1]


def test_the_same_model_gives_the_same_bytes() -> None:
    net = Net()
    before = net.model(net.conv(net.stage("image", 3), CHANNELS, 3))
    assert contiguous_channels(before) == contiguous_channels(before)


def test_a_name_that_the_graph_has_already_is_not_taken() -> None:
    """Names of our making would name two tensors: the file would be refused, or one would stand for the other."""
    net = Net()
    stage = net.stage("image", 3)
    side = net.conv(net.stage("image", 2), CHANNELS, 3)
    plain = onnx.load_from_string(net.model(net.conv(stage, CHANNELS, 3), side))
    once = onnx.load_from_string(contiguous_channels(plain.SerializeToString()))
    old = {name for node in plain.graph.node for name in [*node.input, *node.output]}
    made = sorted({name for node in once.graph.node for name in [*node.input, *node.output]} - old)
    assert any("/part" in name for name in made)
    assert any("/weights" in name for name in made)
    # The same graph, in which other constants have the names that would be given.
    others = [weight.name for weight in plain.graph.initializer]
    assert len(others) >= len(made)
    given = dict(zip(others[::-1], made, strict=False))
    for weight in plain.graph.initializer:
        weight.name = given.get(weight.name, weight.name)
    for node in plain.graph.node:
        node.input[:] = [given.get(name, name) for name in node.input]
    before = plain.SerializeToString()
    after = contiguous_channels(before)
    onnx.checker.check_model(onnx.load_from_string(after), full_check=True)
    assert set(steps_of(after)) <= {1}
    assert_same_answers(before, after)


class TestLeftAlone:
    def test_a_model_that_takes_no_channels_in_steps(self) -> None:
        net = Net()
        joined = net.add("Concat", net.branch("image", CHANNELS, 4), net.branch("image", CHANNELS, 4), axis=1)
        before = net.model(net.conv(joined, CHANNELS, 3))
        assert contiguous_channels(before) == before

    def test_steps_over_the_picture(self) -> None:
        net = Net()
        bounds = (0, 2**63 - 1, 2, 2)
        rows = net.add("Slice", "image", *(net.constant(np.array([value], np.int64)) for value in bounds))
        before = net.model(net.conv(rows, CHANNELS, 3))
        assert contiguous_channels(before) == before

    def test_an_output_needs_its_channels_in_order(self) -> None:
        net = Net()
        before = net.model(net.stage("image", 3))
        assert contiguous_channels(before) == before

    def test_a_sum_with_another_tensor_needs_them_in_order(self) -> None:
        net = Net()
        before = net.model(net.conv(net.add("Add", net.stage("image", 3), "image"), CHANNELS, 3))
        assert contiguous_channels(before) == before

    def test_a_channel_that_is_joined_twice(self) -> None:
        net = Net()
        odd = net.every_other(net.stage("image", 1), 1)
        before = net.model(net.conv(net.add("Concat", odd, odd, axis=1), CHANNELS, 3))
        assert contiguous_channels(before) == before


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(InputError, match="not an ONNX file"):
        contiguous_channels(b"no model")

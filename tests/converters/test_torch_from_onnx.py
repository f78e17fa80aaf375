"""Other people's ONNX → torch with everything static: shape arithmetic folded, the rest as ONNX Runtime runs it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from edgesdk_converters.steps.static_graph import StaticGraph
from edgesdk_converters.steps.torch_from_onnx import torch_from_onnx
from edgesdk_targets.errors import InputError, StepFailed
from edgesdk_testkit import torch_models as models

Array = Any


def _legacy(module: nn.Module, shape: Sequence[int], opset: int) -> bytes:
    """Export as older tools did: tracing, shapes computed in the graph."""
    into = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (torch.zeros(*shape),), into, dynamo=False, opset_version=opset)
    return into.getvalue()


def _graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Any],
    outputs: Sequence[str],
    weights: dict[str, Array] | None = None,
    opset: int = 18,
) -> bytes:
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    said = [helper.make_empty_tensor_value_info(name) for name in outputs]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(list(nodes), "g", given, said, tensors)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("my", 1)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def _agree(content: bytes, least_db: float = 100) -> StaticGraph:
    module, example = torch_from_onnx(content)
    random = np.random.default_rng(5)
    given = [random.random(tuple(item.shape)).astype(np.float32) for item in example]
    wanted = models.run_onnx(content, dict(zip(module.input_names, given, strict=True)))
    assert models.worst_db(wanted, models.answers(module, given)) >= least_db
    return module


class YoloHead(nn.Module):
    """Distribution of distances, anchors made from the maps' sizes, boxes and scores in one tensor."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.classes = classes
        self.maps = nn.ModuleList(nn.Conv2d(3, 64 + classes, stride, stride) for stride in (8, 16))
        self.distances = nn.Conv2d(16, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        maps = [part(x) for part in self.maps]
        whole = torch.cat([m.view(m.shape[0], 64 + self.classes, -1) for m in maps], 2)
        box, scores = whole.split((64, self.classes), 1)
        points, strides = [], []
        for part, stride in zip(maps, (8.0, 16.0), strict=True):
            height, width = part.shape[2:]
            ys, xs = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
            points.append(torch.stack((xs, ys), -1).view(-1, 2))
            strides.append(torch.full((height * width, 1), stride))
        anchors, scale = torch.cat(points).t().unsqueeze(0), torch.cat(strides).t()
        batch, _, count = box.shape
        spread = self.distances(box.view(batch, 4, 16, count).transpose(2, 1).softmax(1)).view(batch, 4, count)
        near, far = spread.chunk(2, 1)
        low, high = anchors - near, anchors + far
        boxes = torch.cat(((low + high) / 2, high - low), 1) * scale
        return torch.cat((boxes, scores.sigmoid()), 1)


class EndToEnd(YoloHead):
    """The same, with the best boxes chosen inside by top-k and gather, as detectors without suppression do."""

    def forward(self, x: Tensor) -> Tensor:
        boxes, scores = super().forward(x).transpose(1, 2).split((4, self.classes), -1)
        _, best = torch.topk(scores.amax(-1), 8, -1)
        boxes = boxes.gather(1, best.unsqueeze(-1).repeat(1, 1, 4))
        scores = scores.gather(1, best.unsqueeze(-1).repeat(1, 1, self.classes))
        chosen, places = torch.topk(scores.flatten(1), 8, -1)
        boxes = boxes.gather(1, (places // self.classes).unsqueeze(-1).repeat(1, 1, 4))
        return torch.cat((boxes, chosen.unsqueeze(-1), (places % self.classes).unsqueeze(-1).float()), -1)


class Transformer(nn.Module):
    """Patches, attention, layer norm, GELU, a class token, two outputs, as transformers for detection have."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.norm = nn.LayerNorm(16)
        self.wide, self.narrow = nn.Linear(16, 32), nn.Linear(32, 16)
        self.boxes = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.patches(x).flatten(2).transpose(1, 2)
        y = torch.cat((self.token.expand(y.shape[0], -1, -1), y), 1)
        y = y + self.attention(y, y, y, need_weights=False)[0]
        y = self.norm(y + self.narrow(functional.gelu(self.wide(y))))
        return y[:, 0], self.boxes(y[:, 1:]).sigmoid()


class Segmenter(nn.Module):
    """Transposed convolution, group and instance norm, PReLU, pixel shuffle, resizes by two rules."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, 4, 1),
            nn.ConvTranspose2d(8, 8, 3, 2, 1, output_padding=1),
            nn.PReLU(8),
            nn.InstanceNorm2d(8, affine=True),
            nn.GroupNorm(4, 8),
            nn.Hardswish(),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y = self.body(x)
        return (
            functional.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=False),
            functional.interpolate(y, scale_factor=2, mode="bilinear", align_corners=True),
            functional.pixel_shuffle(functional.avg_pool2d(y, 3, 2, 1), 2),
        )


@pytest.mark.parametrize("opset", [11, 17, 20])
@pytest.mark.parametrize("kind", [YoloHead, EndToEnd, Segmenter])
def test_older_exports(kind: type[nn.Module], opset: int) -> None:
    torch.manual_seed(1)
    _agree(_legacy(kind(), (1, 3, 32, 32), opset))


def test_a_transformer() -> None:
    torch.manual_seed(1)
    _agree(_legacy(Transformer(), (1, 3, 32, 32), 17))


@pytest.mark.parametrize("name", ["classifier", "reader", "detector", "streaming"])
def test_our_own_exports(name: str) -> None:
    module = _agree(models.onnx_of(name))
    assert module.input_names == models.inputs(name)
    assert module.output_names == models.MODELS[name].OUTPUTS


@pytest.mark.parametrize(
    "layers", [nn.LSTM(4, 3, 2, bidirectional=True), nn.GRU(4, 3), nn.RNN(4, 3, bidirectional=True)]
)
def test_recurrent_layers_are_unrolled(layers: nn.RNNBase) -> None:
    class Run(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = layers

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.layers(x)[0]
            return y

    _agree(_legacy(Run(), (5, 1, 4), 17))


def test_shape_arithmetic_disappears() -> None:
    module = _agree(_legacy(YoloHead(), (1, 3, 32, 32), 11))
    left = {node.op for node in module.nodes}
    assert not left & {"Shape", "Range", "Expand", "ConstantOfShape", "Where", "Equal", "Unsqueeze"}


def test_shapes_from_shapes() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Slice", ["shape", "zero", "one"], ["batch"]),
        helper.make_node("Concat", ["batch", "minus"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["x", "wanted"], ["flat"]),
        helper.make_node("ConstantOfShape", ["wide"], ["ones"], value=numpy_helper.from_array(np.ones(1, np.float32))),
        helper.make_node("Size", ["x"], ["size"]),
        helper.make_node("Range", ["nought", "size", "step"], ["steps"]),
        helper.make_node("Cast", ["steps"], ["ramp"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["flat", "ones"], ["scaled"]),
        helper.make_node("Add", ["scaled", "ramp"], ["y"]),
    ]
    weights = {
        "zero": np.array([0]),
        "one": np.array([1]),
        "minus": np.array([-1]),
        "wide": np.array([1, 24]),
        "nought": np.array(0),
        "step": np.array(1),
    }
    module = _agree(_graph(nodes, {"x": (1, 2, 3, 4)}, ["y"], weights))
    assert [node.op for node in module.nodes] == ["Reshape", "Mul", "Add"]


def test_a_branch_on_a_shape_is_taken() -> None:
    def branch(op: str, name: str) -> onnx.GraphProto:
        return helper.make_graph(
            [helper.make_node(op, ["x"], [name])], op, [], [helper.make_empty_tensor_value_info(name)]
        )

    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "index"], ["width"]),
        helper.make_node("Equal", ["width", "three"], ["is_three"]),
        helper.make_node("If", ["is_three"], ["y"], then_branch=branch("Relu", "a"), else_branch=branch("Neg", "b")),
    ]
    weights = {"index": np.array(1), "three": np.array(3)}
    assert [node.op for node in _agree(_graph(nodes, {"x": (2, 3)}, ["y"], weights)).nodes] == ["Relu", "Identity"]
    assert [node.op for node in _agree(_graph(nodes, {"x": (2, 4)}, ["y"], weights)).nodes] == ["Neg", "Identity"]


def test_functions_are_written_out() -> None:
    body = [helper.make_node("Add", ["a", "a"], ["d"]), helper.make_node("Relu", ["d"], ["b"])]
    function = helper.make_function("my", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 18)])
    model = onnx.load_from_string(
        _graph(
            [
                helper.make_node("Twice", ["x"], ["t"], domain="my"),
                helper.make_node("MeanVarianceNormalization", ["t"], ["y"]),
            ],
            {"x": (1, 2, 3, 3)},
            ["y"],
        )
    )
    model.functions.append(function)
    _agree(model.SerializeToString())


def test_weights_among_the_inputs_are_weights() -> None:
    """As exporters wrote before 2019: every weight is an input too, and resizing is Upsample."""
    nodes = [
        helper.make_node("Upsample", ["x", "scales"], ["u"], mode="nearest"),
        helper.make_node("Mul", ["u", "w"], ["y"]),
    ]
    scales = np.array([1, 1, 2, 2], np.float32)
    model = onnx.load_from_string(
        _graph(nodes, {"x": (1, 1, 3, 3)}, ["y"], {"scales": scales, "w": np.ones((6, 6), np.float32)}, 9)
    )
    model.ir_version = 3
    for weight in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims))
    module, example = torch_from_onnx(model.SerializeToString())
    assert module.input_names == ("x",)
    assert module(*example).shape == (1, 1, 6, 6)


def test_doubles_become_floats() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["d"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["d", "w"], ["m"]),
        helper.make_node("Cast", ["m"], ["y"], to=TensorProto.FLOAT),
    ]
    module = _agree(_graph(nodes, {"x": (1, 3)}, ["y"], {"w": np.array([1.0, 2.0, 3.0])}))
    assert all(buffer.dtype == torch.float32 for buffer in module.buffers())


def test_outputs_that_are_inputs_or_constants() -> None:
    nodes = [helper.make_node("Identity", ["x"], ["same"]), helper.make_node("Neg", ["w"], ["minus"])]
    module = _agree(_graph(nodes, {"x": (1, 2)}, ["same", "minus"], {"w": np.ones(3, np.float32)}))
    assert len(module.nodes) == 1


def _refused(content: bytes) -> StepFailed:
    with pytest.raises(StepFailed) as caught:
        torch_from_onnx(content)
    assert caught.value.hint
    return caught.value


def test_an_unknown_op_is_named_with_its_node_and_the_others() -> None:
    nodes = [
        helper.make_node("Det", ["x"], ["d"], name="the_determinant"),
        helper.make_node("Foo", ["d"], ["y"], name="foo", domain="my"),
    ]
    message = _refused(_graph(nodes, {"x": (1, 2, 2)}, ["y"])).message
    assert "the op Det (node 'the_determinant')" in message
    assert "the graph also has Foo" in message


def test_suppression_inside_the_graph_says_how_to_export() -> None:
    nodes = [helper.make_node("NonMaxSuppression", ["b", "s"], ["y"])]
    assert "without NMS" in _refused(_graph(nodes, {"b": (1, 8, 4), "s": (1, 2, 8)}, ["y"])).hint


def test_a_quantised_model_asks_for_the_float_one() -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s"], ["y"]),
    ]
    assert "float model" in _refused(_graph(nodes, {"x": (1, 4)}, ["y"], {"s": np.float32(0.1)})).hint


def test_a_shape_from_data_is_refused() -> None:
    nodes = [
        helper.make_node("Cast", ["n"], ["shape"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["x", "shape"], ["y"], name="the_reshape"),
    ]
    message = _refused(_graph(nodes, {"x": (1, 4), "n": (2,)}, ["y"])).message
    assert "Reshape (node 'the_reshape')" in message
    assert "computed from the data" in message


def test_random_numbers_are_not_constants() -> None:
    nodes = [helper.make_node("RandomNormal", [], ["r"], shape=[1, 2]), helper.make_node("Add", ["x", "r"], ["y"])]
    assert "RandomNormal" in _refused(_graph(nodes, {"x": (1, 2)}, ["y"])).message


def test_an_open_size_is_refused() -> None:
    with pytest.raises(InputError, match="no fixed shape"):
        torch_from_onnx(_graph([helper.make_node("Relu", ["x"], ["y"])], {"x": ("n", 2)}, ["y"]))

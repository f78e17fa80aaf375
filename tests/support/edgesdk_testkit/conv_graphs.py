"""Graphs of convolutions for tests that count: as ONNX, and as preflight reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesdk_converters.preflight.graph import Graph, Op, Weight


def graph_of(
    ops: Sequence[Op],
    shapes: dict[str, tuple[int, ...]],
    weights: dict[str, tuple[int, ...]] | None = None,
    **more: Any,
) -> Graph:
    """Return a float graph whose last operation's output is the model's."""
    stored = {name: Weight(shape, "float32", 4 * int(np.prod(shape))) for name, shape in (weights or {}).items()}
    made = {name for op in ops for name in op.outputs}
    inputs = tuple(name for name in shapes if name not in made)
    dtypes = dict.fromkeys(shapes, "float32")
    return Graph(tuple(ops), shapes, dtypes, stored, inputs, (ops[-1].outputs[0],), 18, **more)


def op_of(op: str, inputs: str, outputs: str, **attributes: object) -> Op:
    """Return an operation; names are separated by spaces."""
    return Op(op, f"{op}_{outputs.split(maxsplit=1)[0]}", tuple(inputs.split()), tuple(outputs.split()), attributes)


class ConvOnnx:
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
    made = ConvOnnx((1, 3, 224, 224))
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
    made = ConvOnnx((1, 3, 32, 32))
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

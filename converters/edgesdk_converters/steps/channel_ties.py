"""Which channels of an ONNX graph's tensors must be scaled together, and which cannot be scaled at all.

A convolution gives each output channel a scale of its own, and takes one out of each input channel again. Between two of
them lie ops that keep a positive factor (Relu, pooling, resizing), that move channels (Concat, Slice, Reshape), or that
join them (Add): all channels that meet there share one factor. A channel that reaches anything else (an output, a
Sigmoid, a product of two tensors) keeps the factor 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnx

    Array = npt.NDArray[Any]

# f(a x) = a f(x) for a > 0, channel by channel.
_KEEPING = frozenset(
    {"Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Resize", "Identity"}
)
_MOVING = frozenset({"Concat", "Slice", "Split", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze"})
FIXED = 0


class ChannelTies:
    """The factors of a graph's channels, by number; number 0 is the factor 1.

    Args:
        model: with constants folded, and nodes in order.
        shapes: of the tensors, where they are known.
        constants: weights by name.
        layers: names of the nodes that can take factors: convolutions and products with weights of their own.

    Attributes:
        channels: tensor → its channels' numbers before ties, (C,); only those with a factor for each whole channel.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        shapes: Mapping[str, Sequence[int]],
        constants: Mapping[str, Array],
        layers: set[str],
    ) -> None:
        self.channels: dict[str, Array] = {}
        self._parent = [FIXED]
        self._elements: dict[str, Array] = {}
        self._shapes = shapes
        self._constants = constants
        self._opsets = model.opset_import
        for node in model.graph.node:
            self._pass(node, node.name in layers)
        for value in model.graph.output:
            self._fix(value.name)

    def of(self, tensor: str) -> Array:
        """Return the number of the factor of each channel of a tensor, (C,); zeros where it has none."""
        return np.array([self._root(int(number)) for number in self.channels[tensor]])

    @property
    def count(self) -> int:
        """How many numbers there are, those tied included."""
        return len(self._parent)

    def _pass(self, node: onnx.NodeProto, is_layer: bool) -> None:
        if is_layer and len(self._shapes.get(node.output[0], ())) >= 2:
            self._set(node.output[0], self._fresh(self._shapes[node.output[0]]))
            if node.input[0] not in self.channels:
                self._fix(node.input[0])  # its channels do not lie where the layer sums over them
        elif node.op_type in _KEEPING and node.input[0] in self.channels:
            self._set(node.output[0], self._as_channels(self.channels[node.input[0]], node.output[0]))
        elif node.op_type == "Add" and all(name in self.channels for name in node.input):
            first, second = (self.channels[name] for name in node.input)
            if len(first) == len(second):
                for a, b in zip(first, second, strict=True):
                    self._tie(int(a), int(b))
            else:
                self._fix(*node.input)
            self._set(node.output[0], self._as_channels(first, node.output[0]))
        elif not (node.op_type in _MOVING and self._moves(node)):
            self._fix(*node.input)

    def _moves(self, node: onnx.NodeProto) -> bool:
        """Follow each number through an op that only moves numbers; tell whether that could be done."""
        from onnx import helper
        from onnx.reference import ReferenceEvaluator

        moved = {name: self._elements[name] for name in node.input if name in self._elements}
        rest = {name: self._constants[name] for name in node.input if name in self._constants}
        if not moved or len({*moved, *rest}) != len({name for name in node.input if name}):
            return False
        feeds = {name: np.ascontiguousarray(array) for name, array in moved.items()} | rest
        values = [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in feeds.items()
        ]
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
        single = helper.make_model(helper.make_graph([node], "one", values, outputs), opset_imports=self._opsets)
        for name, value in zip(node.output, ReferenceEvaluator(single).run(None, feeds), strict=True):
            self._set(name, value)
        return True

    def _fresh(self, shape: Sequence[int]) -> Array:
        begin = len(self._parent)
        self._parent += range(begin, begin + shape[1])
        return _spread(np.arange(begin, begin + shape[1]), shape)

    def _as_channels(self, channels: Array, tensor: str) -> Array:
        return _spread(channels, self._shapes[tensor])

    def _set(self, tensor: str, elements: Array) -> None:
        self._elements[tensor] = elements
        if elements.ndim >= 2 and elements.shape[0] == 1:
            first = elements.reshape(elements.shape[1], -1)[:, 0]
            if (elements == first.reshape(1, -1, *([1] * (elements.ndim - 2)))).all():
                self.channels[tensor] = first
                self._elements[tensor] = _spread(first, elements.shape)

    def _fix(self, *tensors: str) -> None:
        for name in tensors:
            if name in self._elements:
                # Not np.unique over all elements: mostly they are one number for each channel.
                numbers = self.channels[name] if name in self.channels else np.unique(self._elements[name])
                for number in numbers:
                    self._tie(int(number), FIXED)

    def _root(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number

    def _tie(self, a: int, b: int) -> None:
        a, b = self._root(a), self._root(b)
        self._parent[max(a, b)] = min(a, b)


def _spread(channels: Array, shape: Sequence[int]) -> Array:
    return np.broadcast_to(channels.reshape(1, -1, *([1] * (len(shape) - 2))), tuple(shape))

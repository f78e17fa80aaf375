"""Where each channel of an ONNX graph comes from, through the ops that only pick channels and put them side by side.

A network of the ShuffleNet family mixes channels by taking every other one (`x[:, 0::2]`, a Slice with a step) and joining
them with new ones (Concat). No number changes on that way: each channel there is one channel of some earlier tensor, its origin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnx

    Array = npt.NDArray[Any]

# (tensor, number of its channel)
Channel = tuple[str, int]
_CHANNELS = 1  # the axis


class ChannelRoutes:
    """The channels of tensors with four axes, each by its origin.

    Args:
        graph: nodes in order.
        shapes: of the tensors, where they are known.
        constants: weights by name.

    Attributes:
        picks: Slices with a step over channels, by the tensor that they make.
        joins: Concats of channels, by the tensor that they make, in order.
    """

    def __init__(
        self, graph: onnx.GraphProto, shapes: Mapping[str, Sequence[int]], constants: Mapping[str, Array]
    ) -> None:
        self._shapes = shapes
        self._channels: dict[str, tuple[Channel, ...]] = {}
        self.picks: dict[str, onnx.NodeProto] = {}
        self.joins: dict[str, onnx.NodeProto] = {}
        steps = {n.output[0]: taken for n in graph.node if (taken := self._step(n, constants)) is not None}
        for node in graph.node:
            name = node.output[0] if node.output else ""
            if name in steps:
                self.picks[name] = node
                self._channels[name] = self.of(node.input[0])[steps[name]]
            elif self._joins_channels(node):
                self.joins[name] = node
                self._channels[name] = tuple(channel for part in node.input for channel in self.of(part))

    def of(self, tensor: str) -> tuple[Channel, ...]:
        """Return a tensor's channels in order; its own where it is an origin itself."""
        found = self._channels.get(tensor)
        return found if found is not None else tuple((tensor, number) for number in range(self.count(tensor)))

    def count(self, tensor: str) -> int:
        """Return how many channels a tensor has."""
        return int(self._shapes[tensor][_CHANNELS])

    def _step(self, node: onnx.NodeProto, constants: Mapping[str, Array]) -> slice | None:
        """Return what a Slice takes of the channels, where it takes it in steps and of nothing else."""
        if node.op_type != "Slice" or len(node.input) < 5 or not all(name in constants for name in node.input[1:]):
            return None
        if not self._is_picture(node.input[0]) or not self._is_picture(node.output[0]):
            return None
        starts, ends, axes, steps = (np.atleast_1d(constants[name]).tolist() for name in node.input[1:5])
        if axes not in ([_CHANNELS], [_CHANNELS - 4]) or steps[0] < 2 or starts[0] < 0:
            return None
        return slice(starts[0], ends[0], steps[0])

    def _joins_channels(self, node: onnx.NodeProto) -> bool:
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), None)
        return (
            node.op_type == "Concat" and axis in (_CHANNELS, _CHANNELS - 4) and all(map(self._is_picture, node.input))
        )

    def _is_picture(self, tensor: str) -> bool:
        return len(self._shapes.get(tensor, ())) == 4

"""Float ONNX → the same answers, with channels in such an order that those chosen together lie side by side.

A ShuffleNet takes every other channel of a tensor in each of its blocks. Where channels are innermost in memory (OpenVINO, and
LiteRT, whose XNNPACK refuses such steps and is broken up by them) that is a copy number by number, which takes as long as
the convolutions. But the order in which a convolution writes its channels is free as long as its readers know it. So:

- a convolution that is only chosen from writes its channels by how long they are passed on;
- what is passed on of a tensor is then a few runs of channels, copied as such;
- a convolution that takes the chosen ones reads the whole tensor, with weights of nought for the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgesdk_converters.framework_edge import framework_edge
from edgesdk_converters.steps.channel_orders import UNARY, channel_orders
from edgesdk_converters.steps.channel_routes import Channel, ChannelRoutes
from edgesdk_converters.steps.int8_onnx_prepare import known_shapes
from edgesdk_converters.steps.node_order import names_in, replace_nodes, unused_name
from edgesdk_converters.steps.node_reading import mentioned
from edgesdk_converters.steps.parse_onnx import parse_onnx

if TYPE_CHECKING:
    import onnx

    Array = npt.NDArray[Any]

_HINT = "Export the model again; `python -m onnx.checker` may tell more."
# Each channel alone, whatever their order.
_EACH_ALONE = UNARY | {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Resize", "Identity"}


def contiguous_channels(model: bytes) -> bytes:
    """Return the model with channels in another order inside; the same bytes where none are taken in steps.

    Args:
        model: a float ONNX file's bytes, with fixed sizes; every node has a name of its own, which it keeps.

    Raises:
        InputError: it is no ONNX model.
        StepFailed: onnx cannot read it.
    """
    with framework_edge("contiguous_channels", hint=_HINT):
        import onnx
        from onnx import numpy_helper

        parsed = parse_onnx(model)
        shapes = dict(known_shapes(onnx.shape_inference.infer_shapes(parsed, data_prop=True).graph))
        constants = {weight.name: numpy_helper.to_array(weight) for weight in parsed.graph.initializer}
        routes = ChannelRoutes(parsed.graph, shapes, constants)
        if not routes.picks:
            return model
        try:
            _Reordering(parsed.graph, routes, constants).apply()
        except _OrderMatters:
            return model
        return bytes(parsed.SerializeToString(deterministic=True))


class _OrderMatters(Exception):
    """A reader takes the channels in their own order only."""


class _Reordering:
    """One graph, and how each of its tensors holds its channels in memory."""

    def __init__(self, graph: onnx.GraphProto, routes: ChannelRoutes, constants: dict[str, Array]) -> None:
        self._graph = graph
        self._routes = routes
        self._constants = constants
        # Tensor → its channels as they lie, where that is not their own order.
        self._held: dict[str, tuple[Channel, ...]] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._new: dict[str, Array] = {}
        self._taken = names_in(graph)
        layers = {
            n.name: _groups(n) for n in graph.node if n.op_type == "Conv" and set(n.input[1:]) <= {"", *constants}
        }
        self._layers = layers
        self._orders = channel_orders(graph, routes, layers)

    def apply(self) -> None:
        """Rewrite the graph in place.

        Raises:
            _OrderMatters: it cannot be done; the graph is as it was.
        """
        for node in self._graph.node:
            self._pass(node)
        if any(self._is_moved(value.name) for value in self._graph.output):
            raise _OrderMatters
        self._write()

    def _pass(self, original: onnx.NodeProto) -> None:
        node = type(original).FromString(original.SerializeToString())
        name = node.output[0] if node.output else ""
        if name in self._routes.picks:
            return  # its readers take it from where it is held
        if name in self._routes.joins:
            self._join(node)
        elif self._layers.get(node.name) == 1:
            self._read_in_order(node)
            self._write_in_order(node)
        elif any(self._is_moved(tensor) for tensor in mentioned(node)):
            self._follow(node)
        self._nodes.append(node)

    def _join(self, node: onnx.NodeProto) -> None:
        """Join runs of what holds the parts."""
        from onnx import helper

        pieces: list[str] = []
        held: list[Channel] = []
        for part in node.input:
            holder = self._holder(part)
            lying, wanted = self._lying(holder), set(self._routes.of(part))
            for begin, end in _runs([channel in wanted for channel in lying]):
                held += lying[begin:end]
                if end - begin == len(lying):
                    pieces.append(holder)
                    continue
                pieces.append(unused_name(f"{node.output[0]}/part{len(pieces)}", self._taken))
                bounds = [
                    self._constant(f"{pieces[-1]}/{key}", np.array([value], np.int64))
                    for key, value in (("begin", begin), ("end", end), ("axis", 1))
                ]
                self._nodes.append(helper.make_node("Slice", [holder, *bounds], [pieces[-1]], name=pieces[-1]))
        if len({*held}) != self._routes.count(node.output[0]):
            raise _OrderMatters  # a channel that is there twice has no place of its own
        node.input[:] = pieces
        self._hold(node.output[0], tuple(held))

    def _read_in_order(self, node: onnx.NodeProto) -> None:
        """Let a convolution take its channels from where they lie; those beside them have weights of nought."""
        tensor = node.input[0]
        if not self._is_moved(tensor):
            return
        node.input[0] = self._holder(tensor)
        places = {channel: place for place, channel in enumerate(self._routes.of(tensor))}
        lying = [places.get(channel, -1) for channel in self._lying(node.input[0])]
        weights = self._weights(node, 1)
        padded = np.concatenate([weights, np.zeros_like(weights[:, :1])], axis=1)
        node.input[1] = self._constant(f"{node.name}/weights", padded[:, lying])

    def _write_in_order(self, node: onnx.NodeProto) -> None:
        order = self._orders.get(node.name)
        if order is not None:
            self._write_channels(node, order)

    def _follow(self, node: onnx.NodeProto) -> None:
        """Let a node that works on each channel alone keep the order that it reads."""
        tensor = node.input[0]
        depthwise = self._layers.get(node.name) == len(self._routes.of(tensor)) == self._routes.count(node.output[0])
        alone = depthwise or node.op_type in _EACH_ALONE
        if not alone or tensor in self._routes.picks or any(self._is_moved(name) for name in mentioned(node)[1:]):
            raise _OrderMatters
        places = {channel: place for place, channel in enumerate(self._routes.of(tensor))}
        order = [places[channel] for channel in self._lying(tensor)]
        if depthwise:
            self._write_channels(node, order)
        else:
            self._hold(node.output[0], tuple((node.output[0], place) for place in order))

    def _write_channels(self, node: onnx.NodeProto, order: list[int]) -> None:
        node.input[1] = self._constant(f"{node.name}/weights", self._weights(node, 1)[order])
        if len(node.input) > 2 and node.input[2]:
            node.input[2] = self._constant(f"{node.name}/bias", self._weights(node, 2)[order])
        self._hold(node.output[0], tuple((node.output[0], place) for place in order))

    def _weights(self, node: onnx.NodeProto, slot: int) -> Array:
        name = node.input[slot]
        return self._new[name] if name in self._new else self._constants[name]

    def _holder(self, tensor: str) -> str:
        """Return the tensor in memory that holds another one's channels."""
        while tensor in self._routes.picks:
            tensor = self._routes.picks[tensor].input[0]
        return tensor

    def _lying(self, tensor: str) -> tuple[Channel, ...]:
        return self._held.get(tensor) or self._routes.of(tensor)

    def _hold(self, tensor: str, channels: tuple[Channel, ...]) -> None:
        if channels != self._routes.of(tensor):
            self._held[tensor] = channels

    def _is_moved(self, tensor: str) -> bool:
        return tensor in self._routes.picks or tensor in self._held

    def _constant(self, wanted: str, array: Array) -> str:
        name = unused_name(wanted, self._taken)
        self._new[name] = np.ascontiguousarray(array)
        return name

    def _write(self) -> None:
        from onnx import numpy_helper

        replace_nodes(self._graph, self._nodes)
        read = {name for node in self._nodes for name in mentioned(node)}
        kept = [weight for weight in self._graph.initializer if weight.name in read]
        kept = [type(weight).FromString(weight.SerializeToString()) for weight in kept]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)
        self._graph.initializer.extend(
            numpy_helper.from_array(a, name) for name, a in self._new.items() if name in read
        )
        del self._graph.value_info[:]  # of the old order


def _groups(node: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)


def _runs(marks: list[bool]) -> list[tuple[int, int]]:
    """Return begin and end of each run of True."""
    edges = np.flatnonzero(np.diff([False, *marks, False]))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]

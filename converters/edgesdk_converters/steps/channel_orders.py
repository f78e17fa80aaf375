"""In which order a convolution should write its channels, so that what is chosen of them later lies side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgesdk_converters.steps.channel_routes import Channel, ChannelRoutes
from edgesdk_converters.steps.node_reading import mentioned

if TYPE_CHECKING:
    import onnx

# One number in, one number out: the order of channels does not matter to them.
UNARY = frozenset({"Relu", "LeakyRelu", "Clip", "Sigmoid", "HardSwish"})


def channel_orders(graph: onnx.GraphProto, routes: ChannelRoutes, layers: Mapping[str, int]) -> dict[str, list[int]]:
    """Return the order for each convolution that may write its channels in any.

    The order is by how long a channel is passed on. Of two tensors that are joined side by side one has it turned round, so that
    what stays of both lies side by side, too.

    Args:
        layers: names of the convolutions whose weights are constants → their groups.

    Returns:
        name of the node → numbers of its channels, in the order in which they are to be written.
    """
    last: dict[Channel, int] = {}
    for place, name in enumerate(routes.joins):
        last |= dict.fromkeys(routes.of(name), place)
    chosen = {channel for pick in routes.picks for channel in routes.of(pick)}
    free = {tensor: node for tensor, node in _free(graph, routes, layers).items() if chosen & {*routes.of(tensor)}}
    orders: dict[str, list[int]] = {}
    # Join → whether its last part has what stays at its end.
    stays_last: dict[str, bool] = {}
    for name, join in routes.joins.items():
        turn = False
        for part in join.input:
            if part in routes.picks:
                turn = stays_last.get(routes.picks[part].input[0], False)
            elif part in free:
                leaves = [last[channel] for channel in routes.of(part)]
                ascending = sorted(range(len(leaves)), key=leaves.__getitem__)
                orders[free[part]] = ascending[::-1] if turn else ascending
                turn = not turn
        stays_last[name] = turn
    return orders


def _free(graph: onnx.GraphProto, routes: ChannelRoutes, layers: Mapping[str, int]) -> dict[str, str]:
    """Return the tensors that are only joined, and come from a convolution alone, with its name."""
    made = {name: node for node in graph.node for name in node.output}
    readers: dict[str, list[str]] = {value.name: ["the graph's own"] for value in graph.output}
    for node in graph.node:
        for name in mentioned(node):
            readers.setdefault(name, []).append(node.output[0])
    free: dict[str, str] = {}
    for tensor in {part for join in routes.joins.values() for part in join.input} - set(routes.picks):
        node = made.get(tensor)
        while node is not None and node.op_type in UNARY and len(readers[node.input[0]]) == 1:
            node = made.get(node.input[0])
        if node is not None and layers.get(node.name) == 1 and all(name in routes.joins for name in readers[tensor]):
            free[tensor] = node.name
    return free

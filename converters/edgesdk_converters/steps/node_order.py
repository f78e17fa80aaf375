"""Names and order of an ONNX graph's nodes: each its own name, and each behind what it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesdk_converters.steps.node_reading import mentioned

if TYPE_CHECKING:
    import onnx


def name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node a name of its own, in place: tools tell nodes apart by it. The first that has one keeps it."""
    given = {node.name for node in graph.node}
    seen: set[str] = set()
    for place, node in enumerate(graph.node):
        if not node.name or node.name in seen:
            node.name = unused_name(f"{node.op_type}_{place}_{next(iter(node.output), '')}", given)
        seen.add(node.name)


def unused_name(wanted: str, taken: set[str]) -> str:
    """Return a name that is not taken, the wanted one or that with a number, and note it as taken."""
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}/{number}", number + 1
    taken.add(name)
    return name


def names_in(graph: onnx.GraphProto) -> set[str]:
    """Return all names that nodes, tensors and constants of a graph have, those of graphs inside its nodes too."""
    found = {value.name for value in [*graph.input, *graph.output, *graph.initializer]}
    for node in graph.node:
        found.update([node.name, *node.input, *node.output])
        for attribute in node.attribute:
            for inner in [attribute.g, *attribute.graphs]:
                found |= names_in(inner)
    return found


def with_named_nodes(content: bytes) -> bytes:
    """Return the model with a name of its own for every node; the same bytes where each has one."""
    from edgesdk_converters.steps.parse_onnx import parse_onnx

    model = parse_onnx(content)
    names = [node.name for node in model.graph.node]
    if all(names) and len(set(names)) == len(names):
        return content
    name_nodes(model.graph)
    named: bytes = model.SerializeToString(deterministic=True)
    return named


def names_of_nodes(content: bytes) -> frozenset[str]:
    """Return the names of a model's nodes."""
    from edgesdk_converters.steps.parse_onnx import parse_onnx

    return frozenset(node.name for node in parse_onnx(content).graph.node)


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Put every node behind what it reads, in place, as the format demands, and otherwise in the old order.

    Every node has a name of its own.
    """
    made = {name: node for node in graph.node for name in node.output}
    order: list[onnx.NodeProto] = []
    done: set[str] = set()
    for last in graph.node:
        stack = [last]
        while stack:
            node = stack[-1]
            waiting = [made[name] for name in mentioned(node) if name in made and made[name].name not in done]
            if waiting and node.name not in done:
                stack.extend(waiting)
                continue
            stack.pop()
            if node.name not in done:
                done.add(node.name)
                order.append(node)
    replace_nodes(graph, order)


def replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Let the graph have these nodes, which may be its own, and no others."""
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)

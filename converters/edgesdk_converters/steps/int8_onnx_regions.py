"""Which nodes of an ONNX graph are quantised: the body, and not what comes before it or decodes after it.

Rule: 8 bits are for what lies between convolutions and matrix products. What follows the last of them (sigmoid, softmax,
joining boxes with scores, box arithmetic) stays float in every tier, so that boxes and scores never share a scale; so
does a product that only decodes (the weighted sum behind a softmax of box distances). The head, which the second tier
leaves in float too, is the last products and everything behind them.
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from edgesdk_converters.steps.node_order import name_nodes
from edgesdk_converters.steps.node_reading import mentioned
from edgesdk_converters.steps.parse_onnx import parse_onnx
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    import onnx

PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
RECURRENT = frozenset({"GRU", "LSTM", "RNN"})
_HEAVY = PRODUCTS | RECURRENT
# Ops that only move values.
MOVES = frozenset({"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity"})
_PARTS = frozenset({"Split", "Slice", "Gather"})


def nodes_matching(model: bytes, patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the nodes that match a pattern (`*`, `?`, `[...]`), in the graph's order.

    Raises:
        InputError: a pattern matches no node; the hint lists names that come near.
    """
    graph = parse_onnx(model).graph
    name_nodes(graph)
    names = [node.name for node in graph.node]
    found: set[str] = set()
    for pattern in patterns:
        matching = [name for name in names if name == pattern or fnmatch.fnmatchcase(name, pattern)]
        if not matching:
            near = difflib.get_close_matches(pattern.strip("*"), names, n=5, cutoff=0.3) or names[:5]
            raise InputError(
                f"No node of the model matches {pattern!r}.",
                hint=f"Nodes have names like {', '.join(near)}; `--explain` lists them all.",
            )
        found.update(matching)
    return tuple(name for name in names if name in found)


def head_nodes(model: bytes, outputs: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of the last convolutions and matrix products and of everything behind them.

    Args:
        outputs: only what leads to these outputs of the graph; all of them where none is given.

    Raises:
        InputError: the graph has no such output.
    """
    graph = parse_onnx(model).graph
    name_nodes(graph)
    known = [value.name for value in graph.output]
    if unknown := sorted(set(outputs) - set(known)):
        raise InputError(f"The model has no output {unknown[0]!r}.", hint=f"Its outputs are: {', '.join(known)}.")
    tail = tail_nodes(graph)
    wanted = set(outputs or known)
    head = set()
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            if node.name in tail or node.op_type in _HEAVY:
                head.add(node.name)
            if node.name in tail:
                wanted.update(mentioned(node))
    last = {node.name for node in graph.node if node.name in head and node.op_type in _HEAVY}
    leads_on = _leads_to_heavy(graph, tail)
    return tuple(
        node.name for node in graph.node if node.name in head and not (node.name in last and node.name in leads_on)
    )


def depthwise_nodes(model: bytes) -> tuple[str, ...]:
    """Return the names of the convolutions with as many groups as output channels, in the graph's order."""
    graph = parse_onnx(model).graph
    name_nodes(graph)
    outputs = {weight.name: weight.dims[0] for weight in graph.initializer if weight.dims}
    return tuple(
        node.name
        for node in graph.node
        if node.op_type == "Conv"
        and next((a.i for a in node.attribute if a.name == "group"), 1) == outputs.get(node.input[1])
        and outputs[node.input[1]] > 1
    )


def tail_nodes(graph: onnx.GraphProto) -> set[str]:
    """Return the names of the nodes that only decode: no convolution, product or recurrent layer follows."""
    made = {name: node for node in graph.node for name in node.output}
    feeds_heavy: set[str] = set()
    tail = set()
    for node in reversed(graph.node):
        read_on = bool(feeds_heavy.intersection(node.output))
        if read_on or (node.op_type in _HEAVY and not _decodes(node, made)):
            feeds_heavy.update(mentioned(node))
        else:
            tail.add(node.name)
    return tail


def front_nodes(graph: onnx.GraphProto) -> set[str]:
    """Return the names of the nodes before the first convolution or product: the model's own preparation of its input."""
    behind: set[str] = set()
    front = set()
    for node in graph.node:
        if node.op_type in _HEAVY or behind.intersection(mentioned(node)):
            behind.update(node.output)
        else:
            front.add(node.name)
    return front


def layers_with_weights(graph: onnx.GraphProto) -> set[str]:
    """Return the names of the convolutions and products whose weights are constants, and whose bias is one or none."""
    constants = {weight.name: weight for weight in graph.initializer if weight.data_type == weight.FLOAT}
    found = set()
    for node in graph.node:
        if node.op_type not in PRODUCTS or node.input[1] not in constants:
            continue
        flags = {attribute.name: attribute.i for attribute in node.attribute}
        plain = len(node.input) < 3 or not node.input[2] or len(getattr(constants.get(node.input[2]), "dims", ())) == 1
        matrix = node.op_type != "MatMul" or len(constants[node.input[1]].dims) == 2
        grouped = node.op_type == "ConvTranspose" and flags.get("group", 1) != 1
        if plain and matrix and not grouped and not flags.get("transA"):
            found.add(node.name)
    return found


def layers_of_file(raw: onnx.GraphProto, prepared: onnx.GraphProto, ops: Collection[str]) -> set[str]:
    """Return the layers whose weights and bias are the file's own, and read by nobody else: they may be given others.

    Args:
        raw, prepared: the graph as it is in the file, and made ready to be quantised.
    """
    own = {weight.name for weight in raw.initializer}
    read = [name for node in raw.node for name in node.input]
    able = layers_with_weights(prepared)
    return {
        node.name
        for node in prepared.node
        if node.name in able
        and node.op_type in ops
        and all(name in own and read.count(name) == 1 for name in node.input[1:] if name)
    }


def mixed_heads(graph: onnx.GraphProto, tail: Iterable[str]) -> set[str]:
    """Return the last convolutions whose channels are different kinds of numbers: the tail takes them apart.

    Their one output would have one scale for boxes and scores.
    """
    tail = set(tail)
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return {
        node.name
        for node in graph.node
        if node.op_type in PRODUCTS and node.name not in tail and _taken_apart(node.output[0], readers, tail)
    }


def _taken_apart(name: str, readers: dict[str, list[onnx.NodeProto]], tail: set[str]) -> bool:
    """Tell whether a tensor reaches a split or a slice before it is joined with another."""
    waiting, seen = [name], {name}
    while waiting:
        for node in readers.get(waiting.pop(), []):
            if node.name not in tail or node.op_type == "Concat":
                continue
            if node.op_type in _PARTS:
                return True
            waiting += [output for output in node.output if output not in seen]
            seen.update(node.output)
    return False


def _decodes(node: onnx.NodeProto, made: dict[str, onnx.NodeProto]) -> bool:
    """Tell whether a product's input comes straight from a softmax: the mean of a distribution over box distances."""
    if node.op_type not in PRODUCTS:
        return False
    before = made.get(node.input[0])
    while before is not None and before.op_type in MOVES:
        before = made.get(before.input[0])
    return before is not None and before.op_type == "Softmax"


def _leads_to_heavy(graph: onnx.GraphProto, tail: set[str]) -> set[str]:
    """Return the nodes behind which another convolution or product comes."""
    read: set[str] = set()
    leading = set()
    for node in reversed(graph.node):
        if read.intersection(node.output):
            leading.add(node.name)
            read.update(mentioned(node))
        elif node.op_type in _HEAVY and node.name not in tail:
            read.update(mentioned(node))
    return leading

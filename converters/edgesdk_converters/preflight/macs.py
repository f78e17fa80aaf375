"""Count multiplications with addition (MACs), by the definition of each operator (pure).

Counted are the operators in which a model's work lies: convolutions, matrix products, recurrent layers. Additions of a
bias, activations, pooling and normalisation (which converters build into the convolution) are not MACs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgesdk_converters.preflight.graph import Graph, Op, Shape


@dataclass(frozen=True, slots=True)
class Macs:
    """The work of one inference.

    Attributes:
        by_op: operator → MACs.
        by_node: node's name → MACs; nodes without any are left out.
        uncounted: nodes whose sizes are not known.
    """

    by_op: Mapping[str, int]
    by_node: Mapping[str, int]
    uncounted: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return sum(self.by_op.values())


def count_macs(graph: Graph) -> Macs:
    """Count the MACs of one inference."""
    by_op: Counter[str] = Counter()
    by_node: Counter[str] = Counter()
    uncounted = []
    for op in graph.ops:
        rule = RULES.get(op.op)
        if rule is None:
            continue
        try:
            count = rule(op, _Sizes(graph, op))
        except _UnknownSizeError:
            uncounted.append(op.name)
            continue
        by_op[op.op] += count
        by_node[op.name] += count
    return Macs(dict(by_op.most_common()), dict(by_node), tuple(uncounted))


class _UnknownSizeError(Exception):
    """A size that the count needs is not known."""


class _Sizes:
    """The sizes of one operation's values."""

    def __init__(self, graph: Graph, op: Op) -> None:
        self._graph = graph
        self._op = op

    def input(self, index: int) -> Shape:
        return self._of(self._op.inputs[index] if index < len(self._op.inputs) else "")

    def output(self) -> Shape:
        return self._of(self._op.outputs[0])

    def _of(self, name: str) -> Shape:
        weight = self._graph.weights.get(name)
        shape = weight.shape if weight is not None else self._graph.shapes.get(name)
        if shape is None:
            raise _UnknownSizeError
        return shape


def _convolution(weight: int) -> Callable[[Op, _Sizes], int]:
    """Each output takes one filter: (channels / groups) x kernel."""
    return lambda _op, sizes: math.prod(sizes.output()) * math.prod(sizes.input(weight)[1:])


def _transposed(_op: Op, sizes: _Sizes) -> int:
    """Each input is spread by one filter: (output channels / groups) x kernel."""
    return math.prod(sizes.input(0)) * math.prod(sizes.input(1)[1:])


def _gemm(op: Op, sizes: _Sizes) -> int:
    rows = sizes.input(0)
    return math.prod(sizes.output()) * rows[0 if op.attributes.get("transA") else 1]


def _product(op: Op, sizes: _Sizes) -> int:
    left = sizes.input(0)
    if len(sizes.input(_second_factor(op))) == 1 and len(left) == 1:
        return left[0]
    return math.prod(sizes.output()) * left[-1]


def _second_factor(op: Op) -> int:
    return 3 if op.op == "QLinearMatMul" else 1


def _recurrent(_op: Op, sizes: _Sizes) -> int:
    """Each step of each sequence takes all weights once: W (directions, gates x hidden, input) and R likewise."""
    steps, batch, _ = sizes.input(0)
    return steps * batch * (math.prod(sizes.input(1)) + math.prod(sizes.input(2)))


def _einsum(op: Op, sizes: _Sizes) -> int:
    """The product of the sizes of all letters."""
    equation = op.attributes.get("equation", b"")
    text = equation.decode() if isinstance(equation, bytes) else str(equation)
    terms = text.replace(" ", "").split("->")[0].split(",")
    if "." in text or len(terms) < 2:
        raise _UnknownSizeError
    letters: dict[str, int] = {}
    for index, term in enumerate(terms):
        letters.update(zip(term, sizes.input(index), strict=True))
    return math.prod(letters.values())


RULES: Mapping[str, Callable[[Op, _Sizes], int]] = {
    "Conv": _convolution(1),
    "ConvInteger": _convolution(1),
    "DeformConv": _convolution(1),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed,
    "Gemm": _gemm,
    "MatMul": _product,
    "MatMulInteger": _product,
    "QLinearMatMul": _product,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    "Einsum": _einsum,
}

"""A model's graph as plain values: what the counting and the verdicts work on, without any library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Op:
    """One operation.

    Attributes:
        op: ONNX operator, with its domain before it where that is not ONNX's own.
        inputs: names of values; "" for an optional one that is absent.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor stored in the file.

    Attributes:
        nan, infinite: how many of its numbers are none, or infinite.
    """

    shape: Shape
    dtype: str
    size_bytes: int
    nan: int = 0
    infinite: int = 0

    @property
    def count(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Graph:
    """A model.

    Attributes:
        ops: in an order in which each finds its inputs; those that only compute with constants are left out.
        shapes, dtypes: of every value whose size and type are known.
        inputs: the model's own, without weights.
        opset: of ONNX's own operators.
        nested: operations inside loops and branches, which are not looked into.
    """

    ops: tuple[Op, ...]
    shapes: Mapping[str, Shape]
    dtypes: Mapping[str, str]
    weights: Mapping[str, Weight]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    opset: int
    nested: int = 0

    @property
    def parameters(self) -> int:
        """Return how many numbers were trained: the elements of all stored tensors of floats but single numbers."""
        return sum(w.count for w in self.weights.values() if w.dtype.startswith(("float", "bfloat")) and w.shape)

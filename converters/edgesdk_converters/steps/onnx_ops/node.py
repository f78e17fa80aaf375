"""One ONNX node as an operator sees it: attributes with their type, and the inputs that are constant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgesdk_targets.errors import StepFailed

Array: TypeAlias = npt.NDArray[Any]
Operator: TypeAlias = Callable[..., Any]  # (Node, *tensors) -> a tensor, or a tuple with one for each output


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of an ONNX graph.

    Attributes:
        op: operator, e.g. `Conv`.
        name: as in the file, or made from the first output where the file has none.
        inputs: names of values; an optional input that is absent is "".
        outputs: names of values; an output that nobody asked for is "".
        attributes: by name; tensors as arrays.
        constants: the inputs whose value is known before anything runs, by position.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, object] = field(default_factory=dict)
    constants: Mapping[int, Array] = field(default_factory=dict)

    def refuse(self, why: str, *, hint: str = "") -> StepFailed:
        """Return the error that says this node cannot be converted; the caller raises it."""
        return StepFailed(
            f"torch_from_onnx: {self.op} (node {self.name!r}): {why}.",
            hint=hint or "Keep ONNX Runtime or OpenVINO for this model, or export it without that operator.",
        )

    def integer(self, attribute: str, default: int) -> int:
        """Return an integer attribute."""
        value = self.attributes.get(attribute, default)
        return int(value)  # type: ignore[call-overload, no-any-return]

    def number(self, attribute: str, default: float) -> float:
        """Return a float attribute."""
        value = self.attributes.get(attribute, default)
        return float(value)  # type: ignore[arg-type]

    def text(self, attribute: str, default: str) -> str:
        """Return a string attribute."""
        value = self.attributes.get(attribute, default)
        return value.decode() if isinstance(value, bytes) else str(value)

    def integers(self, attribute: str) -> list[int] | None:
        """Return a list-of-integers attribute; None where the node has none."""
        value = self.attributes.get(attribute)
        return None if value is None else [int(item) for item in value]  # type: ignore[attr-defined]

    def has(self, index: int) -> bool:
        """Tell whether the optional input at this position is given."""
        return index < len(self.inputs) and bool(self.inputs[index])

    def array(self, index: int, what: str) -> Array:
        """Return a constant input.

        Raises:
            StepFailed: its value is computed from the model's input.
        """
        if index not in self.constants:
            raise self.refuse(f"{what} computed from the data the model sees, not known beforehand")
        return self.constants[index]

    def known(self, index: int, what: str) -> list[Any] | None:
        """Return a constant input as a flat list; None where it is not given."""
        if not self.has(index):
            return None
        found: list[Any] = np.atleast_1d(self.array(index, what)).reshape(-1).tolist()
        return found

    def axes(self, rank: int, index: int = 1) -> list[int] | None:
        """Return the axes, counted from the front, from the attribute (old operators) or the input (new ones)."""
        given: Sequence[int] | None = self.integers("axes")
        if given is None:
            given = self.known(index, "axes")
        return None if given is None else [int(axis) % rank for axis in given]

"""Read a `.tflite` as a graph: its operations, constants, and which of them follow the last layers with weights.

An operation is known by the name of its first output, which is unique in a file.
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesdk_converters.framework_edge import needs
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

# Operations whose second input is a weight, and the axis of its output channels.
LAYERS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}
_ARITHMETIC = {"CAST", "ADD", "SUB", "MUL", "DIV", "TRANSPOSE"}
_WEIGHTED = {*LAYERS, "TRANSPOSE_CONV", "CONV_3D", "BATCH_MATMUL"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        kind: e.g. `CONV_2D`.
        inputs, outputs: numbers of tensors; absent inputs are left out.
    """

    name: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class LiteRtGraph:
    """The main graph of a LiteRT model.

    Raises:
        InputError: it is no `.tflite`, or has more than one graph (branches, loops).
    """

    def __init__(self, content: bytes) -> None:
        with needs("ai-edge-litert", extra="litert"):
            from ai_edge_litert.tools import flatbuffer_utils

        if content[4:8] != b"TFL3":
            raise InputError("This is not a .tflite file.", hint="Give the file that the LiteRT converter wrote.")
        self._tools: Any = flatbuffer_utils
        self._model: Any = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
        graph = self._model.subgraphs[0]
        self._tensors: Sequence[Any] = graph.tensors
        self.inputs = tuple(int(number) for number in graph.inputs)
        self.outputs = tuple(int(number) for number in graph.outputs)
        self.operations = tuple(self._operation(operator) for operator in graph.operators)

    def _operation(self, operator: Any) -> Operation:
        kind = self._tools.opcode_to_name(self._model, operator.opcodeIndex) or "CUSTOM"
        inputs = tuple(int(number) for number in operator.inputs if number >= 0)
        outputs = tuple(int(number) for number in operator.outputs)
        return Operation(self.name_of(outputs[0]) if outputs else "", kind, inputs, outputs)

    def name_of(self, tensor: int) -> str:
        return str(self._tensors[tensor].name.decode())

    def constant(self, tensor: int) -> Array | None:
        """Return a float tensor's own values; None where it has none, or is of another type."""
        about = self._tensors[tensor]
        data = self._model.buffers[about.buffer].data
        if data is None or len(data) == 0 or about.type != self._tools.TensorType.FLOAT32:
            return None
        return np.frombuffer(bytes(data), np.float32).reshape([int(size) for size in about.shape])

    def set_constant(self, tensor: int, values: Array) -> None:
        """Replace a float tensor's values; others that shared them keep theirs."""
        fresh = type(self._model.buffers[0])()
        fresh.data = np.frombuffer(values.astype(np.float32).tobytes(), np.uint8)
        self._model.buffers.append(fresh)
        self._tensors[tensor].buffer = len(self._model.buffers) - 1

    def content(self) -> bytes:
        """Return the model as a file."""
        return bytes(self._tools.convert_object_to_bytearray(self._model))

    def layers(self) -> tuple[Operation, ...]:
        """Return the operations with float weights of their own, in order."""
        return tuple(
            op
            for op in self.operations
            if op.kind in LAYERS and len(op.inputs) > 1 and self.constant(op.inputs[1]) is not None
        )

    def tail(self) -> frozenset[str]:
        """Return the names of the operations behind which no layer with weights comes."""
        wanted: set[int] = set()
        found = set()
        for op in reversed(self.operations):
            if op.kind in _WEIGHTED or wanted.intersection(op.outputs):
                wanted.update(op.inputs)
            else:
                found.add(op.name)
        return frozenset(found)

    def pixel_arithmetic(self) -> frozenset[str]:
        """Return the names of the operations that make pixels into the floats of the first layer."""
        made = {t for t in self.inputs if self._tensors[t].type == self._tools.TensorType.UINT8}
        found = set()
        for op in self.operations:
            if op.kind in _ARITHMETIC and made.intersection(op.inputs):
                made.update(op.outputs)
                found.add(op.name)
        return frozenset(found)

    def without_weights(self, floats: Collection[str]) -> frozenset[str]:
        """Return the names of the operations without weights, but of padding that becomes a part of layers in 8 bits.

        Args:
            floats: names of the operations that stay in float.
        """
        quantised = {t for op in self.operations if op.kind in _WEIGHTED and op.name not in floats for t in op.inputs}
        read = {t for op in self.operations if op.kind not in _WEIGHTED or op.name in floats for t in op.inputs}
        inside = quantised - read - set(self.outputs)
        return frozenset(
            op.name
            for op in self.operations
            if op.kind not in _WEIGHTED and not (op.kind == "PAD" and inside.issuperset(op.outputs))
        )

    def read_outputs(self) -> frozenset[str]:
        """Return the names of the operations that make or read what leaves the model and is read inside too (a state)."""
        read = {t for op in self.operations for t in op.inputs}
        leaving = read.intersection(self.outputs)
        return frozenset(op.name for op in self.operations if leaving.intersection((*op.outputs, *op.inputs)))

    def matching(self, patterns: Iterable[str]) -> frozenset[str]:
        """Return the names of operations that some pattern (`*` is anything) fits, or is a part of the path of.

        Raises:
            InputError: a pattern fits none; near names are listed.
        """
        names = [op.name for op in self.operations]
        return frozenset(name for pattern in patterns for name in _fitting(pattern, names))


def _fitting(pattern: str, names: Collection[str]) -> list[str]:
    found = [name for name in names if name == pattern or fnmatch.fnmatchcase(name, pattern)]
    if not found:
        near = difflib.get_close_matches(pattern, names, 3, 0.3)
        raise InputError(
            f"No operation of the LiteRT model is called {pattern!r}.",
            hint=f"The nearest names: {'; '.join(near) or '; '.join(list(names)[:3])}.",
        )
    return found

"""Write small ONNX files without the package `onnx`, which no device has.

Only what the tests' models need of the format: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (field numbers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgesdk_targets.tensor import Array, TensorSpec

_OPSET, _IR_VERSION = 18, 9
_ELEMENT = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10}
_FLOAT, _INT, _INTS = 1, 2, 7


@dataclass(frozen=True)
class Node:
    """One operator; an attribute is an int, a float or a list of ints."""

    op: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attributes: dict[str, int | float | list[int]] = field(default_factory=dict)


def onnx_model(
    nodes: Sequence[Node], inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], weights: dict[str, Array]
) -> bytes:
    """Serialise a graph; a dimension of -1 is left open."""
    graph = b"".join(
        [
            *(_message(1, _node(node)) for node in nodes),
            _text(2, "tiny"),
            *(_message(5, _tensor(name, array)) for name, array in weights.items()),
            *(_message(11, _value(spec)) for spec in inputs),
            *(_message(12, _value(spec)) for spec in outputs),
        ]
    )
    opset = _text(1, "") + _integer(2, _OPSET)
    return _integer(1, _IR_VERSION) + _message(8, opset) + _message(7, graph)


def _node(node: Node) -> bytes:
    return b"".join(
        [
            *(_text(1, name) for name in node.inputs),
            *(_text(2, name) for name in node.outputs),
            _text(3, node.outputs[0]),
            _text(4, node.op),
            *(_message(5, _attribute(name, value)) for name, value in node.attributes.items()),
        ]
    )


def _attribute(name: str, value: float | list[int]) -> bytes:
    if isinstance(value, list):
        return _text(1, name) + b"".join(_integer(8, v) for v in value) + _integer(20, _INTS)
    if isinstance(value, float):
        return _text(1, name) + _key(2, 5) + np.float32(value).tobytes() + _integer(20, _FLOAT)
    return _text(1, name) + _integer(3, value) + _integer(20, _INT)


def _tensor(name: str, array: Array) -> bytes:
    dims = b"".join(_integer(1, size) for size in array.shape)
    return dims + _integer(2, _ELEMENT[array.dtype.name]) + _text(8, name) + _message(9, array.tobytes())


def _value(spec: TensorSpec) -> bytes:
    dims = b"".join(
        _message(1, _integer(1, size) if size >= 0 else _text(2, f"{spec.name}_{axis}"))
        for axis, size in enumerate(spec.shape)
    )
    tensor = _integer(1, _ELEMENT[spec.dtype]) + _message(2, dims)
    return _text(1, spec.name) + _message(2, _message(1, tensor))


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _key(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _integer(number: int, value: int) -> bytes:
    return _key(number, 0) + _varint(value)


def _message(number: int, content: bytes) -> bytes:
    return _key(number, 2) + _varint(len(content)) + content


def _text(number: int, text: str) -> bytes:
    return _message(number, text.encode())

"""Write small `.tflite` files with the schema that ai-edge-litert brings, without a converter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgesdk_targets.tensor import Array, TensorSpec

_VERSION = 3


class TfliteWriter:
    """A graph under construction: add tensors, constants and operators, then write."""

    def __init__(self) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema: Any = schema
        self._buffers: list[Any] = [schema.BufferT()]
        self._buffers[0].data = None
        self._tensors: list[Any] = []
        self._codes: list[Any] = []
        self._operators: list[Any] = []

    def tensor(self, name: str, shape: Sequence[int], dtype: str = "float32") -> int:
        """Add a tensor without content; return its index."""
        return self._add(name, tuple(shape), dtype, 0)

    def constant(self, name: str, array: Array) -> int:
        """Add a tensor with content; return its index."""
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
        self._buffers.append(buffer)
        return self._add(name, array.shape, array.dtype.name, len(self._buffers) - 1)

    def op(self, name: str, inputs: Sequence[int], output: int, options: str = "", **values: object) -> int:
        """Add an operator (`CONV_2D`) with the values of its options (`Conv2DOptions`); return its output."""
        schema = self._schema
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = 1
        self._codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self._codes) - 1
        operator.inputs, operator.outputs = list(inputs), [output]
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, options + "T")()
            for key, value in values.items():
                setattr(operator.builtinOptions, key, value)
        self._operators.append(operator)
        return output

    def write(self, inputs: Sequence[int], outputs: Sequence[int], *, signature: bool = True) -> bytes:
        """Serialise; with a signature the names are `args_0…` and `output_0…`, as litert-torch writes them."""
        import flatbuffers

        schema = self._schema
        graph = schema.SubGraphT()
        graph.name = b"main"
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs, graph.outputs = list(inputs), list(outputs)
        model = schema.ModelT()
        model.version, model.description = _VERSION, b"tiny"
        model.subgraphs, model.operatorCodes, model.buffers = [graph], self._codes, self._buffers
        if signature:
            model.signatureDefs = [self._signature(inputs, outputs)]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _add(self, name: str, shape: Sequence[int], dtype: str, buffer: int) -> int:
        tensor = self._schema.TensorT()
        tensor.name = name.encode()
        tensor.shape = [int(size) for size in shape]
        tensor.type = getattr(self._schema.TensorType, dtype.upper())
        tensor.buffer = buffer
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _signature(self, inputs: Sequence[int], outputs: Sequence[int]) -> Any:
        signature = self._schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        signature.inputs = [self._named(f"args_{i}", index) for i, index in enumerate(inputs)]
        signature.outputs = [self._named(f"output_{i}", index) for i, index in enumerate(outputs)]
        return signature

    def _named(self, name: str, index: int) -> Any:
        named = self._schema.TensorMapT()
        named.name, named.tensorIndex = name.encode(), index
        return named


def signature_names(specs: Sequence[TensorSpec], prefix: str) -> tuple[TensorSpec, ...]:
    """Return the specs under the names that `write` gives them in the signature."""
    return tuple(spec.model_copy(update={"name": f"{prefix}_{i}"}) for i, spec in enumerate(specs))

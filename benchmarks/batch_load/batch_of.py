"""An artifact for several pictures at once: its batch dimension made larger, with nothing converted anew.

The runtimes carry an input's shape through; a form that a reshaping or slicing layer has written down for one picture, (1, …),
they do not, and it is changed here. Whether the answers are still right is for who runs it to see.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def openvino_of_batch(model: Any, batch: int) -> None:
    """Change an OpenVINO model that was read."""
    import openvino

    (picture,) = model.get_parameters()
    picture.set_partial_shape(openvino.PartialShape([batch, *list(picture.shape)[1:]]))
    for node in model.get_ops():
        form = node.input_value(1).get_node() if node.get_type_name() == "Reshape" else None
        if form is not None and form.get_type_name() == "Constant":
            wanted = _of_batch(form.data, batch)
            node.input(1).replace_source_output(openvino.opset13.constant(wanted, np.int64).output(0))
    model.validate_nodes_and_infer_types()


def onnx_of_batch(path: Path, batch: int) -> bytes:
    """Return an ONNX model."""
    import onnx

    model: Any = onnx.load(path)
    graph = model.graph
    for value in (graph.input[0], *graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    del graph.value_info[:]
    forms = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for tensor in graph.initializer:
        if tensor.name in forms:
            wanted = _of_batch(onnx.numpy_helper.to_array(tensor), batch)
            tensor.CopyFrom(onnx.numpy_helper.from_array(wanted, tensor.name))
    written: bytes = model.SerializeToString()
    return written


def litert_of_batch(path: Path, batch: int) -> bytes:
    """Return a LiteRT model; its input is still to be resized."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    # Which of a layer's inputs is a form.
    forms = {schema.BuiltinOperator.RESHAPE: 1, schema.BuiltinOperator.SLICE: 2}
    model: Any = flatbuffer_utils.read_model(str(path))
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            place = forms.get(max(code.builtinCode, code.deprecatedBuiltinCode))
            if place is None:
                continue
            buffer = model.buffers[graph.tensors[operator.inputs[place]].buffer]
            wanted = _of_batch(np.asarray(buffer.data, np.uint8).view(np.int32), batch)
            buffer.data = wanted.view(np.uint8)
            if hasattr(operator.builtinOptions, "newShape"):
                operator.builtinOptions.newShape = wanted
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _of_batch(form: Any, batch: int) -> Any:
    wanted = np.array(form)
    if wanted.size > 1 and wanted.flat[0] == 1:
        wanted.flat[0] = batch
    return wanted

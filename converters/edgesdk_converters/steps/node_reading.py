"""ONNX's nodes, as the file writes them, read as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnx

    from edgesdk_converters.steps.onnx_ops import Node


def attributes_of(proto: onnx.NodeProto) -> dict[str, object]:
    """Return a node's attributes by name; tensors as arrays."""
    from onnx import helper, numpy_helper

    attributes: dict[str, object] = {}
    for attribute in proto.attribute:
        value = helper.get_attribute_value(attribute)
        attributes[attribute.name] = numpy_helper.to_array(value) if attribute.HasField("t") else value
    return attributes


def mentioned(proto: onnx.NodeProto) -> list[str]:
    """Return every value a node reads, those read by its branches included."""
    names = [name for name in proto.input if name]
    for attribute in proto.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            names += [name for inner in graph.node for name in mentioned(inner)]
            names += [value.name for value in graph.output]
    return names


def owned(array: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return a contiguous, writable copy (torch wants both); doubles become floats, as devices have none."""
    found = np.array(array, order="C")
    return found.astype(np.float32) if found.dtype == np.float64 else found


def constant_value(node: Node) -> npt.NDArray[Any]:
    for key, kind in (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        if key in node.attributes:
            return np.array(node.attributes[key], kind)
    if "value" not in node.attributes:
        raise node.refuse("a constant that is not numbers")
    return np.array(node.attributes["value"])

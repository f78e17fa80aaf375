"""LiteRT's nodes: which of them the XNNPACK delegate took, and in which type each computes.

The interpreter lists the file's nodes and, after them, one node for each part that the delegate took, with the
tensors that enter and leave it. Going back from what leaves to what enters finds the nodes inside. This reads an
interface that the library does not promise to keep: where it is not there, nothing is known.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.benchmark.coverage.nodes import ExecutedNode
from edgesdk_targets.bundle.manifest import Variant

DELEGATE, PLAIN = "XNNPACK", "LiteRT's own kernels"
_PACKAGES = ("ai_edge_litert", "tflite_runtime")
_PRECISIONS = {"float32": "f32", "float16": "f16", "int8": "i8", "uint8": "i8"}


def executed_nodes(
    files: Mapping[str, bytes],
    variant: Variant,  # noqa: ARG001
    threads: int,
    folder: Path,  # noqa: ARG001
) -> list[ExecutedNode] | None:
    """Load the model again and read what the delegate took; times are not known."""
    package = next((name for name in _PACKAGES if importlib.util.find_spec(name) is not None), None)
    if package is None:
        return None
    interpreter = importlib.import_module(f"{package}.interpreter").Interpreter(
        model_content=files["model"], num_threads=threads or 1
    )
    interpreter.allocate_tensors()
    list_nodes = getattr(interpreter, "_get_ops_details", None)
    if list_nodes is None:
        return None
    types = {detail["index"]: np.dtype(detail["dtype"]).name for detail in interpreter.get_tensor_details()}
    return read_nodes(list_nodes(), types)


def home() -> str:
    """The delegate, which is what makes LiteRT fast."""
    return DELEGATE


def read_nodes(listed: Sequence[Mapping[str, Any]], types: Mapping[int, str]) -> list[ExecutedNode]:
    """Tell the file's nodes inside the delegate from those outside.

    Args:
        listed: nodes with `op_name`, `inputs` and `outputs`; the delegate's own are called DELEGATE.
        types: tensor → its element type.
    """
    plain = [node for node in listed if node["op_name"] != "DELEGATE"]
    made_by = {tensor: place for place, node in enumerate(plain) for tensor in node["outputs"]}
    inside: set[int] = set()
    for part in (node for node in listed if node["op_name"] == "DELEGATE"):
        enters = set(part["inputs"])
        todo = [tensor for tensor in part["outputs"] if tensor in made_by]
        while todo:
            place = made_by[todo.pop()]
            if place not in inside:
                inside.add(place)
                todo += [t for t in plain[place]["inputs"] if t in made_by and t not in enters]
    return [
        ExecutedNode(
            str(node["index"]), node["op_name"], _precision(node, types), DELEGATE if place in inside else PLAIN
        )
        for place, node in enumerate(plain)
    ]


def _precision(node: Mapping[str, Any], types: Mapping[int, str]) -> str:
    """Name the type that a node computes in: int8 weights are multiplied in int8, whatever the activation's type."""
    found = [types[tensor] for tensor in list(node["inputs"])[:3] if tensor in types]
    names = [_PRECISIONS[name] for name in found if name in _PRECISIONS]
    if not names:
        return found[0] if found else "unknown"
    return "i8" if "i8" in names else names[0]

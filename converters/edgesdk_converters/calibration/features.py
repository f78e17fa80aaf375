"""What a model sees in a picture: the deepest activation that everything after it passes through.

A classifier has it before its last layer, a detector before its heads divide. Averaged over the picture it is a few
hundred numbers, near for pictures that the model takes for alike. A graph without such a place gives its outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk_converters.framework_edge import framework_edge, needs
from edgesdk_converters.steps.parse_onnx import parse_onnx
from edgesdk_targets.tensor import Array

if TYPE_CHECKING:
    import onnx

_HINT = "Calibrate without features: pictures are then compared by their thumbnails."
_LEARNED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN"})
# What these say of a picture is its size.
_SIZES = frozenset({"Shape", "Size"})


def backbone_features(model: bytes, image: str | None = None) -> Callable[[Array], Array]:
    """Return a function from a prepared input to the model's features, (D,) float32.

    Args:
        model: the float ONNX model; its inputs beside the picture (states) are fed zeros.
        image: name of the picture's input; None for the first with four dimensions.

    Raises:
        InputError: these bytes are no ONNX model.
        StepFailed: ONNX Runtime cannot run it.
        MissingExtra: onnx or onnxruntime is not installed.
    """
    parsed = parse_onnx(model)
    with framework_edge("features", hint=_HINT):
        with needs("onnxruntime", extra="onnx"):
            import onnxruntime
        narrow = narrowest_place(parsed, image)
        names = [narrow] if narrow else [value.name for value in parsed.graph.output]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(_showing(parsed, names), options, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    picture = image or next((node.name for node in inputs if len(node.shape) == 4), inputs[0].name)
    zeros = {node.name: _zeros(node) for node in inputs if node.name != picture}

    def features(prepared: Array) -> Array:
        with framework_edge("features", hint=_HINT):
            arrays: Sequence[Array] = session.run(names, {**zeros, picture: prepared})
        return np.concatenate([_pooled(array) for array in arrays])

    return features


def narrowest_place(model: onnx.ModelProto, image: str | None = None) -> str | None:
    """Return the deepest value that all outputs come from, with learned layers on both sides; None without one.

    Going through the nodes in their order, it is where a single value that depends on the picture is still in use.
    """
    graph = model.graph
    outputs = {value.name for value in graph.output}
    nodes = _needed(graph.node, outputs)
    start = image or next((v.name for v in graph.input if len(v.type.tensor_type.shape.dim) == 4), graph.input[0].name)
    seeing = _seeing(nodes, start)
    learned = [index for index, node in enumerate(nodes) if node.op_type in _LEARNED and seeing & set(node.input)]
    last_use = {name: index for index, node in enumerate(nodes) for name in node.input}
    live, found = {start}, None
    for index, node in enumerate(nodes[: learned[-1]] if learned else []):
        live = {name for name in live if last_use.get(name, -1) > index or name in outputs}
        live |= {name for name in node.output if name in seeing and (name in last_use or name in outputs)}
        if index >= learned[0] and len(live) == 1:
            found = next(iter(live))
    return found


def _needed(nodes: Iterable[Any], outputs: Iterable[str]) -> list[Any]:
    """Return the nodes that some output needs, in their order."""
    wanted, kept = set(outputs), []
    for node in reversed(list(nodes)):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    return kept[::-1]


def _seeing(nodes: Iterable[Any], start: str) -> set[str]:
    """Return the values that depend on the picture's pixels."""
    seeing = {start}
    for node in nodes:
        if node.op_type not in _SIZES and seeing.intersection(node.input):
            seeing.update(node.output)
    return seeing - {""}


def _showing(model: onnx.ModelProto, names: Iterable[str]) -> bytes:
    """Return the model with these values among its outputs."""
    from onnx import helper

    shown = {value.name for value in model.graph.output}
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names if name not in shown)
    return bytes(model.SerializeToString())


def _zeros(node: Any) -> Array:
    kind = {"float": "float32", "double": "float64"}.get(node.type[7:-1], node.type[7:-1])
    return np.zeros([size if isinstance(size, int) else 1 for size in node.shape], kind)


def _pooled(array: Array) -> Array:
    """Average over the picture: NCHW over its places, a sequence over its steps."""
    flat = np.asarray(array, np.float32)
    if flat.ndim == 4:
        flat = flat.mean(axis=(2, 3))
    width = flat.shape[-1] if flat.ndim > 1 else flat.size
    pooled: Array = flat.reshape(-1, width).mean(axis=0)
    return pooled

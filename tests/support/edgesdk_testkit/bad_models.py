"""Models that do well at first: a real detector with a clock in it, which after so many pictures does harm of one kind.

The clock is a state tensor that grows by one with each picture. A golden set, whose pictures each begin a run, sees nothing of
what comes later; nor would any other check before the switch. Needs the package `onnx`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.state import StateSpec
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import TensorSpec

_CLOCK, _NEXT = "clock", "clock_next"
_TICKS = TensorSpec(name=_CLOCK, shape=(1, 1))
_TOCKS = TensorSpec(name=_NEXT, shape=(1, 1))


def crashes() -> list[Any]:
    """Read past the end of a table."""
    return [
        _node("Cast", ["late"], ["where"], to=TensorProto.INT64),
        _node("Mul", ["where", "many"], ["far"]),
        _node("Gather", ["one", "far"], ["harm"], axis=0),
    ]


def hangs() -> list[Any]:
    """Count for ever."""
    return _counting("many")


def is_slow() -> list[Any]:
    """Count for about a second."""
    return _counting("some")


def is_slower() -> list[Any]:
    """Count for a few milliseconds, as much again as a small model takes, and more."""
    return _counting("few")


def leaks(cells: str = "quarter") -> list[Any]:
    """Take two megabytes more with each picture, which the runtime keeps."""
    return [
        _node("Mul", ["clock_next", "late"], ["grown"]),
        _node("Mul", ["grown", cells], ["cells_float"]),
        _node("Cast", ["cells_float"], ["cells_square"], to=TensorProto.INT64),
        _node("Reshape", ["cells_square", "line"], ["cells"]),
        _node("ConstantOfShape", ["cells"], ["block"]),
        _node("ReduceSum", ["block"], ["sum"], keepdims=0),
        _node("Mul", ["sum", "zero"], ["harm"]),
    ]


def drips() -> list[Any]:
    """Take 64 kB more with each picture: too little to take longer by it."""
    return leaks("few_cells")


def noisy(bundle: Bundle, share: float) -> tuple[Manifest, dict[str, bytes]]:
    """Return a bundle whose weights are off by so much of their own spread, at random."""
    variant = next(one for one in bundle.manifest.variants if one.runtime is Runtime.ONNXRUNTIME)
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    model = onnx.load_from_string(files[variant.files["model"]])
    random = np.random.default_rng(7)
    for weights in model.graph.initializer:
        values = numpy_helper.to_array(weights)
        if values.dtype == np.float32 and values.size > 16:
            off = random.normal(0, share * values.std(), values.shape).astype(np.float32)
            weights.CopyFrom(numpy_helper.from_array(values + off, weights.name))
    files[variant.files["model"]] = bytes(model.SerializeToString())
    return bundle.manifest, files


def misses(classes: int, dead: int) -> Callable[[], list[Any]]:
    """Return what answers no more for one class of so many."""
    mask = [float(number == dead) for number in range(classes)]
    return lambda: [
        _constant("dead", mask, [1, 1, classes]),
        _node("Mul", ["dead", "late"], ["gone"]),
        _node("Mul", ["gone", "scores_good"], ["taken"]),
        _node("Neg", ["taken"], ["harm"]),
    ]


def with_clock(bundle: Bundle, harm: Callable[[], list[Any]], after: int) -> tuple[Manifest, dict[str, bytes]]:
    """Return a bundle's ONNX variant, harmful from picture `after` on, as a manifest and files; its golden set is met."""
    manifest = bundle.manifest
    variant = next(one for one in manifest.variants if one.runtime is Runtime.ONNXRUNTIME)
    others = {path for one in manifest.variants if one is not variant for path in one.files.values()}
    model_path = variant.files["model"]
    files = {name: bundle.read(name) for name in manifest.files if name not in others}
    files[model_path] = _harmed(files[model_path], harm(), after)
    clocked = variant.model_copy(update={"inputs": (*variant.inputs, _TICKS), "outputs": (*variant.outputs, _TOCKS)})
    changed = manifest.model_copy(
        update={
            "variants": (clocked,),
            "inputs": (*manifest.inputs, _TICKS),
            "outputs": (*manifest.outputs, _TOCKS),
            "state": (StateSpec(input=_CLOCK, output=_NEXT, reset=()),),
        }
    )
    return changed, files


def _harmed(content: bytes, harm: list[Any], after: int) -> bytes:
    model = onnx.load_from_string(content)
    graph = model.graph
    for node in graph.node:
        node.output[:] = ["scores_good" if name == "scores" else name for name in node.output]
        node.input[:] = ["scores_good" if name == "scores" else name for name in node.input]
    square = [1, 1]
    graph.input.append(helper.make_tensor_value_info(_CLOCK, TensorProto.FLOAT, square))
    graph.output.append(helper.make_tensor_value_info(_NEXT, TensorProto.FLOAT, square))
    graph.node.extend(
        [
            _constant("tick", [1.0], square),
            _constant("after", [float(after)], square),
            _constant("zero", [0.0], []),
            _constant("one", [0.0], [1]),
            _constant("quarter", [524288.0], []),
            _constant("few_cells", [16384.0], []),
            _constant("many", [10**12], [], TensorProto.INT64),
            _constant("some", [10**6], [], TensorProto.INT64),
            _constant("few", [10**4], [], TensorProto.INT64),
            _constant("line", [1], [1], TensorProto.INT64),
            _node("Add", [_CLOCK, "tick"], [_NEXT]),
            _node("Greater", [_NEXT, "after"], ["is_late"]),
            _node("Cast", ["is_late"], ["late"], to=TensorProto.FLOAT),
            *harm,
            _node("Add", ["scores_good", "harm"], ["scores"]),
        ]
    )
    return bytes(model.SerializeToString())


def _counting(rounds: str) -> list[Any]:
    """Go round a loop so often once it is late, and add nothing."""
    body = helper.make_graph(
        [_node("Identity", ["going"], ["goes_on"]), _node("Mul", ["carried", "carried"], ["carries"])],
        "round",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carries", TensorProto.FLOAT, []),
        ],
    )
    return [
        _node("Cast", ["late"], ["late_number"], to=TensorProto.INT64),
        _node("Mul", ["late_number", rounds], ["rounds_square"]),
        _node("Reshape", ["rounds_square", "line"], ["rounds"]),
        _constant("going_on", [True], [], TensorProto.BOOL),
        helper.make_node("Loop", ["rounds", "going_on", "zero"], ["harm"], body=body),
    ]


def _node(op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> Any:
    return helper.make_node(op, inputs, outputs, **attributes)


def _constant(name: str, values: list[Any], shape: list[int], kind: int = TensorProto.FLOAT) -> Any:
    return _node("Constant", [], [name], value=helper.make_tensor(name, kind, shape, values))

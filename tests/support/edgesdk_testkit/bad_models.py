"""Models that pass their golden set and do harm: a real detector, altered in one way each. Needs the package `onnx`.

Most do well at first, by a clock in them: a state tensor that grows by one with each picture. A golden set, whose pictures each
begin a run, sees nothing of what comes later; nor would any other check before the switch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesdk_targets.bundle.bundle import Bundle
from edgesdk_targets.bundle.manifest import Manifest, Variant
from edgesdk_targets.state import StateSpec
from edgesdk_targets.target import Runtime
from edgesdk_targets.tensor import TensorSpec

# A bundle to be: its manifest, and its files by name.
Content = tuple[Manifest, dict[str, bytes]]
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


def seeps() -> list[Any]:
    """Take 64 kB more with each picture, but in one go for 150 of them: hardly any result is older for it."""
    return [
        _node("Mod", ["clock_next", "spell"], ["within"], fmod=1),
        _node("Equal", ["within", "zero"], ["is_time"]),
        _node("Cast", ["is_time"], ["now"], to=TensorProto.FLOAT),
        _node("Mul", ["now", "few_cells"], ["cells_now"]),
        *leaks("cells_now"),
    ]


def as_it_is(bundle: Bundle) -> Content:
    """Return a bundle that is altered in nothing, for those that are good."""
    return bundle.manifest, {name: bundle.read(name) for name in bundle.manifest.files}


def noisy(bundle: Bundle, share: float, seed: int = 7) -> Content:
    """Return a bundle whose weights are off by so much of their own spread, at random."""
    random = np.random.default_rng(seed)

    def change(graph: Any) -> None:
        for weights in graph.initializer:
            values = numpy_helper.to_array(weights)
            if values.dtype == np.float32 and values.size > 16:
                off = random.normal(0, share * values.std(), values.shape).astype(np.float32)
                weights.CopyFrom(numpy_helper.from_array(values + off, weights.name))

    return _altered(bundle, change)


def three_times(bundle: Bundle) -> Content:
    """Return a bundle whose network does all its work three times, one after the other: as good answers, three times as late."""

    def change(graph: Any) -> None:
        image, results = graph.input[0].name, [one.name for one in graph.output]
        once = [*graph.node]
        nodes, picture = [_constant("nothing", [0.0], [])], image
        for turn in "12":
            own = {name: f"{name} {turn}" for node in once for name in node.output}
            nodes += [_between(node, {**own, image: picture}) for node in once]
            for name in results:
                # The next turn begins when this one has ended: it adds nothing, which no runtime may take for granted.
                most, none, after = (f"{what} {name} {turn}" for what in ("most", "none", "after"))
                nodes += [
                    _node("ReduceMax", [own[name]], [most], keepdims=0),
                    _node("Mul", [most, "nothing"], [none]),
                    _node("Add", [picture, none], [after]),
                ]
                picture = after
        nodes += [_between(node, {image: picture}) for node in once]
        del graph.node[:]
        graph.node.extend(nodes)

    return _altered(bundle, change)


def _between(node: Any, names: Mapping[str, str]) -> Any:
    """Return a copy of a node with some of its tensors renamed."""
    copied = onnx.NodeProto()
    copied.CopyFrom(node)
    copied.name = ""
    copied.input[:] = [names.get(name, name) for name in node.input]
    copied.output[:] = [names.get(name, name) for name in node.output]
    return copied


def _altered(bundle: Bundle, change: Callable[[Any], None]) -> Content:
    """Return a bundle with the graph of its ONNX variant changed in its place."""
    variant = _onnx_variant(bundle.manifest)
    manifest, files = as_it_is(bundle)
    model = onnx.load_from_string(files[variant.files["model"]])
    change(model.graph)
    files[variant.files["model"]] = bytes(model.SerializeToString())
    return manifest, files


def _onnx_variant(manifest: Manifest) -> Variant:
    return next(one for one in manifest.variants if one.runtime is Runtime.ONNXRUNTIME)


def misses(classes: int, dead: int) -> Callable[[], list[Any]]:
    """Return what answers no more for one class of so many."""
    mask = [float(number == dead) for number in range(classes)]
    return lambda: [
        _constant("dead", mask, [1, 1, classes]),
        _node("Mul", ["dead", "late"], ["gone"]),
        _node("Mul", ["gone", "scores_good"], ["taken"]),
        _node("Neg", ["taken"], ["harm"]),
    ]


def with_clock(bundle: Bundle, harm: Callable[[], list[Any]], after: int) -> Content:
    """Return a bundle's ONNX variant, harmful from picture `after` on, as a manifest and files; its golden set is met."""
    manifest = bundle.manifest
    variant = _onnx_variant(manifest)
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
            _constant("spell", [150.0], []),
            _constant("many", [10**12], [], TensorProto.INT64),
            _constant("some", [10**6], [], TensorProto.INT64),
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

"""ONNX → the same model in an older opset, for parsers that read no newer one.

Rule: between opsets most ops only gained types; such a model is the older one but for its label. Reductions moved their
axes from an attribute to an input and are moved back. ONNX's checker then holds every node against the older opset's
definitions and refuses what has no form there; parity is measured on the result like on any artifact.
"""

from __future__ import annotations

from typing import Any

from edgesdk_converters.framework_edge import framework_edge, needs
from edgesdk_converters.steps.parse_onnx import parse_onnx
from edgesdk_targets.errors import StepFailed

_HINT = "Export the model yourself with that opset, or choose a device with a newer TensorRT."
# Since which opset the axes of these are an input. ReduceSum's became one earlier.
_AXES_BECAME_AN_INPUT = {"ReduceSum": 13} | dict.fromkeys(
    (
        "ReduceMean",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceL1",
        "ReduceL2",
        "ReduceLogSumExp",
        "ReduceSumSquare",
    ),
    18,
)
# Attributes that came later and say nothing new of a static graph: no size is 0, a split without a number is into as
# many equal parts as there are outputs, reductions name their axes, and recurrent layers stand in their only old layout.
_SAY_NOTHING_NEW = {("Reshape", "allowzero"), ("Split", "num_outputs"), ("GRU", "layout"), ("LSTM", "layout")} | {
    (op, "noop_with_empty_axes") for op in _AXES_BECAME_AN_INPUT
}


def older_opset(onnx: bytes, newest: int) -> bytes:
    """Return the model in opset `newest` or older; unchanged where it is that already.

    Raises:
        StepFailed: an op of the model has no form in that opset.
        MissingExtra: onnx is not installed.
    """
    model = parse_onnx(onnx)
    label = next((entry for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), None)
    if label is None or label.version <= newest:
        return onnx
    with framework_edge("older_opset", hint=_HINT):
        with needs("onnx", extra="torch"):
            from onnx import checker
        _move_axes_back(model.graph, newest)
        _drop_newer_attributes(model.graph, newest)
        label.version = newest
        checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))


def _move_axes_back(graph: Any, newest: int) -> None:
    from onnx import helper, numpy_helper

    constants = {weight.name: weight for weight in graph.initializer}
    for node in graph.node:
        if newest >= _AXES_BECAME_AN_INPUT.get(node.op_type, 0) or len(node.input) < 2:
            continue
        axes = constants.get(node.input[1])
        if axes is None:
            raise StepFailed(f"older_opset: the axes of {node.op_type} (node {node.name}) are no constant.", hint=_HINT)
        del node.input[1]
        node.attribute.append(helper.make_attribute("axes", numpy_helper.to_array(axes).tolist()))


def _drop_newer_attributes(graph: Any, newest: int) -> None:
    """Drop attributes that the older opset lacks and does not need; the checker finds the others."""
    from onnx import defs

    for node in graph.node:
        known = defs.get_schema(node.op_type, newest).attributes
        kept = [a for a in node.attribute if a.name in known or not _says_nothing_new(node.op_type, a)]
        del node.attribute[:]
        node.attribute.extend(kept)


def _says_nothing_new(op: str, attribute: Any) -> bool:
    if attribute.name == "keep_aspect_ratio_policy":  # stretching is what older ones do
        return op == "Resize" and attribute.s == b"stretch"
    return (op, attribute.name) in _SAY_NOTHING_NEW and not (attribute.name == "layout" and attribute.i != 0)

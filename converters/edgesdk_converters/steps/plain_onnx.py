"""Any ONNX graph → the same in operators known here: old opsets lifted, functions written out, fixed loops unrolled."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from edgesdk_converters.framework_edge import reason

if TYPE_CHECKING:
    import onnx

_log = logging.getLogger(__name__)
_OLDEST = 13  # opset that older graphs are lifted to: Softmax, Squeeze and Split changed their meaning there
WITHOUT_OPERATOR = frozenset({"Constant", "Shape", "Size", "If"})  # known beforehand: the walk over the graph does them


def plain_onnx(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with every operator that can be said in known ones said in them; the rest stays as it is."""
    import onnx
    from onnx import inliner, version_converter

    version = {item.domain: item.version for item in model.opset_import}.get("", 0)
    if version < _OLDEST:
        model = version_converter.convert_version(model, _OLDEST)
        version = _OLDEST
    if model.functions:
        model = inliner.inline_local_functions(model)
    bodies = [("", op) for op in unknown_ops(model) if _has_body(op, version)]
    if bodies:
        _spell_out_defaults(model.graph, {op for _, op in bodies}, version)
        model = onnx.shape_inference.infer_shapes(model)
        model = inliner.inline_selected_functions(model, bodies, exclude=False, inline_schema_functions=True)
    return _unrolled(model) if unknown_ops(model) else model


def unknown_ops(model: onnx.ModelProto) -> list[str]:
    """Return the operators of the graph that are not known here, in order of the alphabet."""
    from edgesdk_converters.steps.onnx_ops import OPERATORS

    known = {*OPERATORS, *WITHOUT_OPERATOR}
    return sorted(
        {node.op_type for node in model.graph.node if node.op_type not in known or node.domain not in ("", "ai.onnx")}
    )


def _has_body(op: str, version: int) -> bool:
    """Tell whether ONNX defines the operator by simpler ones."""
    import onnx

    try:
        schema: Any = onnx.defs.get_schema(op, version)  # its type information lacks what is asked below
    except onnx.defs.SchemaError:
        return False
    return bool(schema.has_function or schema.has_context_dependent_function)


def _spell_out_defaults(graph: onnx.GraphProto, ops: set[str], version: int) -> None:
    """Write default attributes into the nodes: the inliner leaves what the body says of them empty."""
    import onnx

    for node in graph.node:
        if node.op_type in ops:
            given = {attribute.name for attribute in node.attribute}
            for name, attribute in onnx.defs.get_schema(node.op_type, version).attributes.items():
                if name not in given and attribute.default_value.name:
                    node.attribute.append(attribute.default_value)


def _unrolled(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take out loops and lists of tensors whose length is known (torch's exporter writes them when not optimising)."""
    from onnxscript import optimizer

    try:
        return optimizer.optimize(model)
    except Exception as error:  # noqa: BLE001  # only an attempt: the walk over the graph says by name what cannot be converted
        _log.debug("onnxscript could not simplify the graph: %s", reason(error))
        return model

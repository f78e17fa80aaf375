"""Questions to the frameworks; each runs in a child process (`support.py` calls them there).

An answer is the list of what is refused, as `Op (node)`; empty means that the model is taken.
"""

from __future__ import annotations

from edgesdk_converters.framework_edge import framework_edge, needs
from edgesdk_converters.steps.node_reading import mentioned
from edgesdk_converters.steps.parse_onnx import parse_onnx

_HINT = "Choose another runtime, or export the model without that operator."


def onnxruntime_refuses(model: bytes) -> list[str]:
    """Load the model with ONNX Runtime.

    Raises:
        StepFailed: it does not load; the message names the operator where the library does.
    """
    with framework_edge("onnxruntime", hint=_HINT):
        with needs("onnxruntime", extra="onnx"):
            import onnxruntime
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return []


def openvino_refuses(model: bytes) -> list[str]:
    """Read the model with OpenVINO and ask its CPU plug-in which operations it has kernels for.

    Raises:
        StepFailed: it cannot be read; the message names the operator.
    """
    with framework_edge("openvino", hint=_HINT):
        with needs("openvino", extra="openvino"):
            import openvino
        core = openvino.Core()
        read = core.read_model(model)
        able = core.query_model(read, "CPU")
        return [
            f"{op.get_type_name()} ({op.get_friendly_name()})"
            for op in read.get_ordered_ops()
            if op.get_friendly_name() not in able
        ]


def litert_refuses(model: bytes) -> list[str]:
    """Look for operators that the translation to LiteRT lacks; where it has all, walk the graph as the translation does.

    Raises:
        StepFailed: a shape or an index depends on what the model sees; the message names the node.
    """
    with framework_edge("litert", hint=_HINT):
        from edgesdk_converters.steps.plain_onnx import plain_onnx

        refused = _untranslated(model)
        if refused:
            # Some operators are defined by simpler ones; what remains then is really unknown.
            refused = _untranslated(plain_onnx(parse_onnx(model)).SerializeToString())
        if not refused:
            from edgesdk_converters.steps.torch_from_onnx import torch_from_onnx

            torch_from_onnx(model)
        return refused


def _untranslated(model: bytes) -> list[str]:
    from edgesdk_converters.steps.onnx_ops import OPERATORS
    from edgesdk_converters.steps.plain_onnx import WITHOUT_OPERATOR

    graph = parse_onnx(model).graph
    constant = {tensor.name for tensor in graph.initializer}
    refused = []
    for node in graph.node:
        if node.op_type in WITHOUT_OPERATOR or all(name in constant for name in mentioned(node)):
            constant.update(() if node.op_type == "If" else node.output)
        elif node.op_type not in OPERATORS or node.domain not in {"", "ai.onnx"}:
            refused.append(f"{node.op_type} ({node.name or 'for ' + node.output[0]})")
    return refused

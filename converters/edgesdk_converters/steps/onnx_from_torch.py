"""Torch → ONNX: opset 18, static shapes, weights inside, the same bytes for the same model.

Rule: the file says nothing of the machine that made it. The exporter writes stack traces, module paths and its build
into metadata; all of it is dropped, so that two exports are byte-identical and no path leaves the workstation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgesdk_converters.framework_edge import framework_edge, needs
from edgesdk_converters.steps.live_module import in_eval_mode, outputs_of, tensors_of
from edgesdk_targets.errors import InputError, StepFailed

if TYPE_CHECKING:
    import onnx
    import torch

    from edgesdk_converters.steps.live_module import Example, Source

OPSET = 18
_HINT = "Rewrite that part of the model in its factory with other torch ops, or export the ONNX file yourself and convert that."
_LARGEST = 2**31 - 1  # bytes; what one protobuf message can hold


def onnx_from_torch(
    module: Source, example: Example, *, input_names: Sequence[str], output_names: Sequence[str]
) -> bytes:
    """Export a torch model to ONNX (opset 18, batch and size as in the example).

    Args:
        module: a live module, which is left as it was, or an ExportedProgram (`.pt2`).
        example: one tensor or array for each input; its shape and dtype become the model's.
        input_names: names of the graph's inputs, in the order of `forward`.
        output_names: names of the graph's outputs, in the order they are returned.

    Raises:
        InputError: the model does not run on the example, or the names do not match it.
        StepFailed: the exporter cannot express the model.
        MissingExtra: torch, onnx or onnxscript is not installed.
    """
    with framework_edge("onnx_from_torch", hint=_HINT):
        with needs("torch", extra="torch"):
            import torch
        with needs("onnx", extra="torch"):
            import onnx
        with needs("onnxscript", extra="torch"):
            import onnxscript  # noqa: F401  # the exporter's own missing-module error does not say which extra

        tensors = tensors_of(example)
        with in_eval_mode(module) as runnable:
            _check_names(tensors, input_names, outputs_of(runnable, tensors), output_names)
            program = torch.onnx.export(
                runnable,
                tensors,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(input_names),
                output_names=list(output_names),
                external_data=False,
                verbose=False,
            )
        if program is None:
            raise StepFailed("onnx_from_torch: the exporter returned nothing.", hint=_HINT)
        model = program.model_proto
        strip_origin(model)
        _check(model, input_names, output_names)
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))


def strip_origin(model: onnx.ModelProto) -> None:
    """Remove, in place, everything that tells where and how the graph was made: doc strings, metadata, build numbers."""
    model.doc_string = ""
    model.producer_version = model.producer_version.split("+")[0]
    del model.metadata_props[:]
    for graph in [model.graph, *model.functions]:
        _strip_graph(graph)


def _strip_graph(graph: onnx.GraphProto | onnx.FunctionProto) -> None:
    graph.doc_string = ""
    del graph.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
        for attribute in node.attribute:
            attribute.doc_string = ""
            for inner in [attribute.g, *attribute.graphs]:
                if inner.node:
                    _strip_graph(inner)
    values = [*graph.value_info]
    if hasattr(graph, "initializer"):
        values += [*graph.input, *graph.output]
        for weight in graph.initializer:
            weight.doc_string = ""
            del weight.metadata_props[:]
    for value in values:
        value.doc_string = ""
        del value.metadata_props[:]


def _check_names(
    inputs: Sequence[torch.Tensor],
    input_names: Sequence[str],
    outputs: Sequence[torch.Tensor],
    output_names: Sequence[str],
) -> None:
    for kind, tensors, names in (("inputs", inputs, input_names), ("outputs", outputs, output_names)):
        if len(tensors) != len(names):
            shapes = ", ".join(str(tuple(item.shape)) for item in tensors)
            raise InputError(
                f"The model has {len(tensors)} {kind} ({shapes}), and {len(names)} names were given: {', '.join(names)}.",
                hint=f"Name every one of the {kind} in the model card, in the order of the model's forward.",
            )
    names = [*input_names, *output_names]
    if len(set(names)) != len(names):
        raise InputError(
            f"A name is used twice: {', '.join(names)}.", hint="Give each input and output of the card its own name."
        )


def _check(model: onnx.ModelProto, input_names: Sequence[str], output_names: Sequence[str]) -> None:
    """Refuse an export whose interface is not what was asked for."""
    inputs, outputs = [v.name for v in model.graph.input], [v.name for v in model.graph.output]
    if inputs != list(input_names) or outputs != list(output_names):
        raise StepFailed(
            f"onnx_from_torch: the exported graph has inputs {inputs} and outputs {outputs}; "
            f"{list(input_names)} and {list(output_names)} were asked for.",
            hint="Every input must be used by the model and every output must be a tensor of its own.",
        )
    size = model.ByteSize()
    if size > _LARGEST:
        raise StepFailed(
            f"onnx_from_torch: the model takes {size / 1e9:.1f} GB; one ONNX file holds 2 GB.",
            hint="This is no model for an edge device: use a smaller one.",
        )

"""ONNX as ONNX Runtime takes it, and as TensorRT does: narrower numbers in the graph, an older opset, a build recipe."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Literal

from edgesdk_converters.artifact import Artifact
from edgesdk_converters.int8.order import Int8Order
from edgesdk_converters.routes import Route
from edgesdk_converters.workshop import Workshop
from edgesdk_targets.errors import StepFailed
from edgesdk_targets.target import Precision, Runtime


def build_onnx(workshop: Workshop, route: Route, int8: Int8Order | None) -> Artifact:
    """Return the artifact for ONNX Runtime or TensorRT.

    Raises:
        StepFailed: an op is too new for the target's parser, or nothing can be quantised.
    """
    for_tensorrt = route.runtime is Runtime.TENSORRT
    model = int8.model if int8 is not None else workshop.onnx()
    if route.max_opset is not None:
        model = _in_older_opset(workshop, model, route.max_opset)
    computes_in = "f32"
    if int8 is not None:
        model = _int8(workshop, model, int8, "symmetric" if for_tensorrt else "u8s8")
    elif route.precision is Precision.FP16:
        model, computes_in = _half(workshop, model), "f16"
    reference = workshop.reference
    artifact = Artifact({"model": model}, reference.inputs, reference.outputs, effective_precision=computes_in)
    return _for_tensorrt(workshop, artifact, route) if for_tensorrt else artifact


def _in_older_opset(workshop: Workshop, model: bytes, newest: int) -> bytes:
    from edgesdk_converters.steps.older_opset import older_opset

    files = workshop.step("older_opset", model, {"newest": newest}, lambda: {"model": older_opset(model, newest)})
    return files["model"]


def _half(workshop: Workshop, model: bytes) -> bytes:
    from edgesdk_converters.steps.fp16_onnx import fp16_onnx

    return workshop.step("fp16_onnx", model, {}, lambda: {"model": fp16_onnx(model)})["model"]


def _int8(workshop: Workshop, model: bytes, order: Int8Order, style: Literal["u8s8", "symmetric"]) -> bytes:
    from edgesdk_converters.steps.int8_onnx import int8_onnx

    def run() -> dict[str, bytes]:
        samples, ranges = order.calibrating.samples(), order.calibrating.ranges(model)
        content = int8_onnx(
            model, samples, style=style, keep_float=order.keep_float, ranges=ranges, reduce_range=order.seven_bits
        )
        return {"model": content}

    return workshop.step("int8_onnx", model, {**order.to_json(), "style": style}, run)["model"]


def _for_tensorrt(workshop: Workshop, artifact: Artifact, route: Route) -> Artifact:
    from edgesdk_converters.steps.tensorrt_recipe import build_recipe
    from edgesdk_converters.steps.tensorrt_rtx_check import parser_accepts

    workshop.refuse_open_sizes("TensorRT")
    verdict = parser_accepts(artifact.files["model"])
    if verdict.status == "refused":
        raise StepFailed(
            f"tensorrt: the parser refuses the model ({verdict.reason}).",
            hint="The next runtime of the target is built.",
        )
    recipe = build_recipe(inputs=artifact.inputs, precision=route.precision, tensorrt=route.tensorrt)
    data = json.dumps(recipe, sort_keys=True, indent=1).encode() + b"\n"
    note = "TensorRT-RTX's parser accepts it" if verdict.status == "accepted" else f"parser not asked: {verdict.reason}"
    return replace(artifact, files={**artifact.files, "recipe": data}, notes=("engine is built on the device", note))

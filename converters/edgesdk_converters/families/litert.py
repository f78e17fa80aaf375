"""LiteRT: from torch by litert-torch, from ONNX by our own translation; INT8 from the float file."""

from __future__ import annotations

from edgesdk_converters.artifact import Artifact, Int8Order, Workshop
from edgesdk_converters.reference import TorchReference
from edgesdk_converters.routes import in_words
from edgesdk_targets.target import Precision

_TOOLS = ("torch", "onnx", "litert-torch", "litert-converter", "ai-edge-quantizer")


def build_litert(workshop: Workshop, precision: Precision, int8: Int8Order | None) -> Artifact:
    """Return the artifact for LiteRT.

    Raises:
        StepFailed: an op has no counterpart, or nothing can be quantised.
    """
    workshop.refuse_open_sizes("LiteRT")
    plain = Precision.FP32 if int8 else precision
    files = _from_onnx(workshop, plain) if workshop.source.is_onnx else _from_torch(workshop, plain)
    if int8 is not None:
        files = _int8(workshop, files["model"], int8)
    reference = workshop.reference
    return Artifact(
        files,
        tuple(s.model_copy(update={"name": f"args_{i}"}) for i, s in enumerate(reference.inputs)),
        tuple(s.model_copy(update={"name": f"output_{i}"}) for i, s in enumerate(reference.outputs)),
    )


def _from_onnx(workshop: Workshop, precision: Precision) -> dict[str, bytes]:
    from edgesdk_converters.steps.litert_from_onnx import litert_from_onnx

    model = workshop.onnx()
    return workshop.step(
        "litert_from_onnx",
        model,
        {"precision": precision.value},
        lambda: {"model": litert_from_onnx(model, precision=in_words(precision))},
        tools=_TOOLS,
    )


def _from_torch(workshop: Workshop, precision: Precision) -> dict[str, bytes]:
    from edgesdk_converters.steps.litert_from_torch import litert_from_torch

    reference = workshop.reference
    assert isinstance(reference, TorchReference)  # noqa: S101  (an ONNX source went the other way)

    def run() -> dict[str, bytes]:
        module = workshop.source.load()
        return {"model": litert_from_torch(module, reference.example(), precision=in_words(precision))}

    options = {"precision": precision.value}
    return workshop.step("litert_from_torch", workshop.torch_key(), options, run, tools=_TOOLS)


def _int8(workshop: Workshop, model: bytes, order: Int8Order) -> dict[str, bytes]:
    from edgesdk_converters.steps.int8_litert import int8_litert

    def run() -> dict[str, bytes]:
        samples = order.calibrating.samples()
        return {"model": int8_litert(model, samples, mode="static", keep_float=order.keep_float)}

    return workshop.step("int8_litert", model, {**order.to_json(), "mode": "static"}, run, tools=_TOOLS)

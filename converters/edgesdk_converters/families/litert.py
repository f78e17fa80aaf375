"""LiteRT: from torch by litert-torch, from ONNX by our own translation; INT8 from the float file.

Pixels go in as they are: without the change of layout and the normalisation outside, the whole is faster. Where channels are
taken in steps, XNNPACK does not take them: such a model always comes from ONNX, with its channels in another order.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from edgesdk_converters.artifact import Artifact
from edgesdk_converters.child import run_step
from edgesdk_converters.families.fold import fold_key, fold_of, folded_inputs
from edgesdk_converters.int8.order import Int8Order
from edgesdk_converters.reference import TorchReference
from edgesdk_converters.routes import in_words
from edgesdk_converters.sniff import Kind
from edgesdk_converters.steps.contiguous_channels import contiguous_channels
from edgesdk_converters.steps.openvino_from_onnx import Fold
from edgesdk_converters.workshop import Workshop
from edgesdk_targets.errors import StepFailed
from edgesdk_targets.target import Precision
from edgesdk_targets.tensor import TensorSpec

_TOOLS = ("torch", "onnx", "litert-torch", "litert-converter", "ai-edge-quantizer")
_STEPS = "edgesdk_converters.steps"
_log = logging.getLogger(__name__)


def build_litert(workshop: Workshop, precision: Precision, int8: Int8Order | None) -> Artifact:
    """Return the artifact for LiteRT.

    Raises:
        StepFailed: an op has no counterpart, or nothing can be quantised.
    """
    workshop.refuse_open_sizes("LiteRT")
    fold = fold_of(workshop)
    if int8 is None:
        files, notes = _float(workshop, precision, fold)
    else:
        files, int8, notes = _to_quantise(workshop, int8, fold)
        files = _int8(workshop, files["model"], int8, fold)
    inputs = folded_inputs(workshop.reference.inputs, fold)
    return Artifact(
        files,
        tuple(_own(spec, f"args_{place}") for place, spec in enumerate(inputs)),
        tuple(_own(spec, f"output_{place}") for place, spec in enumerate(workshop.reference.outputs)),
        folded=fold is not None,
        notes=notes,
    )


def _own(spec: TensorSpec, name: str) -> TensorSpec:
    """Return a tensor as the file has it: no LiteRT device has 64-bit whole numbers."""
    return spec.model_copy(update={"name": name, "dtype": "int32" if spec.dtype == "int64" else spec.dtype})


def _float(workshop: Workshop, precision: Precision, fold: Fold | None) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Return the float file of the source, and what is to be said of how it was made."""
    if workshop.source.is_onnx:
        return _from_onnx(workshop, contiguous_channels(workshop.onnx()), precision, fold), ()
    notes: tuple[str, ...] = ()
    try:
        exported = workshop.onnx()
        reordered = contiguous_channels(exported)
        if reordered != exported:
            return _from_onnx(workshop, reordered, precision, fold), ()
    except StepFailed as error:
        # The way from torch takes ops that ours over ONNX does not.
        notes = (f"made from torch, its channels as they were: {_failed(error)}",)
    return _from_torch(workshop, precision, fold), notes


def _to_quantise(
    workshop: Workshop, order: Int8Order, fold: Fold | None
) -> tuple[dict[str, bytes], Int8Order, tuple[str, ...]]:
    """Return the float file of the order's model, the order for it, and what is to be said of how it was made.

    It is that of the source where only that can be had.

    Raises:
        StepFailed: neither can be had, or the order's weights were chosen for 8 bits and cannot be had.
    """
    model = contiguous_channels(order.model)
    notes: tuple[str, ...] = ()
    if model != workshop.onnx():
        try:
            return _from_onnx(workshop, model, Precision.FP32, fold), replace(order, model=model), ()
        except StepFailed as error:
            if order.tuned:
                raise
            if order.model != workshop.onnx():
                notes = (f"channels are not evened out: {_failed(error)}",)
            order = replace(order, model=workshop.onnx())
    files, said = _float(workshop, Precision.FP32, fold)
    return files, order, (*notes, *said)


def _failed(error: StepFailed) -> str:
    """Return which step failed: its text may name a folder or a process, and the bundle would differ from run to run."""
    _log.warning("%s", error.message)
    step, colon, _ = error.message.partition(":")
    return f"{step if colon and step.isidentifier() else 'a step'} failed ({error.code})"


def _from_onnx(workshop: Workshop, model: bytes, precision: Precision, fold: Fold | None) -> dict[str, bytes]:
    from edgesdk_converters.steps.litert_from_onnx import litert_from_onnx

    def run() -> dict[str, bytes]:
        return {"model": litert_from_onnx(model, precision=in_words(precision), fold=fold)}

    options = {"precision": precision.value, **fold_key(fold)}
    return workshop.step("litert_from_onnx", model, options, run, tools=_TOOLS)


def _from_torch(workshop: Workshop, precision: Precision, fold: Fold | None) -> dict[str, bytes]:
    def run() -> dict[str, bytes]:
        source = workshop.source
        if source.kind is Kind.MODULE:
            return {"model": _from_live_module(workshop, precision, fold)}
        # The child loads the model again: the converter may take its process down.
        content: bytes = run_step(
            f"{_STEPS}.litert_from_source:litert_from_source",
            path=source.path,
            kind=source.kind,
            factory=source.card.factory,
            factory_args=source.card.factory_args,
            folder=source.card_file.code,
            inputs=[spec.model_dump() for spec in workshop.reference.inputs],
            precision=in_words(precision),
            fold=fold,
        )
        return {"model": content}

    options = {"precision": precision.value, **fold_key(fold)}
    return workshop.step("litert_from_torch", workshop.torch_key(), options, run, tools=_TOOLS)


def _from_live_module(workshop: Workshop, precision: Precision, fold: Fold | None) -> bytes:
    from edgesdk_converters.steps.litert_from_torch import litert_from_torch

    reference = workshop.reference
    assert isinstance(reference, TorchReference)  # noqa: S101  (an ONNX source went the other way)
    return litert_from_torch(workshop.source.load(), reference.example(), precision=in_words(precision), fold=fold)


def _int8(workshop: Workshop, model: bytes, order: Int8Order, fold: Fold | None) -> dict[str, bytes]:
    from edgesdk_converters.steps.litert_places import litert_places

    kept = litert_places(order.model, model, order.keep_float)
    if order.keep_float and not kept:
        raise StepFailed(
            "int8_litert: none of the layers to keep in float was found in the LiteRT file.",
            hint="Name layers with weights: convolutions, or matrix products (`--explain` lists them).",
        )

    def run() -> dict[str, bytes]:
        content: bytes = run_step(
            f"{_STEPS}.int8_litert:int8_litert",
            tflite=model,
            samples={},
            ranges=None if order.last_resort else order.calibrating.litert_ranges(model, fold),
            mode="dynamic" if order.last_resort else "static",
            keep_float=kept,
            fold=fold,
        )
        return {"model": content}

    options = {**order.to_json(), **fold_key(fold)}
    return workshop.step("int8_litert", model, options, run, tools=_TOOLS)

"""OpenVINO: pixels go in as they are, the normalisation is part of the model."""

from __future__ import annotations

from edgesdk_converters.artifact import Artifact, Int8Order, Workshop
from edgesdk_converters.routes import in_words
from edgesdk_converters.steps.openvino_from_onnx import Fold
from edgesdk_targets.target import Precision
from edgesdk_targets.tensor import TensorSpec


def build_openvino(workshop: Workshop, precision: Precision, int8: Int8Order | None) -> Artifact:
    """Return the artifact for OpenVINO.

    Raises:
        StepFailed: an op has no counterpart, or nothing can be quantised.
    """
    fold = _fold(workshop)
    files = _float(workshop, precision, fold) if int8 is None else _int8(workshop, int8, fold)
    inputs = workshop.reference.inputs
    if fold is not None:
        image = inputs[0]
        batch, channels, height, width = image.shape
        pixels = TensorSpec(name=image.name, shape=(batch, height, width, channels), dtype="uint8", layout="NHWC")
        inputs = (pixels, *inputs[1:])
    return Artifact(files, inputs, workshop.reference.outputs, folded=fold is not None)


def _float(workshop: Workshop, precision: Precision, fold: Fold | None) -> dict[str, bytes]:
    from edgesdk_converters.steps.openvino_from_onnx import openvino_from_onnx

    model = workshop.onnx()

    def run() -> dict[str, bytes]:
        xml, weights = openvino_from_onnx(model, precision=in_words(precision), fold=fold)
        return {"model": xml, "weights": weights}

    options = {"precision": precision.value, **_said(fold)}
    return workshop.step("openvino_from_onnx", model, options, run, tools=("openvino",))


def _int8(workshop: Workshop, order: Int8Order, fold: Fold | None) -> dict[str, bytes]:
    from edgesdk_converters.steps.int8_openvino import int8_openvino

    model = workshop.onnx()

    def run() -> dict[str, bytes]:
        xml, weights = int8_openvino(model, order.calibrating.samples(), fold=fold, keep_float=order.keep_float)
        return {"model": xml, "weights": weights}

    options = {**order.to_json(), **_said(fold)}
    return workshop.step("int8_openvino", model, options, run, tools=("openvino", "nncf"))


def _fold(workshop: Workshop) -> Fold | None:
    """Return the normalisation to build into the model, where its first input is a picture that allows it."""
    preprocess, image = workshop.source.card.preprocess, workshop.reference.inputs[0]
    states = {state.input for state in workshop.source.card.state}
    is_plain = image.dtype == "float32" and image.layout == "NCHW" and len(image.shape) == 4
    if preprocess is None or image.name in states or not is_plain:
        return None
    return Fold(preprocess.color, preprocess.mean, preprocess.std)


def _said(fold: Fold | None) -> dict[str, object]:
    return {"fold": [fold.mean, fold.std] if fold else None}

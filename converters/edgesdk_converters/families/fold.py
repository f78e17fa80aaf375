"""Normalisation as part of the artifact: which models allow it, and what their picture input becomes."""

from __future__ import annotations

from edgesdk_converters.steps.openvino_from_onnx import Fold
from edgesdk_converters.workshop import Workshop
from edgesdk_targets.tensor import TensorSpec


def fold_of(workshop: Workshop) -> Fold | None:
    """Return the normalisation to build into the model, where its first input is a picture that allows it."""
    preprocess, image = workshop.source.card.preprocess, workshop.reference.inputs[0]
    states = {state.input for state in workshop.source.card.state}
    is_plain = image.dtype == "float32" and image.layout == "NCHW" and len(image.shape) == 4
    if preprocess is None or image.name in states or not is_plain:
        return None
    return Fold(preprocess.color, preprocess.mean, preprocess.std)


def folded_inputs(inputs: tuple[TensorSpec, ...], fold: Fold | None) -> tuple[TensorSpec, ...]:
    """Return the inputs with the picture as pixels, (N, H, W, C) uint8; unchanged where nothing is folded."""
    if fold is None:
        return inputs
    image = inputs[0]
    batch, channels, height, width = image.shape
    pixels = TensorSpec(name=image.name, shape=(batch, height, width, channels), dtype="uint8", layout="NHWC")
    return (pixels, *inputs[1:])


def fold_key(fold: Fold | None) -> dict[str, object]:
    """Return what a step's result depends on, for its key in the cache."""
    return {"fold": [fold.color_to, fold.mean, fold.std] if fold else None}

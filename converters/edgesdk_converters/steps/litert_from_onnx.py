"""Other people's ONNX → LiteRT, by way of a static torch module."""

from __future__ import annotations

from typing import Literal

from edgesdk_converters.steps.litert_from_torch import litert_from_torch
from edgesdk_converters.steps.torch_from_onnx import torch_from_onnx


def litert_from_onnx(onnx: bytes, *, precision: Literal["fp32", "fp16"]) -> bytes:
    """Convert a static ONNX model to LiteRT; inputs and outputs keep their order and float types.

    Args:
        onnx: every input has a fixed shape.
        precision: `fp16` stores the weights in half precision.

    Raises:
        InputError: it is no ONNX model, or a shape is not fixed.
        StepFailed: an op has no counterpart; the message names it and its node.
        MissingExtra: a converter's package is not installed.
    """
    module, example = torch_from_onnx(onnx)
    return litert_from_torch(module, example, precision=precision)

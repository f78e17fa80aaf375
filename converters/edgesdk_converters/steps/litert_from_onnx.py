"""ONNX → LiteRT, by way of torch, in a process of its own (litert-torch changes global state and may crash)."""

from __future__ import annotations

from typing import Literal

from edgesdk_converters.child import run_step
from edgesdk_converters.steps.openvino_from_onnx import Fold


def litert_from_onnx(onnx: bytes, *, precision: Literal["fp32", "fp16"], fold: Fold | None = None) -> bytes:
    """Convert an ONNX model with fixed shapes to a LiteRT flatbuffer.

    Inputs and outputs keep the file's order: `args_0`, … and `output_0`, … of the signature `serving_default`.

    Args:
        onnx: an ONNX file's bytes.
        precision: `fp16` stores weights as float16; computation and borders stay float32.
        fold: normalisation to build into the first input, which then is uint8 NHWC.

    Raises:
        InputError: it is no ONNX model, or a shape is not fixed.
        StepFailed: an operator cannot be converted (the message names it and its node), or the process died.
        MissingExtra: torch, onnx, litert-torch or ai-edge-quantizer is not installed.
    """
    content: bytes = run_step(
        "edgesdk_converters.steps.litert_from_onnx:litert_here", onnx=onnx, precision=precision, fold=fold
    )
    return content


def litert_here(onnx: bytes, precision: Literal["fp32", "fp16"], fold: Fold | None = None) -> bytes:
    """Convert in this process; as `litert_from_onnx` else."""
    from edgesdk_converters.steps.litert_from_torch import litert_from_torch
    from edgesdk_converters.steps.torch_from_onnx import torch_from_onnx

    module, example = torch_from_onnx(onnx)
    return litert_from_torch(module, example, precision=precision, fold=fold)

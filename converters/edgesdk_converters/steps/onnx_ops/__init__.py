"""ONNX operators said in torch, by family.

Rule: an operator is one function `(node, *tensors) -> tensor | tuple of tensors`. What ONNX passes as a tensor and torch
wants as a number (a shape, axes, pads, sizes, an index) is read from `node`, where it is already constant: nothing in
the resulting graph depends on a value, so every exporter of torch can follow it.
"""

from __future__ import annotations

from edgesdk_converters.steps.onnx_ops.activations import ACTIVATIONS
from edgesdk_converters.steps.onnx_ops.convolution import CONVOLUTION
from edgesdk_converters.steps.onnx_ops.elementwise import ELEMENTWISE
from edgesdk_converters.steps.onnx_ops.indexing import INDEXING
from edgesdk_converters.steps.onnx_ops.node import Node, Operator
from edgesdk_converters.steps.onnx_ops.normalisation import NORMALISATION
from edgesdk_converters.steps.onnx_ops.pooling import POOLING
from edgesdk_converters.steps.onnx_ops.recurrent import RECURRENT
from edgesdk_converters.steps.onnx_ops.reduction import REDUCTION
from edgesdk_converters.steps.onnx_ops.resizing import RESIZING
from edgesdk_converters.steps.onnx_ops.shaping import SHAPING

OPERATORS: dict[str, Operator] = {
    **ELEMENTWISE,
    **ACTIVATIONS,
    **CONVOLUTION,
    **POOLING,
    **NORMALISATION,
    **REDUCTION,
    **SHAPING,
    **INDEXING,
    **RESIZING,
    **RECURRENT,
}

__all__ = ["OPERATORS", "Node", "Operator"]

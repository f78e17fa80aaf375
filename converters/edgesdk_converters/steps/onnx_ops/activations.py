"""Activations with parameters; those without are in `elementwise`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from edgesdk_converters.steps.onnx_ops.node import Node, Operator


def _gelu(node: Node, x: Tensor) -> Tensor:
    return functional.gelu(x, approximate=node.text("approximate", "none"))


def _leaky_relu(node: Node, x: Tensor) -> Tensor:
    return functional.leaky_relu(x, node.number("alpha", 0.01))


def _elu(node: Node, x: Tensor) -> Tensor:
    return functional.elu(x, node.number("alpha", 1.0))


def _celu(node: Node, x: Tensor) -> Tensor:
    return functional.celu(x, node.number("alpha", 1.0))


def _selu(node: Node, x: Tensor) -> Tensor:
    alpha, gamma = node.number("alpha", 1.67326319217681884765625), node.number("gamma", 1.05070102214813232421875)
    return gamma * torch.where(x > 0, x, alpha * (torch.exp(torch.clamp(x, max=0.0)) - 1.0))


def _thresholded_relu(node: Node, x: Tensor) -> Tensor:
    return torch.where(x > node.number("alpha", 1.0), x, torch.zeros_like(x))


def _hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    return torch.clamp(node.number("alpha", 0.2) * x + node.number("beta", 0.5), 0.0, 1.0)


def _swish(node: Node, x: Tensor) -> Tensor:
    return x * torch.sigmoid(node.number("alpha", 1.0) * x)


def _prelu(node: Node, x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x < 0, slope * x, x)  # ONNX broadcasts the slope, torch's prelu does not


ACTIVATIONS: dict[str, Operator] = {
    "Celu": _celu,
    "Elu": _elu,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "LeakyRelu": _leaky_relu,
    "PRelu": _prelu,
    "Selu": _selu,
    "Swish": _swish,
    "ThresholdedRelu": _thresholded_relu,
}

"""Normalisations and softmax."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from edgesdk_converters.steps.onnx_ops.node import Node, Operator


def _batch(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    if node.integer("training_mode", 0):
        raise node.refuse("the graph was exported in training mode", hint="Export it after `model.eval()`.")
    return functional.batch_norm(x, mean, variance, scale, bias, False, 0.0, node.number("epsilon", 1e-5))


def _instance(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return functional.instance_norm(x, weight=scale, bias=bias, eps=node.number("epsilon", 1e-5))


def _layer(node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    if any(node.outputs[1:]):
        raise node.refuse("its mean or deviation is used as an output")
    axis = node.integer("axis", -1) % x.dim()
    shape = list(x.shape[axis:])
    bias = None if bias is None else bias.expand(shape)
    return functional.layer_norm(x, shape, scale.expand(shape), bias, node.number("epsilon", 1e-5))


def _rms(node: Node, x: Tensor, scale: Tensor) -> Tensor:
    axis = node.integer("axis", -1) % x.dim()
    power = (x * x).mean(list(range(axis, x.dim())), keepdim=True)
    return x * torch.rsqrt(power + node.number("epsilon", 1e-5)) * scale


def _group(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    groups = node.integer("num_groups", 1)
    if scale.numel() == groups != x.shape[1]:  # opset 18 gives one value a group, 21 one a channel
        scale, bias = (item.repeat_interleave(x.shape[1] // groups) for item in (scale, bias))
    return functional.group_norm(x, groups, scale, bias, node.number("epsilon", 1e-5))


def _lp(node: Node, x: Tensor) -> Tensor:
    axis, power = node.integer("axis", -1), node.integer("p", 2)
    norm = x.abs().sum(axis, keepdim=True) if power == 1 else torch.sqrt((x * x).sum(axis, keepdim=True))
    return x / torch.where(norm == 0, torch.ones_like(norm), norm)  # nothing stays nothing


def _local_response(node: Node, x: Tensor) -> Tensor:
    return functional.local_response_norm(
        x, node.integer("size", 1), node.number("alpha", 1e-4), node.number("beta", 0.75), node.number("bias", 1.0)
    )


def _softmax(node: Node, x: Tensor) -> Tensor:
    return torch.softmax(x, node.integer("axis", -1))


def _log_softmax(node: Node, x: Tensor) -> Tensor:
    return torch.log_softmax(x, node.integer("axis", -1))


NORMALISATION: dict[str, Operator] = {
    "BatchNormalization": _batch,
    "GroupNormalization": _group,
    "InstanceNormalization": _instance,
    "LRN": _local_response,
    "LayerNormalization": _layer,
    "LogSoftmax": _log_softmax,
    "LpNormalization": _lp,
    "RMSNormalization": _rms,
    "Softmax": _softmax,
}

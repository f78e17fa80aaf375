"""Reductions over axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from edgesdk_converters.steps.onnx_ops.node import Node, Operator

_Reduce: TypeAlias = Callable[[Tensor, list[int], bool], Tensor]


def _reduction(reduce: _Reduce) -> Operator:
    def operator(node: Node, x: Tensor, *_: Tensor | None) -> Tensor:
        axes = node.axes(x.dim())
        if not axes:
            if node.integer("noop_with_empty_axes", 0):
                return x
            axes = list(range(x.dim()))
        return reduce(x, sorted(axes), bool(node.integer("keepdims", 1)))

    return operator


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in reversed(axes):  # from the back, so that the axes still to come keep their place
        x = torch.prod(x, axis, keepdim=keep)
    return x


def _sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return torch.sum(x, axes, keepdim=keep, dtype=x.dtype)  # torch would widen whole numbers


def _arg(pick: Callable[[Tensor, int, bool], Tensor]) -> Operator:
    def operator(node: Node, x: Tensor) -> Tensor:
        if node.integer("select_last_index", 0):
            raise node.refuse("of equal values the last is wanted")
        return pick(x, node.integer("axis", 0), bool(node.integer("keepdims", 1)))

    return operator


def _top_k(node: Node, x: Tensor, *_: Tensor | None) -> tuple[Tensor, Tensor]:
    counts = node.known(1, "number of values to keep") or [node.integer("k", 1)]
    axis, largest = node.integer("axis", -1), bool(node.integer("largest", 1))
    if largest:
        return torch.topk(x, int(counts[0]), axis)
    values, places = torch.topk(-x, int(counts[0]), axis)  # LiteRT knows only the largest
    return -values, places


def _cumulative_sum(node: Node, x: Tensor, *_: Tensor) -> Tensor:
    axis = int((node.known(1, "axis") or [0])[0])
    backwards = bool(node.integer("reverse", 0))
    y = torch.flip(x, [axis]) if backwards else x
    total = torch.cumsum(y, axis, dtype=x.dtype)
    total = total - y if node.integer("exclusive", 0) else total
    return torch.flip(total, [axis]) if backwards else total


REDUCTION: dict[str, Operator] = {
    "ArgMax": _arg(lambda x, axis, keep: torch.argmax(x, axis, keepdim=keep)),
    "ArgMin": _arg(lambda x, axis, keep: torch.argmin(x, axis, keepdim=keep)),
    "CumSum": _cumulative_sum,
    "ReduceL1": _reduction(lambda x, axes, keep: _sum(x.abs(), axes, keep)),
    "ReduceL2": _reduction(lambda x, axes, keep: torch.sqrt(_sum(x * x, axes, keep))),
    "ReduceLogSum": _reduction(lambda x, axes, keep: torch.log(_sum(x, axes, keep))),
    "ReduceLogSumExp": _reduction(lambda x, axes, keep: torch.logsumexp(x, axes, keepdim=keep)),
    "ReduceMax": _reduction(lambda x, axes, keep: torch.amax(x, axes, keepdim=keep)),
    "ReduceMean": _reduction(lambda x, axes, keep: torch.mean(x, axes, keepdim=keep)),
    "ReduceMin": _reduction(lambda x, axes, keep: torch.amin(x, axes, keepdim=keep)),
    "ReduceProd": _reduction(_product),
    "ReduceSum": _reduction(_sum),
    "ReduceSumSquare": _reduction(lambda x, axes, keep: _sum(x * x, axes, keep)),
    "TopK": _top_k,
}

"""Ops that litert-torch lowers wrongly or not at all, said in ops that it lowers right. Exact, so parity is kept.

Each was seen to fail (litert-torch 0.10, litert-converter 0.5): a power with a number in five dimensions is not lowered (the
square in YOLOv5's head); nearest and linear resizing by a factor that is not the ratio of the two sizes looks at other
pixels, silently; a transposed convolution with padding or groups is lowered only in a few kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from edgesdk_converters.steps.onnx_ops.sampling import blend, linear_weights, positions


def avoid_traps(module: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """Replace, in place, the ops above by functions that the next export follows; return the module."""
    for node in module.graph.nodes:
        if node.op == "call_function" and node.target in _REWRITES:
            node.target = _REWRITES[node.target]
    module.recompile()
    return module


def _power(x: Tensor, exponent: float) -> Tensor:
    if exponent in (2, 3):
        return x * x if exponent == 2 else x * x * x
    return torch.pow(x.reshape(-1), exponent).reshape(x.shape) if x.dim() > 4 else torch.pow(x, exponent)


def _square(x: Tensor) -> Tensor:
    return x * x


def _target(x: Tensor, size: Sequence[int] | None, scales: Sequence[float] | None) -> tuple[list[int], list[float]]:
    """Return the height and width wanted, and the factors by which torch finds the pixels."""
    given = list(x.shape[2:])
    if size is not None:
        wanted = [int(length) for length in size]
        return wanted, [want / have for want, have in zip(wanted, given, strict=True)]
    factors = [float(scale) for scale in scales or ()]
    return [int(have * factor) for have, factor in zip(given, factors, strict=True)], factors


def _nearest(x: Tensor, size: Sequence[int] | None, scales: Sequence[float] | None) -> Tensor:
    wanted, factors = _target(x, size, scales)
    if all(factor.is_integer() for factor in factors):
        return functional.interpolate(x, size=wanted, mode="nearest")
    for axis, (want, factor) in enumerate(zip(wanted, factors, strict=True), start=2):
        last = x.shape[axis] - 1
        # as torch counts: by the two sizes where they are given, else by the factor
        step = x.shape[axis] / want if size is not None else 1.0 / factor
        x = torch.index_select(x, axis, torch.tensor([min(int(place * step), last) for place in range(want)]))
    return x


def _bilinear(x: Tensor, size: Sequence[int] | None, aligned: bool, scales: Sequence[float] | None) -> Tensor:
    wanted, factors = _target(x, size, scales)
    ratios = [want / have for want, have in zip(wanted, x.shape[2:], strict=True)]
    if aligned or factors == ratios:
        return functional.interpolate(x, size=wanted, mode="bilinear", align_corners=aligned)
    for axis, (want, factor) in enumerate(zip(wanted, factors, strict=True), start=2):
        places = positions(x.shape[axis], want, factor, "half_pixel")
        x = blend(x, axis, linear_weights(places, x.shape[axis]))
    return x


def _transposed(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    output_padding: Sequence[int] = (0, 0),
    groups: int = 1,
    dilation: Sequence[int] = (1, 1),
) -> Tensor:
    cut, extra = list(padding), list(output_padding)
    plain = not any(cut) and not any(extra) and groups == 1
    beyond = any(more > less for more, less in zip(extra, cut, strict=True))  # than the pixels reach: nothing to cut
    if plain or beyond:
        whole: Tensor = torch.ops.aten.conv_transpose2d.input(x, weight, bias, stride, cut, extra, groups, dilation)
        return whole
    parts = [_one_group(x, weight, group, groups, stride, dilation) for group in range(groups)]
    whole = torch.cat(parts, 1) if groups > 1 else parts[0]
    for axis, (less, more) in enumerate(zip(cut, extra, strict=True), start=2):
        whole = torch.narrow(whole, axis, less, whole.shape[axis] - 2 * less + more)
    return whole if bias is None else whole + bias.reshape(1, -1, 1, 1)


def _one_group(
    x: Tensor, weight: Tensor, group: int, groups: int, stride: Sequence[int], dilation: Sequence[int]
) -> Tensor:
    each = x.shape[1] // groups
    part = slice(group * each, (group + 1) * each)
    made: Tensor = torch.ops.aten.conv_transpose2d.input(
        x[:, part], weight[part], None, stride, (0, 0), (0, 0), 1, dilation
    )
    return made


_REWRITES: dict[Any, Callable[..., Tensor]] = {
    torch.ops.aten.pow.Tensor_Scalar: _power,
    torch.ops.aten.square.default: _square,
    torch.ops.aten.upsample_nearest2d.vec: _nearest,
    torch.ops.aten.upsample_bilinear2d.vec: _bilinear,
    torch.ops.aten.conv_transpose2d.input: _transposed,
}

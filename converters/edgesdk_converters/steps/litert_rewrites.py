"""Ops that litert-torch lowers wrongly or not at all, said in ops that it lowers right. Exact, so parity is kept.

Each was seen to fail (litert-torch 0.10, litert-converter 0.5): a power with a number in five dimensions is not lowered (the
square in YOLOv5's head); nearest and linear resizing by a factor that is not the ratio of the two sizes looks at other
pixels, silently; a transposed convolution with padding, other than the even kind, is not lowered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from edgesdk_converters.steps.onnx_ops.resizing import blend, linear_weights, positions

_ops = torch.ops.aten
_KEEP: Any = NotImplemented  # how a decomposition says that the op may stay


def without_traps(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Return the program with the ops above replaced; the same one where it has none."""
    if not any(node.target in _REWRITES for node in program.graph.nodes):
        return program
    plain: torch.export.ExportedProgram = program.run_decompositions(_REWRITES)
    return plain


def _power(x: Tensor, exponent: float) -> Tensor:
    if exponent in (2, 3):
        return x * x if exponent == 2 else x * x * x
    if x.dim() > 4:
        return torch.pow(x.reshape(-1), exponent).reshape(x.shape)
    return _KEEP  # type: ignore[no-any-return]


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
    if all(want == have * factor and factor.is_integer() for want, have, factor in zip(wanted, x.shape[2:], factors, strict=True)):
        return _KEEP  # type: ignore[no-any-return]
    for axis, (want, factor) in enumerate(zip(wanted, factors, strict=True), start=2):
        last = x.shape[axis] - 1
        x = torch.index_select(x, axis, torch.tensor([min(int(place / factor), last) for place in range(want)]))
    return x


def _bilinear(x: Tensor, size: Sequence[int] | None, aligned: bool, scales: Sequence[float] | None) -> Tensor:
    wanted, factors = _target(x, size, scales)
    ratios = [want / have for want, have in zip(wanted, x.shape[2:], strict=True)]
    if aligned or factors == ratios:
        return _KEEP  # type: ignore[no-any-return]
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
    if not any(cut) and not any(extra) and groups == 1:
        return _KEEP  # type: ignore[no-any-return]
    if any(more > less for more, less in zip(extra, cut, strict=True)):
        return _KEEP  # type: ignore[no-any-return]  # more than the pixels reach: nothing to cut it from
    parts = zip(x.chunk(groups, 1), weight.chunk(groups, 0), strict=True)
    whole = torch.cat([_ops.conv_transpose2d.input(a, w, None, stride, (0, 0), (0, 0), 1, dilation) for a, w in parts], 1)
    for axis, (less, more) in enumerate(zip(cut, extra, strict=True), start=2):
        whole = torch.narrow(whole, axis, less, whole.shape[axis] - 2 * less + more)
    return whole if bias is None else whole + bias.reshape(1, -1, 1, 1)


_REWRITES: dict[Any, Callable[..., Tensor]] = {
    _ops.pow.Tensor_Scalar: _power,
    _ops.square.default: _square,
    _ops.upsample_nearest2d.vec: _nearest,
    _ops.upsample_bilinear2d.vec: _bilinear,
    _ops.conv_transpose2d.input: _transposed,
}

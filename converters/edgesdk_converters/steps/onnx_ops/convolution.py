"""Convolutions in one to three dimensions, with ONNX's paddings made explicit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from edgesdk_converters.steps.onnx_ops.node import Node, Operator

_CONVOLVE = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


def paddings(
    node: Node, size: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> list[int]:
    """Return the pads, all begins then all ends, for `auto_pad` or as the node gives them."""
    mode, count = node.text("auto_pad", "NOTSET"), len(kernel)
    if mode == "VALID":
        return [0] * (2 * count)
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        return node.integers("pads") or [0] * (2 * count)
    begins, ends = [], []
    for length, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        total = max(0, (-(-length // s) - 1) * s + (k - 1) * d + 1 - length)
        small, large = total // 2, total - total // 2
        begins.append(small if mode == "SAME_UPPER" else large)
        ends.append(large if mode == "SAME_UPPER" else small)
    return begins + ends


def pad(x: Tensor, pads: Sequence[int], value: float) -> Tensor:
    """Pad the last dimensions; `pads` is all begins, then all ends, as ONNX writes them."""
    if not any(pads):
        return x
    count = len(pads) // 2
    backwards = [amount for axis in reversed(range(count)) for amount in (pads[axis], pads[axis + count])]
    return functional.pad(x, backwards, value=value)


def _convolution(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    kernel = list(weight.shape[2:])
    count = len(kernel)
    if count not in _CONVOLVE:
        raise node.refuse(f"a convolution over {count} dimensions")
    stride = node.integers("strides") or [1] * count
    dilation = node.integers("dilations") or [1] * count
    pads = paddings(node, x.shape[2:], kernel, stride, dilation)
    symmetric = pads[:count] == pads[count:]
    x = x if symmetric else pad(x, pads, 0.0)
    padding = pads[:count] if symmetric else [0] * count
    return _CONVOLVE[count](x, weight, bias, stride, padding, dilation, node.integer("group", 1))


def _transposed(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    kernel = list(weight.shape[2:])
    count = len(kernel)
    if count not in _TRANSPOSED:
        raise node.refuse(f"a convolution over {count} dimensions")
    stride = node.integers("strides") or [1] * count
    dilation = node.integers("dilations") or [1] * count
    extra = node.integers("output_padding") or [0] * count
    whole = [
        s * (length - 1) + e + (k - 1) * d + 1
        for length, s, e, k, d in zip(x.shape[2:], stride, extra, kernel, dilation, strict=True)
    ]
    wanted = node.integers("output_shape")
    if wanted is not None:  # more than the pixels reach: the rest is output padding
        missing = [max(0, want - have) for want, have in zip(wanted[-count:], whole, strict=True)]
        extra = [e + more for e, more in zip(extra, missing, strict=True)]
        whole = [have + more for have, more in zip(whole, missing, strict=True)]
    pads = _transposed_pads(node, list(x.shape[2:]), stride, whole)
    group = node.integer("group", 1)
    if pads[:count] == pads[count:]:
        return _TRANSPOSED[count](x, weight, bias, stride, pads[:count], extra, group, dilation)
    y = _TRANSPOSED[count](x, weight, bias, stride, [0] * count, extra, group, dilation)
    for axis in range(count):
        y = torch.narrow(y, axis + 2, pads[axis], whole[axis] - pads[axis] - pads[axis + count])
    return y


def _transposed_pads(node: Node, size: Sequence[int], stride: Sequence[int], whole: Sequence[int]) -> list[int]:
    """Return what is cut from the whole result: as given, or so that the wanted size remains."""
    mode, count = node.text("auto_pad", "NOTSET"), len(size)
    wanted = node.integers("output_shape")
    if wanted is None and mode not in ("SAME_UPPER", "SAME_LOWER"):
        return [0] * (2 * count) if mode == "VALID" else node.integers("pads") or [0] * (2 * count)
    wanted = wanted or [length * s for length, s in zip(size, stride, strict=True)]
    begins, ends = [], []
    for have, want in zip(whole, wanted[-count:], strict=True):
        total = max(0, have - want)
        small, large = total // 2, total - total // 2
        begins.append(small if mode == "SAME_UPPER" else large)
        ends.append(large if mode == "SAME_UPPER" else small)
    return begins + ends


CONVOLUTION: dict[str, Operator] = {"Conv": _convolution, "ConvTranspose": _transposed}

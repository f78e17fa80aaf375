"""Pooling in one to three dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edgesdk_converters.steps.onnx_ops.convolution import pad, paddings
from edgesdk_converters.steps.onnx_ops.node import Node, Operator

_MAX = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_AVERAGE = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


def _window(node: Node, x: Tensor) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
    """Return kernel, stride, dilation, pads, and the pads that `ceil_mode` adds at the ends."""
    kernel = node.integers("kernel_shape") or []
    count = len(kernel)
    if count not in _MAX:
        raise node.refuse(f"pooling over {count} dimensions")
    stride = node.integers("strides") or [1] * count
    dilation = node.integers("dilations") or [1] * count
    pads = paddings(node, x.shape[2:], kernel, stride, dilation)
    extra = [0] * count
    if node.integer("ceil_mode", 0):
        for axis, length in enumerate(x.shape[2:]):
            begin, end = pads[axis], pads[axis + count]
            reach = (kernel[axis] - 1) * dilation[axis] + 1
            steps = -(-(length + begin + end - reach) // stride[axis])
            if steps * stride[axis] >= length + begin:  # a window wholly in the padding does not count
                steps -= 1
            extra[axis] = max(0, steps * stride[axis] + reach - (length + begin + end))
    return kernel, stride, dilation, pads, extra


def _max_pool(node: Node, x: Tensor) -> Tensor:
    if len(node.outputs) > 1 and node.outputs[1]:
        raise node.refuse("its second output, the indices, is used")
    kernel, stride, dilation, pads, extra = _window(node, x)
    count = len(kernel)
    symmetric = pads[:count] == pads[count:] and not any(extra)
    if symmetric and all(p <= k // 2 for p, k in zip(pads, kernel, strict=False)):
        return _MAX[count](x, kernel, stride, pads[:count], dilation)
    whole = pads[:count] + [p + e for p, e in zip(pads[count:], extra, strict=True)]
    lowest = torch.finfo(x.dtype).min if x.is_floating_point() else torch.iinfo(x.dtype).min
    return _MAX[count](pad(x, whole, lowest), kernel, stride, 0, dilation)


def _average_pool(node: Node, x: Tensor) -> Tensor:
    kernel, stride, dilation, pads, extra = _window(node, x)
    count = len(kernel)
    if any(d != 1 for d in dilation):
        raise node.refuse("dilated average pooling")
    counted = bool(node.integer("count_include_pad", 0))
    symmetric = pads[:count] == pads[count:] and not any(extra)
    if symmetric and all(p <= k // 2 for p, k in zip(pads, kernel, strict=False)):
        return _AVERAGE[count](x, kernel, stride, pads[:count], False, counted)
    whole = pads[:count] + [p + e for p, e in zip(pads[count:], extra, strict=True)]
    mean = _AVERAGE[count](pad(x, whole, 0.0), kernel, stride, 0)
    return mean * _share(list(x.shape[2:]), kernel, stride, pads, extra, counted).to(x.dtype)


def _share(
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    pads: Sequence[int],
    extra: Sequence[int],
    counted: bool,
) -> Tensor:
    """Return window size over counted cells, for each output position: what turns a padded mean into ONNX's."""
    share, count = np.ones((), np.float32), len(kernel)
    for axis in range(count):
        begin, end = pads[axis], pads[axis + count]
        first, last = (0, begin + size[axis] + end) if counted else (begin, begin + size[axis])
        total = begin + size[axis] + end + extra[axis]
        starts = range(0, total - kernel[axis] + 1, stride[axis])
        cells = [min(start + kernel[axis], last) - max(start, first) for start in starts]
        share = np.multiply.outer(share, kernel[axis] / np.array(cells, np.float32))
    return torch.tensor(share.tolist(), dtype=torch.float32)


def _global_average(node: Node, x: Tensor) -> Tensor:
    return x.mean(tuple(range(2, x.dim())), keepdim=True)


def _global_max(node: Node, x: Tensor) -> Tensor:
    return x.amax(tuple(range(2, x.dim())), keepdim=True)


POOLING: dict[str, Operator] = {
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average,
    "GlobalMaxPool": _global_max,
    "MaxPool": _max_pool,
}

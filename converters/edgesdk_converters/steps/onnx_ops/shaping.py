"""Operators that move elements without changing them; every shape is a constant."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from edgesdk_converters.steps.onnx_ops.convolution import pad as pad_zeros
from edgesdk_converters.steps.onnx_ops.elementwise import TORCH_TYPES
from edgesdk_converters.steps.onnx_ops.node import Array, Node, Operator


def _reshape(node: Node, x: Tensor, *_: Tensor) -> Tensor:
    wanted = [int(length) for length in node.known(1, "shape") or node.integers("shape") or []]
    if not node.integer("allowzero", 0):
        wanted = [x.shape[axis] if length == 0 else length for axis, length in enumerate(wanted)]
    return torch.reshape(x, wanted)


def _flatten(node: Node, x: Tensor) -> Tensor:
    axis = node.integer("axis", 1)
    axis = axis + x.dim() if axis < 0 else axis
    return torch.reshape(
        x, [int(np.prod(x.shape[:axis], dtype=np.int64)), int(np.prod(x.shape[axis:], dtype=np.int64))]
    )


def _transpose(node: Node, x: Tensor) -> Tensor:
    return torch.permute(x, node.integers("perm") or list(reversed(range(x.dim()))))


def _squeeze(node: Node, x: Tensor, *_: Tensor) -> Tensor:
    axes = node.axes(x.dim())
    axes = [axis for axis, length in enumerate(x.shape) if length == 1] if axes is None else axes
    return torch.reshape(x, [length for axis, length in enumerate(x.shape) if axis not in axes])


def _unsqueeze(node: Node, x: Tensor, *_: Tensor) -> Tensor:
    axes = node.integers("axes") or node.known(1, "axes") or []
    rank = x.dim() + len(axes)
    lengths = iter(x.shape)
    places = {int(axis) % rank for axis in axes}
    return torch.reshape(x, [1 if axis in places else next(lengths) for axis in range(rank)])


def _expand(node: Node, x: Tensor, *_: Tensor) -> Tensor:
    wanted = [int(length) for length in node.known(1, "shape") or []]
    return torch.broadcast_to(x, torch.broadcast_shapes(tuple(x.shape), tuple(wanted)))


def _tile(node: Node, x: Tensor, *_: Tensor) -> Tensor:
    return x.repeat([int(count) for count in node.known(1, "repeats") or []])


def _concat(node: Node, *items: Tensor) -> Tensor:
    return torch.cat(items, node.integer("axis", 0))


def _split(node: Node, x: Tensor, *_: Tensor) -> tuple[Tensor, ...]:
    axis = node.integer("axis", 0)
    sizes = node.integers("split") or node.known(1, "sizes")
    if sizes is None:
        count = node.integer("num_outputs", len(node.outputs))
        each = -(-x.shape[axis] // count)
        sizes = [each] * (count - 1) + [x.shape[axis] - each * (count - 1)]
    return torch.split(x, [int(size) for size in sizes], axis)


def _slice(node: Node, x: Tensor, *_: Tensor) -> Tensor:
    starts = node.integers("starts") or node.known(1, "starts") or []
    ends = node.integers("ends") or node.known(2, "ends") or []
    axes = node.axes(x.dim(), 3) or list(range(len(starts)))
    steps = node.known(4, "steps") or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        places = range(x.shape[axis])[int(start) : int(end) : int(step)]  # Python clamps as ONNX does
        x = pick(x, axis, places)
    return x


def pick(x: Tensor, axis: int, places: range) -> Tensor:
    """Return the elements of an axis at evenly spaced places; a negative step reverses them."""
    if places == range(x.shape[axis]):
        return x
    if len(places) == 0:
        return torch.narrow(x, axis, 0, 0)
    backwards = places.step < 0
    upwards = places[::-1] if backwards else places
    index = [slice(None)] * axis + [slice(upwards[0], upwards[-1] + 1, upwards.step)]
    x = x[tuple(index)]
    return torch.flip(x, [axis]) if backwards else x


def _pad(node: Node, x: Tensor, *_: Tensor | None) -> Tensor:
    given = node.integers("pads") or node.known(1, "pads") or []
    axes = node.axes(x.dim(), 3) or list(range(x.dim()))
    count = len(axes)
    pads = [0] * (2 * x.dim())
    for place, axis in enumerate(axes):
        pads[axis], pads[axis + x.dim()] = int(given[place]), int(given[place + count])
    mode = node.text("mode", "constant")
    if mode == "constant":
        value = (node.known(2, "value") or [node.number("value", 0.0)])[0]
        return pad_zeros(x, pads, value)
    for axis in range(x.dim()):
        before, after = pads[axis], pads[axis + x.dim()]
        if before or after:  # numpy decides which element comes where; the graph only looks it up
            places = np.pad(np.arange(x.shape[axis]), (before, after), mode=mode)  # type: ignore[call-overload]
            x = torch.index_select(x, axis, torch.tensor(places.tolist()))
    return x


def _depth_to_space(node: Node, x: Tensor) -> Tensor:
    block = node.integer("blocksize", 1)
    n, c, h, w = x.shape
    small = c // block**2
    if node.text("mode", "DCR") == "DCR":
        x = x.reshape(n, block, block, small, h, w).permute(0, 3, 4, 1, 5, 2)
    else:
        x = x.reshape(n, small, block, block, h, w).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(n, small, h * block, w * block)


def _space_to_depth(node: Node, x: Tensor) -> Tensor:
    block = node.integer("blocksize", 1)
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // block, block, w // block, block)
    x = x.permute(0, 3, 5, 1, 2, 4) if node.text("mode", "DCR") == "DCR" else x.permute(0, 1, 3, 5, 2, 4)
    return x.reshape(n, c * block**2, h // block, w // block)


def _constant_of_shape(node: Node, *_: Tensor) -> Tensor:
    value = node.attributes.get("value")
    filler: Array = np.zeros(1, np.float32) if value is None else np.asarray(value)
    shape = [int(length) for length in node.known(0, "shape") or []]
    return torch.from_numpy(np.full(shape, filler.reshape(-1)[0]))


def _range(node: Node, *_: Tensor) -> Tensor:
    start, limit, step = (node.array(index, "bounds").reshape(-1) for index in range(3))
    return torch.from_numpy(np.arange(start[0], limit[0], step[0], dtype=start.dtype))


def _eye_like(node: Node, x: Tensor) -> Tensor:
    kind = TORCH_TYPES.get(node.integer("dtype", 0), x.dtype)
    rows, columns = x.shape
    return torch.from_numpy(np.eye(rows, columns, node.integer("k", 0))).to(kind)


def _triangle(node: Node, x: Tensor, *_: Tensor) -> Tensor:
    offset = int((node.known(1, "diagonal") or [0])[0])
    return torch.triu(x, offset) if node.integer("upper", 1) else torch.tril(x, offset)


SHAPING: dict[str, Operator] = {
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "EyeLike": _eye_like,
    "Flatten": _flatten,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _triangle,
    "Unsqueeze": _unsqueeze,
}

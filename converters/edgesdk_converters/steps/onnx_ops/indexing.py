"""Operators that look elements up, or put them somewhere."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from edgesdk_converters.steps.onnx_ops.node import Node, Operator
from edgesdk_converters.steps.onnx_ops.shaping import pick


def _from_the_front(index: Tensor, length: int) -> Tensor:
    """Count negative places from the front, as torch's lookups need."""
    return torch.where(index < 0, index + length, index)


def _gather(node: Node, x: Tensor, index: Tensor) -> Tensor:
    axis = node.integer("axis", 0) % x.dim()
    if 1 in node.constants:
        return _gather_known(x, axis, np.asarray(node.constants[1]) % x.shape[axis])
    flat = _from_the_front(index, x.shape[axis]).reshape(-1)
    found = torch.index_select(x, axis, flat)
    return torch.reshape(found, [*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]])


def _gather_known(x: Tensor, axis: int, places: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Tensor:
    """Look up places known beforehand: as a slice where they are evenly spaced, which every runtime does for free."""
    if places.ndim == 0:
        return torch.select(x, axis, int(places))
    flat = places.reshape(-1).tolist()
    step = flat[1] - flat[0] if len(flat) > 1 else 1
    even = range(flat[0], flat[0] + step * len(flat), step) if flat and step else range(0)
    found = pick(x, axis, even) if list(even) == flat else torch.index_select(x, axis, torch.tensor(flat))
    return torch.reshape(found, [*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]])


def _gather_elements(node: Node, x: Tensor, index: Tensor) -> Tensor:
    axis = node.integer("axis", 0) % x.dim()
    return torch.gather(x, axis, _from_the_front(index.to(torch.int64), x.shape[axis]))


def _gather_nd(node: Node, x: Tensor, index: Tensor) -> Tensor:
    if node.integer("batch_dims", 0):
        raise node.refuse("batch_dims")
    depth = index.shape[-1]
    return x[_parts(x, index)] if depth else x


def _scatter_nd(node: Node, x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    reduction = node.text("reduction", "none")
    if reduction not in ("none", "add"):
        raise node.refuse(f"reduction {reduction}")
    return torch.index_put(x, _parts(x, index), updates, accumulate=reduction == "add")


def _parts(x: Tensor, index: Tensor) -> tuple[Tensor, ...]:
    """Return the places along each axis that an index's last dimension addresses."""
    count = index.shape[-1]
    return tuple(_from_the_front(torch.select(index, -1, axis), x.shape[axis]) for axis in range(count))


def _scatter_elements(node: Node, x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    reduction = node.text("reduction", "none")
    axis = node.integer("axis", 0) % x.dim()
    places = _from_the_front(index.to(torch.int64), x.shape[axis])
    if reduction == "none":
        return torch.scatter(x, axis, places, updates)
    if reduction == "add":
        return torch.scatter_add(x, axis, places, updates)
    raise node.refuse(f"reduction {reduction}")


def _one_hot(node: Node, index: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    count = int((node.known(1, "depth") or [0])[0])
    axis = node.integer("axis", -1)
    places = _from_the_front(index.to(torch.int64), count).unsqueeze(axis if axis >= 0 else axis % (index.dim() + 1))
    shape = [1] * places.dim()
    shape[axis] = count
    hot = places == torch.arange(count).reshape(shape)
    return torch.where(hot, values[1], values[0])


INDEXING: dict[str, Operator] = {
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "OneHot": _one_hot,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
}

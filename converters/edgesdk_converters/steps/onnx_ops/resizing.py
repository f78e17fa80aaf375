"""Resize and Upsample: the pixel each output looks at is computed here, so that every coordinate rule of ONNX is exact.

Rule: where torch's own `interpolate` looks at the same pixels, it is used (runtimes have a fast kernel for it); otherwise
nearest becomes a lookup, and linear and cubic a small matrix for each axis.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edgesdk_converters.steps.onnx_ops.node import Node, Operator
from edgesdk_converters.steps.onnx_ops.sampling import blend, cubic_weights, linear_weights, positions


def _resize(node: Node, x: Tensor, *_: Tensor | None) -> Tensor:
    sizes, scales = _sizes(node, x)
    rule = node.text("coordinate_transformation_mode", "half_pixel" if node.op == "Resize" else "asymmetric")
    if rule == "tf_crop_and_resize":
        raise node.refuse(f"coordinates by {rule}")
    if node.integer("antialias", 0) or node.integer("exclude_outside", 0):
        raise node.refuse("antialias or exclude_outside")
    mode = node.text("mode", "nearest")
    changed = [axis for axis in range(x.dim()) if sizes[axis] != x.shape[axis]]
    if not changed:
        return x
    places = {axis: positions(x.shape[axis], sizes[axis], scales[axis], rule) for axis in changed}
    if mode == "nearest":
        return _nearest(node, x, sizes, places)
    return _weighted(node, x, sizes, places, rule)


def _sizes(node: Node, x: Tensor) -> tuple[list[int], list[float]]:
    """Return the output's size and the scale, for every axis of the input."""
    sizes, scales = list(x.shape), [1.0] * x.dim()
    axes = (node.integers("axes") if node.op == "Resize" else None) or list(range(x.dim()))
    where = {"scales": 2, "sizes": 3} if node.op == "Resize" and len(node.inputs) > 2 else {"scales": 1, "sizes": 9}
    given = node.known(where["scales"], "scales") or node.attributes.get("scales")
    if given:
        for axis, scale in zip(axes, given, strict=True):  # type: ignore[call-overload]
            sizes[axis], scales[axis] = math.floor(x.shape[axis] * scale), float(scale)
        return sizes, scales
    wanted = node.known(where["sizes"], "sizes")
    if not wanted:
        raise node.refuse("neither scales nor sizes")
    ratios = [float(size) / x.shape[axis] for axis, size in zip(axes, wanted, strict=True)]
    policy = node.text("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        ratio = min(ratios) if policy == "not_larger" else max(ratios)
        ratios = [ratio] * len(ratios)
        wanted = [math.floor(ratio * x.shape[axis] + 0.5) for axis in axes]
    for axis, size, ratio in zip(axes, wanted, ratios, strict=True):
        sizes[axis], scales[axis] = int(size), ratio
    return sizes, scales


def _nearest(node: Node, x: Tensor, sizes: list[int], positions_of: dict[int, list[float]]) -> Tensor:
    rounding = node.text("nearest_mode", "round_prefer_floor" if node.op == "Resize" else "floor")
    choose = {
        "floor": math.floor,
        "ceil": math.ceil,
        "round_prefer_floor": lambda place: math.ceil(place - 0.5),
        "round_prefer_ceil": lambda place: math.floor(place + 0.5),
    }[rounding]
    chosen = {
        axis: [min(max(choose(place), 0), x.shape[axis] - 1) for place in places]
        for axis, places in positions_of.items()
    }
    # by whole factors only: for others LiteRT's kernel looks elsewhere than torch does
    plain = {axis: [i * x.shape[axis] // sizes[axis] for i in range(sizes[axis])] for axis in chosen}
    whole = all(sizes[axis] % x.shape[axis] == 0 for axis in chosen)
    if x.dim() == 4 and min(chosen) >= 2 and whole and chosen == plain:
        return functional.interpolate(x, size=sizes[2:], mode="nearest")
    for axis, places in chosen.items():
        x = torch.index_select(x, axis, torch.tensor(places))
    return x


def _weighted(node: Node, x: Tensor, sizes: list[int], positions_of: dict[int, list[float]], rule: str) -> Tensor:
    aligned = rule == "align_corners"
    linear = node.text("mode", "linear") != "cubic"
    if linear and x.dim() == 4 and min(positions_of) >= 2 and _torch_agrees(x, sizes, positions_of, aligned):
        return functional.interpolate(x, size=sizes[2:], mode="bilinear", align_corners=aligned)
    coefficient = node.number("cubic_coeff_a", -0.75)
    for axis, places in positions_of.items():
        length = x.shape[axis]
        x = blend(x, axis, linear_weights(places, length) if linear else cubic_weights(places, length, coefficient))
    return x


def _torch_agrees(x: Tensor, sizes: list[int], positions_of: dict[int, list[float]], aligned: bool) -> bool:
    """Tell whether torch, which derives the scale from the two sizes, looks at the same places."""
    rule = "align_corners" if aligned else "half_pixel"
    return all(
        np.allclose(places, positions(x.shape[axis], sizes[axis], sizes[axis] / x.shape[axis], rule), atol=1e-6)
        for axis, places in positions_of.items()
    )


def _grid_sample(node: Node, x: Tensor, grid: Tensor) -> Tensor:
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(node.text("mode", "linear"), node.text("mode", "linear"))
    aligned = bool(node.integer("align_corners", 0))
    return functional.grid_sample(
        x, grid, mode=mode, padding_mode=node.text("padding_mode", "zeros"), align_corners=aligned
    )


RESIZING: dict[str, Operator] = {"GridSample": _grid_sample, "Resize": _resize, "Upsample": _resize}

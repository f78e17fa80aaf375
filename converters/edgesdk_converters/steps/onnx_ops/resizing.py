"""Resize and Upsample: the pixel each output looks at is computed here, so that every coordinate rule of ONNX is exact.

Rule: where torch's own `interpolate` looks at the same pixels, it is used (runtimes have a fast kernel for it); otherwise
nearest becomes a lookup, and linear and cubic a small matrix for each axis.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from edgesdk_converters.steps.onnx_ops.node import Node, Operator

_Weights: TypeAlias = npt.NDArray[np.float64]  # (out, in): row i says what output i is made of


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


def positions(length: int, wanted: int, scale: float, rule: str) -> list[float]:
    """Return where in the input, in pixels, each output element lies."""
    if rule == "align_corners":
        return [0.0 if wanted == 1 else i * (length - 1) / (wanted - 1) for i in range(wanted)]
    if rule == "asymmetric":
        return [i / scale for i in range(wanted)]
    if rule == "pytorch_half_pixel" and wanted == 1:
        return [0.0]
    shift = 0.5 * length * (1 - wanted / (scale * length)) if rule == "half_pixel_symmetric" else 0.0
    return [shift + (i + 0.5) / scale - 0.5 for i in range(wanted)]


def _nearest(node: Node, x: Tensor, sizes: list[int], positions: dict[int, list[float]]) -> Tensor:
    rounding = node.text("nearest_mode", "round_prefer_floor" if node.op == "Resize" else "floor")
    choose = {
        "floor": math.floor,
        "ceil": math.ceil,
        "round_prefer_floor": lambda place: math.ceil(place - 0.5),
        "round_prefer_ceil": lambda place: math.floor(place + 0.5),
    }[rounding]
    chosen = {
        axis: [min(max(choose(place), 0), x.shape[axis] - 1) for place in places] for axis, places in positions.items()
    }
    # by whole factors only: for others LiteRT's kernel looks elsewhere than torch does
    plain = {axis: [i * x.shape[axis] // sizes[axis] for i in range(sizes[axis])] for axis in chosen}
    whole = all(sizes[axis] % x.shape[axis] == 0 for axis in chosen)
    if x.dim() == 4 and min(chosen) >= 2 and whole and chosen == plain:
        return functional.interpolate(x, size=sizes[2:], mode="nearest")
    for axis, places in chosen.items():
        x = torch.index_select(x, axis, torch.tensor(places))
    return x


def _weighted(node: Node, x: Tensor, sizes: list[int], positions: dict[int, list[float]], rule: str) -> Tensor:
    cubic = node.text("mode", "linear") == "cubic"
    if (
        not cubic
        and x.dim() == 4
        and min(positions) >= 2
        and rule != "asymmetric"
        and _torch_agrees(x, sizes, positions, rule)
    ):
        return functional.interpolate(x, size=sizes[2:], mode="bilinear", align_corners=rule == "align_corners")
    kind = x.dtype
    for axis, places in positions.items():
        weights = (
            _cubic(places, x.shape[axis], node.number("cubic_coeff_a", -0.75))
            if cubic
            else linear_weights(places, x.shape[axis])
        )
        matrix = torch.tensor(weights.tolist(), dtype=kind)
        x = torch.movedim(torch.matmul(torch.movedim(x, axis, -1), matrix.t()), -1, axis)
    return x


def _torch_agrees(x: Tensor, sizes: list[int], positions: dict[int, list[float]], rule: str) -> bool:
    """Tell whether torch, which derives the scale from the two sizes, looks at the same places."""
    for axis, places in positions.items():
        length, wanted = x.shape[axis], sizes[axis]
        expected = positions(
            length, wanted, wanted / length, "align_corners" if rule == "align_corners" else "half_pixel"
        )
        if not np.allclose(places, expected, atol=1e-6):
            return False
    return True


def linear_weights(places: list[float], length: int) -> _Weights:
    weights = np.zeros((len(places), length))
    for row, place in enumerate(places):
        inside = min(max(place, 0.0), length - 1.0)
        low = min(math.floor(inside), length - 1)
        high = min(low + 1, length - 1)
        weights[row, low] += 1.0 - (inside - low)
        weights[row, high] += inside - low
    return weights


def _cubic(places: list[float], length: int, a: float) -> _Weights:
    def weight(distance: float) -> float:
        d = abs(distance)
        if d <= 1:
            return ((a + 2) * d - (a + 3)) * d * d + 1
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a if d < 2 else 0.0

    weights = np.zeros((len(places), length))
    for row, place in enumerate(places):
        low = math.floor(place)
        for tap in range(low - 1, low + 3):
            weights[row, min(max(tap, 0), length - 1)] += weight(place - tap)
    return weights


def _grid_sample(node: Node, x: Tensor, grid: Tensor) -> Tensor:
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(node.text("mode", "linear"), node.text("mode", "linear"))
    aligned = bool(node.integer("align_corners", 0))
    return functional.grid_sample(
        x, grid, mode=mode, padding_mode=node.text("padding_mode", "zeros"), align_corners=aligned
    )


RESIZING: dict[str, Operator] = {"GridSample": _grid_sample, "Resize": _resize, "Upsample": _resize}

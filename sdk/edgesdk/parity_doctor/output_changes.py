"""The usual ways in which an application's outputs differ from the bundle's, made from the bundle's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgesdk.parity_doctor.output_parts import Part
from edgesdk_targets.decode.activation import sigmoid, softmax
from edgesdk_targets.tensor import Array

# Two arrays that should be equal, up to what the second element says, and the mistakes that make them so.
Change = tuple[tuple[str, ...], Array, Array]
_TINY = 1e-30


def score_changes(own: Array, given: Array, part: Part) -> Iterator[Change]:
    """Yield pairs (made, given) for scores with their classes on the last axis."""
    for of_labels, mine, theirs in _shifted(own, given):
        for of_activation, made, shown in _activated(mine, theirs, part):
            yield (*of_activation, *of_labels), made, shown


def _shifted(own: Array, given: Array) -> Iterator[Change]:
    classes, other = own.shape[-1], given.shape[-1]
    if classes == other:
        yield (), own, given
        if classes > 2:
            yield ("label_offset:+1",), np.roll(own, 1, axis=-1), given
            yield ("label_offset:-1",), np.roll(own, -1, axis=-1), given
    elif other == classes + 1:
        yield ("background_added:beginning",), own, given[..., 1:]
        yield ("background_added:end",), own, given[..., :-1]
    elif other == classes - 1:
        yield ("background_dropped:first",), own[..., 1:], given
        yield ("background_dropped:last",), own[..., :-1], given


def _activated(own: Array, given: Array, part: Part) -> Iterator[Change]:
    yield (), own, given
    if part.activation == "none":
        # Softmax forgets a constant of each row, so the dump is brought to probabilities instead.
        yield ("softmax_missing",), own, softmax(given)
        yield ("sigmoid_missing",), own, sigmoid(given)
        yield ("softmax_twice",), softmax(own), given
        yield ("sigmoid_twice",), sigmoid(own), given
        return
    apply = softmax if part.activation == "softmax" else sigmoid
    wrong = "sigmoid" if part.activation == "softmax" else "softmax"
    yield (f"{part.activation}_applied",), apply(own), given
    yield (f"{part.activation}_twice",), apply(apply(own)), given
    yield (f"wrong_activation:{wrong}",), (sigmoid(own) if wrong == "sigmoid" else softmax(own)), given


def box_changes(own: Array, given: Array, part: Part, size: tuple[int, int]) -> Iterator[Change]:
    """Yield pairs (made, given) for boxes (…, 4); `size` is the input's height and width."""
    corners = _corners(own, part.box_format)
    height, width = size
    scale = np.array([width, height, width, height], np.float64)
    other = ("unit", 1 / scale) if part.box_units == "pixels" else ("pixels", scale)
    units: dict[str, Array] = {part.box_units: np.ones(4), other[0]: other[1]}
    for form, made in _forms(corners).items():
        for unit, factor in units.items():
            mistakes = () if form == part.box_format else (f"box_format:{form}",)
            if unit != part.box_units:
                mistakes = (*mistakes, f"box_units:{'fractions' if unit == 'unit' else 'pixels'}")
            scaled = made * (factor[[1, 0, 3, 2]] if form == "yxyx" else factor)
            yield mistakes, scaled, given


def _corners(boxes: Array, box_format: str) -> Array:
    if box_format == "xyxy":
        return boxes
    half = boxes[..., 2:] / 2
    corners: Array = np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], axis=-1)
    return corners


def _forms(corners: Array) -> dict[str, Array]:
    first, last = corners[..., :2], corners[..., 2:]
    return {
        "xyxy": corners,
        "cxcywh": np.concatenate([(first + last) / 2, last - first], axis=-1),
        "xywh (corner and size)": np.concatenate([first, last - first], axis=-1),
        "yxyx": corners[..., [1, 0, 3, 2]],
    }


def likeness_db(made: Array, given: Array) -> float:
    """Return 10 log10(variance of made / mean squared difference), within ±200 dB."""
    if made.shape != given.shape:
        return -200.0
    noise = float(np.mean(np.square(given - made)))
    # Around its mean: scores that are all nearly zero are not alike because of that.
    signal = float(made.var()) or float(np.mean(np.square(made)))
    if noise <= _TINY:
        return 200.0
    return float(np.clip(10 * np.log10(max(signal, _TINY) / noise), -200, 200))

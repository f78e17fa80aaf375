"""What a head is: a layout of raw outputs, and the way from there to candidate boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgesdk_targets.decode.postprocess import BoxFormat, BoxUnits, Postprocess
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array, TensorSpec


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Boxes that reached the score threshold.

    Attributes:
        boxes: (K, 4) float32, x1 y1 x2 y2 in pixels of the model's input.
        scores: (K,) float32.
        class_ids: (K,) int64, indices into the labels.
    """

    boxes: Array
    scores: Array
    class_ids: Array


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """What a head may know besides the outputs.

    Attributes:
        postprocess: the card's block.
        labels: one name a class, or none at all.
        input_size: height, width of the model's input; None where it has no image.
    """

    postprocess: Postprocess
    labels: tuple[str, ...]
    input_size: tuple[int, int] | None

    @property
    def threshold(self) -> float:
        return self.postprocess.score_threshold

    def scale(self, units: BoxUnits) -> Array | None:
        """Return what x1 y1 x2 y2 are multiplied by to become pixels, None for nothing.

        Raises:
            InputError: boxes are fractions and the input has no size.
        """
        if (self.postprocess.box_units or units) == "pixels":
            return None
        if self.input_size is None:
            raise InputError(
                "This head's boxes are fractions of the input, but the model's input has no height and width.",
                hint="Give preprocess.size in the card, or postprocess.box_units: pixels.",
            )
        height, width = self.input_size
        return np.asarray((width, height, width, height), np.float32)


Decode = Callable[[Mapping[str, Array]], Candidates]


@dataclass(frozen=True, slots=True)
class Head:
    """One layout of a detector's outputs.

    Attributes:
        about: whose layout it is, one line.
        expects: the outputs, as text for people.
        overlaps: an object may have several boxes, so that suppression has to follow.
        bind: finds the outputs once and returns the function that decodes a frame; InputError where they do not fit.
    """

    about: str
    expects: str
    overlaps: bool
    bind: Callable[[tuple[TensorSpec, ...], HeadSettings], Decode]


def corners(boxes: Array, box_format: BoxFormat, scale: Array | None) -> Array:
    """Return (K, 4) boxes as float32 x1 y1 x2 y2 in pixels, in new memory."""
    out = np.array(boxes, np.float32)
    if box_format == "cxcywh":
        half = out[:, 2:] * np.float32(0.5)
        np.add(out[:, :2], half, out=out[:, 2:])
        out[:, :2] -= half
    if scale is not None:
        out *= scale
    return out

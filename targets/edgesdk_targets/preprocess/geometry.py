"""Where a pixel of the model's input lies in the original picture (pure arithmetic)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import Array


@dataclass(frozen=True, slots=True)
class Geometry:
    """The affine map input = image * scale + offset, and both sizes (pixels).

    Attributes:
        image_size: height, width of the original picture.
        scale_x, scale_y: input pixels for one image pixel.
        offset_x, offset_y: where the image's corner lies in the input; negative when cropped.
    """

    image_size: tuple[int, int]
    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float

    def to_image(self, boxes: Array) -> Array:
        """Map (N, 4) x1 y1 x2 y2 from input pixels to image pixels, clipped to the picture."""
        height, width = self.image_size
        out = np.empty_like(boxes, dtype=np.float32)
        out[:, 0::2] = np.clip((boxes[:, 0::2] - self.offset_x) / self.scale_x, 0, width)
        out[:, 1::2] = np.clip((boxes[:, 1::2] - self.offset_y) / self.scale_y, 0, height)
        return out


@dataclass(frozen=True, slots=True)
class Placement:
    """Which part of the picture goes where in the input, all in whole pixels.

    Attributes:
        source: top, left, height, width of the part of the picture that is used.
        target: top, left, height, width of the place in the input that it fills.
        geometry: the map back.
    """

    source: tuple[int, int, int, int]
    target: tuple[int, int, int, int]
    geometry: Geometry


def place(spec: Preprocess, image_size: tuple[int, int]) -> Placement:
    """Work out source window, target window and the map back for one picture size."""
    height, width = image_size
    out_h, out_w = spec.size
    if spec.resize == "letterbox":
        return _letterbox(image_size, spec.size)
    if spec.resize == "center_crop":
        return _center_crop(image_size, spec.size, spec.crop_fraction)
    geometry = Geometry(image_size, out_w / width, out_h / height, 0.0, 0.0)
    return Placement((0, 0, height, width), (0, 0, out_h, out_w), geometry)


def _letterbox(image_size: tuple[int, int], size: tuple[int, int]) -> Placement:
    height, width = image_size
    out_h, out_w = size
    scale = min(out_h / height, out_w / width)
    new_h, new_w = max(1, round(height * scale)), max(1, round(width * scale))
    # The smaller half of an odd border goes first, as in the field's usual letterbox.
    top, left = round((out_h - new_h) / 2 - 0.1), round((out_w - new_w) / 2 - 0.1)
    geometry = Geometry(image_size, new_w / width, new_h / height, float(left), float(top))
    return Placement((0, 0, height, width), (top, left, new_h, new_w), geometry)


def _center_crop(image_size: tuple[int, int], size: tuple[int, int], fraction: float) -> Placement:
    height, width = image_size
    out_h, out_w = size
    # The crop has the input's aspect and `fraction` of the largest such window in the picture.
    unit = min(height / out_h, width / out_w) * fraction
    crop_h = min(height, max(1, round(out_h * unit)))
    crop_w = min(width, max(1, round(out_w * unit)))
    top, left = (height - crop_h) // 2, (width - crop_w) // 2
    scale_x, scale_y = out_w / crop_w, out_h / crop_h
    geometry = Geometry(image_size, scale_x, scale_y, -left * scale_x, -top * scale_y)
    return Placement((top, left, crop_h, crop_w), (0, 0, out_h, out_w), geometry)

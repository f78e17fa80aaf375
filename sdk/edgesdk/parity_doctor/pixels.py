"""The pixels that a way of loading and resizing makes of a picture, before colour order and normalisation.

What a `Preprocess` can say is done by the one implementation; the rest (a letterbox in the corner, other filters, a crop
without a resize) is built here from the same placements.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edgesdk.parity_doctor.resample import KERNELS, antialiased
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.preprocess.geometry import Placement, place
from edgesdk_targets.preprocess.image_file import decode_image
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import Array, TensorSpec

Window = tuple[int, int, int, int]
_LETTERBOXES = frozenset({"letterbox_corner", "letterbox_floor"})
_SPEC_RESIZES = frozenset({"stretch", "letterbox", "center_crop"})
_OTHER_FILTERS = {"nearest (pixel centres)": cv2.INTER_NEAREST_EXACT, **dict.fromkeys(KERNELS, -1)}
INTERPOLATIONS = ("linear", "area", "nearest", "cubic", *_OTHER_FILTERS)


@dataclass(frozen=True, slots=True)
class Frame:
    """How a picture becomes pixels of the input's size.

    Attributes:
        upright: turned as its EXIF says.
        resize: as in `Preprocess`, or `letterbox_corner`, `letterbox_floor`, `crop_only`, `crop_after_resize`.
        size: height, width.
    """

    upright: bool
    resize: str
    crop_fraction: float
    size: tuple[int, int]
    interpolation: str


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """(H, W, 3) uint8 BGR, and the window (top, left, height, width) that the picture fills; outside is border."""

    values: Array
    window: Window


@dataclass(slots=True)
class Picture:
    """A picture file, decoded upright and as it is stored.

    Attributes:
        stored: without the EXIF orientation; None where that makes no difference.
    """

    upright: Array
    stored: Array | None
    _made: dict[Frame, Pixels | None] = field(default_factory=dict)

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Picture:
        """Decode a picture both ways.

        Raises:
            InputError: it cannot be decoded.
        """
        upright = decode_image(data, name=name)
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        return cls(upright, None if stored is None or np.array_equal(stored, upright) else stored)

    def pixels(self, frame: Frame) -> Pixels | None:
        """Return the frame's pixels, made once; None where the picture is too small for it."""
        if frame not in self._made:
            source = self.upright if frame.upright or self.stored is None else self.stored
            self._made[frame] = _make(source, frame)
        return self._made[frame]


def _make(picture: Array, frame: Frame) -> Pixels | None:
    if frame.resize == "crop_only":
        return _crop_only(picture, frame)
    if frame.resize == "crop_after_resize":
        return _crop_after_resize(picture, frame)
    resize = "letterbox" if frame.resize in _LETTERBOXES else frame.resize
    spec = _plain_spec(frame, resize)
    placement = place(spec, (picture.shape[0], picture.shape[1]))
    if frame.resize in _SPEC_RESIZES and frame.interpolation not in _OTHER_FILTERS:
        tensor = TensorSpec(name="pixels", shape=(1, *frame.size, 3), dtype="uint8", layout="NHWC")
        out = tensor.empty()
        Preprocessor(spec, tensor).into(picture, out)
        return Pixels(out[0], placement.target)
    window = _window(frame, placement, picture)
    top, left, height, width = placement.source
    part = resized(picture[top : top + height, left : left + width], window[2:], frame.interpolation)
    return Pixels(_pasted(part, frame.size, window), window)


def _window(frame: Frame, placement: Placement, picture: Array) -> Window:
    """Return where a letterbox puts the picture, with the two usual liberties."""
    if frame.resize == "letterbox_corner":
        return (0, 0, *placement.target[2:])
    if frame.resize != "letterbox_floor":
        return placement.target
    (height, width), (h, w) = picture.shape[:2], frame.size
    scale = min(h / height, w / width)
    new_h, new_w = max(1, int(height * scale)), max(1, int(width * scale))
    return (h - new_h) // 2, (w - new_w) // 2, new_h, new_w


def _plain_spec(frame: Frame, resize: str) -> Preprocess:
    interpolation = "linear" if frame.interpolation in _OTHER_FILTERS else frame.interpolation
    try:
        return Preprocess.model_validate(
            {
                "color": "bgr", "resize": resize, "size": frame.size, "interpolation": interpolation,
                "mean": (0, 0, 0), "std": (1, 1, 1), "pad": 0, "crop_fraction": frame.crop_fraction,
            }
        )  # fmt: skip
    except ValueError as error:
        size = f"{frame.size[0]} x {frame.size[1]}"
        raise InputError(f"A tensor of {size} pixels is not possible.", hint="Give the model's input.") from error


def resized(part: Array, size: tuple[int, int], interpolation: str) -> Array:
    """Resize (H, W, 3) uint8 to `size` (height, width) with one of `INTERPOLATIONS`."""
    if interpolation in KERNELS:
        return antialiased(part, size, interpolation)
    flags = {
        "linear": cv2.INTER_LINEAR,
        "area": cv2.INTER_AREA,
        "nearest": cv2.INTER_NEAREST,
        "cubic": cv2.INTER_CUBIC,
        "nearest (pixel centres)": cv2.INTER_NEAREST_EXACT,
    }
    out: Array = cv2.resize(part, (size[1], size[0]), interpolation=flags[interpolation])
    return out


def _pasted(part: Array, size: tuple[int, int], window: Window) -> Array:
    top, left, height, width = window
    out = np.zeros((*size, 3), np.uint8)
    out[top : top + height, left : left + width] = part
    return out


def _crop_only(picture: Array, frame: Frame) -> Pixels | None:
    (height, width), (h, w) = picture.shape[:2], frame.size
    if height < h or width < w:
        return None
    top, left = (height - h) // 2, (width - w) // 2
    return Pixels(np.ascontiguousarray(picture[top : top + h, left : left + w]), (0, 0, h, w))


def _crop_after_resize(picture: Array, frame: Frame) -> Pixels:
    """Resize so that the crop of the input's size is `crop_fraction` of the picture, then crop (torchvision's order)."""
    (height, width), (h, w) = picture.shape[:2], frame.size
    scale = max(h / height, w / width) / frame.crop_fraction
    # Floored after a hair's breadth, as 256 * 4 / 3 is to be 341 and 256 * 1 is to be 256.
    larger = max(h, int(height * scale + 1e-6)), max(w, int(width * scale + 1e-6))
    whole = resized(picture, larger, frame.interpolation)
    top, left = round((larger[0] - h) / 2), round((larger[1] - w) / 2)
    return Pixels(np.ascontiguousarray(whole[top : top + h, left : left + w]), (0, 0, h, w))

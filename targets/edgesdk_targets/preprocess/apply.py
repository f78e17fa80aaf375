"""Apply a `Preprocess` to pictures, straight into the memory that the model reads.

One `Preprocessor` serves one input of one thread; its scratch images are allocated once for a picture size.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.geometry import Geometry, Placement, place
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import Array, TensorSpec

_INTERPOLATION = {
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "nearest": cv2.INTER_NEAREST,
    "cubic": cv2.INTER_CUBIC,
}
# (channels of the picture, colour of the input) → conversion after resizing; None where resizing is the whole work.
_CONVERSION: dict[tuple[int, str], int | None] = {
    (3, "bgr"): None,
    (3, "rgb"): cv2.COLOR_BGR2RGB,
    (3, "gray"): cv2.COLOR_BGR2GRAY,
    (1, "bgr"): cv2.COLOR_GRAY2BGR,
    (1, "rgb"): cv2.COLOR_GRAY2RGB,
    (1, "gray"): None,
}


class Preprocessor:
    """Turn BGR pictures into one model's input.

    Args:
        spec: what to do.
        tensor: the input as this variant takes it: (1, C, H, W) or (1, H, W, C), float or uint8.
        folded: mean and std are part of the artifact, so pixels are written unchanged.
    """

    def __init__(self, spec: Preprocess, tensor: TensorSpec, *, folded: bool = False) -> None:
        height, width = spec.size
        channels_last = tensor.layout == "NHWC"
        wanted = (1, height, width, spec.channels) if channels_last else (1, spec.channels, height, width)
        if tensor.shape != wanted:
            raise InputError(
                f"Preprocessing makes {list(wanted)}, but the model's input {tensor.name!r} is {list(tensor.shape)}.",
                hint="Let preprocess.size (height, width), preprocess.color and input.layout fit the input's shape.",
            )
        if tensor.dtype == "uint8" and not folded and not _is_identity(spec):
            raise InputError(
                f"The model's input {tensor.name!r} takes pixels (uint8), but mean and std would change them.",
                hint="Use mean 0 and std 1 for a uint8 input.",
            )
        self.spec = spec
        self.tensor = tensor
        self._channels_last = channels_last
        self._identity = folded or _is_identity(spec)
        # x * scale + shift: one multiplication and one addition an element instead of a division.
        std, mean = np.asarray(spec.std, np.float32), np.asarray(spec.mean, np.float32)
        self._scale, self._shift = 1.0 / std, -mean / std
        self._interpolation = _INTERPOLATION[spec.interpolation]
        self._pixels: Array = np.full((height, width, spec.channels), spec.pad, np.uint8)
        self._placement: Placement | None = None
        self._scratch: Array | None = None

    def into(self, image: Array, out: Array) -> Geometry:
        """Preprocess `image` into `out` and return the map back to the picture.

        Args:
            image: (H, W, 3) uint8 BGR, or (H, W) gray.
            out: an array of the tensor's shape and dtype; every element is written.

        Raises:
            InputError: the picture is empty, or not uint8 with one or three channels.
        """
        _check_picture(image)
        placement = self._place(image.shape[0], image.shape[1])
        # A uint8 channels-last input is filled in place: the resize is the whole work.
        direct = self._channels_last and self._identity and out.dtype == np.uint8
        pixels = out[0] if direct else self._pixels
        if direct and placement.target != (0, 0, *self.spec.size):
            pixels[...] = self.spec.pad
        self._resize(image, pixels, placement)
        if not direct:
            self._normalise(pixels, out[0])
        return placement.geometry

    def _place(self, height: int, width: int) -> Placement:
        placement = self._placement
        if placement is None or placement.geometry.image_size != (height, width):
            placement = self._placement = place(self.spec, (height, width))
            self._pixels[...] = self.spec.pad
            self._scratch = None
        return placement

    def _resize(self, image: Array, pixels: Array, placement: Placement) -> None:
        top, left, height, width = placement.source
        out_top, out_left, out_h, out_w = placement.target
        part = image[top : top + height, left : left + width]
        if part.ndim == 3 and part.shape[2] == 1:
            part = part[:, :, 0]
        window = pixels[out_top : out_top + out_h, out_left : out_left + out_w]
        convert = _CONVERSION[1 if part.ndim == 2 else 3, self.spec.color]
        # A window of one channel is a plane: OpenCV takes rows of any distance, but no channel axis of length one.
        plane = window[:, :, 0] if window.shape[2] == 1 else window
        if convert is None:
            cv2.resize(part, (out_w, out_h), dst=plane, interpolation=self._interpolation)
            return
        resized = self._buffer((out_h, out_w) if part.ndim == 2 else (out_h, out_w, 3))
        cv2.resize(part, (out_w, out_h), dst=resized, interpolation=self._interpolation)
        cv2.cvtColor(resized, convert, dst=plane)

    def _normalise(self, pixels: Array, out: Array) -> None:
        for channel in range(self.spec.channels):
            source = pixels[:, :, channel]
            target = out[:, :, channel] if self._channels_last else out[channel]
            if self._identity:
                np.copyto(target, source, casting="unsafe")
                continue
            np.multiply(source, self._scale[channel], out=target, casting="unsafe")
            if self._shift[channel]:
                np.add(target, self._shift[channel], out=target, casting="unsafe")

    def _buffer(self, shape: tuple[int, ...]) -> Array:
        if self._scratch is None or self._scratch.shape != shape:
            self._scratch = np.empty(shape, np.uint8)
        return self._scratch


def _is_identity(spec: Preprocess) -> bool:
    return all(v == 0 for v in spec.mean) and all(v == 1 for v in spec.std)


def _check_picture(image: Any) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(
            f"A picture must be a numpy array of uint8, not {kind}.",
            hint="Give BGR pixels of 0..255, as OpenCV reads them, or a path.",
        )
    if image.size == 0:
        raise InputError(
            f"The picture is empty: {list(image.shape)}.",
            hint="Check the crop's corners, or whether the camera or file gave a picture at all.",
        )
    if image.ndim not in {2, 3} or (image.ndim == 3 and image.shape[2] not in {1, 3}):
        raise InputError(
            f"A picture must be (H, W) or (H, W, 3), not {list(image.shape)}.",
            hint="Drop the alpha channel or the batch dimension.",
        )

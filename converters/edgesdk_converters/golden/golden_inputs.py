"""What a golden set asks a model: pictures as it sees them, and the same with a trifle changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgesdk_targets.golden.exact_input import exact_pixels
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.preprocess.image_file import decode_image
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import Array, TensorSpec
from edgesdk_targets.window import panned_clip

# How often each picture is asked again with a trifle changed.
_CHANGES = 3
_SEED = 20261121


@dataclass(frozen=True, slots=True)
class GoldenInput:
    """A golden picture with all that is asked about it.

    Attributes:
        pixels: what the model sees, exactly; of a clip one dimension more in front, its frames.
        changed: the same with a trifle changed: OpenCV's own first, then one grey level at random.
    """

    png: bytes
    image: Array
    pixels: Array
    changed: tuple[Array, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.image.shape[0], self.image.shape[1]

    @property
    def opencv_off(self) -> float:
        """How far OpenCV's pixels are from the exact ones, grey levels."""
        return float(np.abs(self.changed[0].astype(np.int64) - self.pixels).max())


def golden_input(png: bytes, preprocess: Preprocess, seed: int, clip: int | None) -> GoldenInput:
    """Make what is asked about a picture.

    Args:
        clip: how many frames the picture is made into, for a model that takes clips.
    """
    image = decode_image(png)

    def seen(see: Callable[[Array, Preprocess], Array]) -> Array:
        if clip is None:
            return see(image, preprocess)
        return np.stack([see(frame, preprocess) for frame in panned_clip(image, clip)])

    pixels = seen(exact_pixels)
    rng = np.random.default_rng([_SEED, seed])
    trifles = [rng.integers(-1, 2, pixels.shape) for _ in range(_CHANGES - 1)]
    changed = [np.clip(pixels + trifle, 0, 255).astype(np.uint8) for trifle in trifles]
    return GoldenInput(png, image, pixels, (seen(_by_opencv), *changed))


def _by_opencv(image: Array, preprocess: Preprocess) -> Array:
    """Return what the device's own preprocessing makes of a picture on this machine, before mean and std."""
    tensor = TensorSpec(name="pixels", shape=(1, *preprocess.size, preprocess.channels), dtype="uint8", layout="NHWC")
    out = tensor.empty()
    Preprocessor(preprocess, tensor, folded=True).into(image, out)
    pixels: Array = out[0]
    return pixels

"""What a golden set asks a model: pictures as it sees them, and the same with a trifle changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

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
        own: what a member sees that has an input of its own, by the input's name.
    """

    png: bytes
    image: Array
    pixels: Array
    changed: tuple[Array, ...]
    own: Mapping[str, GoldenInput] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.image.shape[0], self.image.shape[1]

    @property
    def opencv_off(self) -> float:
        """How far OpenCV's pixels are from the exact ones, grey levels."""
        here = float(np.abs(self.changed[0].astype(np.int64) - self.pixels).max())
        return max(here, *(one.opencv_off for one in self.own.values())) if self.own else here

    def own_pixels(self, trial: int | None = None) -> dict[str, Array]:
        """Return what members see that have inputs of their own: exactly, or with the trifle of a trial changed."""
        return {name: one.pixels if trial is None else one.changed[trial] for name, one in self.own.items()}


def golden_input(
    png: bytes,
    preprocess: Preprocess,
    seed: int,
    clip: int | None,
    own: Mapping[str, Preprocess] | None = None,
) -> GoldenInput:
    """Make what is asked about a picture.

    Args:
        clip: how many frames the picture is made into, for a model that takes clips.
        own: how it is prepared for the inputs that members have of their own.
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
    others = {name: golden_input(png, one, seed, None) for name, one in (own or {}).items()}
    return GoldenInput(png, image, pixels, (seen(_by_opencv), *changed), others)


def _by_opencv(image: Array, preprocess: Preprocess) -> Array:
    """Return what the device's own preprocessing makes of a picture on this machine, before mean and std."""
    tensor = TensorSpec(name="pixels", shape=(1, *preprocess.size, preprocess.channels), dtype="uint8", layout="NHWC")
    out = tensor.empty()
    Preprocessor(preprocess, tensor, folded=True).into(image, out)
    pixels: Array = out[0]
    return pixels

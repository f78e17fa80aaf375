"""Which pictures a bundle carries as its golden set, and how small they are made.

Fewer bytes are had first by shrinking towards the size of the model's input, then by fewer pictures (eight at least), last by
shrinking below it. None has the input's own size, and some another aspect: the device has to show how it resizes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgesdk_converters.proving.parity_pictures import draw_picture
from edgesdk_targets.preprocess.png import encode_png, shrink
from edgesdk_targets.tensor import Array

FEWEST, MOST = 8, 16
MAX_BYTES = 1_600_000
_SAME_ASPECT = 0.05
# Of a side, at each end.
_CUT = 0.15
# Longer side of a picture, in longer sides of the model's input.
_FACTORS = (1.2, 0.9, 0.7, 0.5, 0.35, 0.25)


def golden_pictures(pictures: Sequence[Array], size: tuple[int, int]) -> list[bytes]:
    """Return PNG files made of `pictures`, filled up with drawn ones.

    Args:
        pictures: (H, W, 3) uint8 BGR.
        size: height, width of the model's input.
    """
    chosen = [pictures[i] for i in np.unique(np.linspace(0, len(pictures) - 1, MOST).astype(int))] if pictures else []
    larger = (round(1.2 * size[0]), round(1.2 * size[1]))
    chosen += [draw_picture(larger, 100 + seed) for seed in range(FEWEST - len(chosen))]
    made = _encoded(chosen, size, _FACTORS[0])
    if _too_large(made) and len(chosen) > FEWEST:
        chosen = [chosen[i] for i in np.linspace(0, len(chosen) - 1, FEWEST).astype(int)]
        made = _encoded(chosen, size, _FACTORS[0])
    for factor in _FACTORS[1:]:
        if not _too_large(made):
            break
        made = _encoded(chosen, size, factor)
    return made


def _encoded(pictures: Sequence[Array], size: tuple[int, int], factor: float) -> list[bytes]:
    cut = [_cut(picture, size, number) for number, picture in enumerate(pictures)]
    return [encode_png(_smaller(picture, size, factor)) for picture in cut]


def _cut(picture: Array, size: tuple[int, int], number: int) -> Array:
    """Cut every other picture that has the input's aspect, where stretching and letterboxing are the same."""
    height, width = picture.shape[:2]
    if number % 2 == 0 or abs(height * size[1] / (width * size[0]) - 1) > _SAME_ASPECT:
        return picture
    if number % 4 == 1:
        edge = round(width * _CUT)
        return picture[:, edge : max(edge + 1, width - edge)]
    edge = round(height * _CUT)
    return picture[edge : max(edge + 1, height - edge)]


def _smaller(picture: Array, size: tuple[int, int], factor: float) -> Array:
    longest = max(8, round(factor * max(size)))
    small = shrink(picture, longest)
    if small.shape[:2] == size:
        small = shrink(picture, max(8, round(0.8 * max(size))))
    return small


def _too_large(made: Sequence[bytes]) -> bool:
    return sum(map(len, made)) > MAX_BYTES

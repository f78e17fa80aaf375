"""The pictures on which an artifact is compared with its source.

The user's own where given, spread over the folder; else drawn here from a fixed seed: gradients, discs, bars and
noise, which reach more of a model than uniform noise does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.image_file import IMAGE_SUFFIXES, read_image
from edgesdk_targets.tensor import Array

COUNT = 8


def parity_pictures(size: tuple[int, int], files: Sequence[Path] = (), count: int = COUNT) -> list[Array]:
    """Return (H, W, 3) uint8 BGR pictures: some of the files, or drawn ones where there are none.

    Args:
        size: height and width of drawn pictures, pixels.

    Raises:
        InputError: a file cannot be read.
    """
    if not files:
        return [draw_picture(size, seed) for seed in range(count)]
    spread = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, count).astype(int))]
    return [read_image(path) for path in spread]


def pictures_below(folder: Path) -> list[Path]:
    """Return the picture files of a folder and its subfolders, by name.

    Raises:
        InputError: it is no folder, or holds none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder.", hint="Give a folder of pictures.")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    if not files:
        raise InputError(f"{folder} holds no pictures.", hint="Give a folder with JPEG, PNG or BMP files.")
    return files


def draw_picture(size: tuple[int, int], seed: int) -> Array:
    """Draw one picture from a seed."""
    height, width = size
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    picture = np.empty((height, width, 3), np.float32)
    for channel in range(3):
        a, b, c = rng.uniform(-1, 1, 3)
        picture[..., channel] = 128 + 100 * (a * x / width + b * y / height + 0.3 * c)
    for _ in range(6):
        cy, cx = rng.uniform(0, height), rng.uniform(0, width)
        radius = rng.uniform(0.05, 0.25) * min(height, width)
        picture[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = rng.uniform(0, 255, 3)
        left, top = int(rng.uniform(0, 0.8 * width)), int(rng.uniform(0, 0.8 * height))
        picture[top : top + max(1, height // 10), left : left + max(1, width // 5)] = rng.uniform(0, 255, 3)
    picture += rng.normal(0, 8, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)

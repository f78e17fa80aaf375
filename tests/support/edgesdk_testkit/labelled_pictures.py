"""Pictures in class folders, labelled by a tiny model's own answers, so that it is right on all of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgesdk_targets.preprocess.png import encode_png
from edgesdk_targets.tensor import Array
from edgesdk_testkit.tiny_bundles import LABELS
from edgesdk_testkit.tiny_models import CNN, MEAN, SIDE, STD


def write_labelled(folder: Path, count: int = 24, *, wrong: int = 0, seed: int = 5) -> Path:
    """Write so many pictures of the size that `CNN` takes, and return their folder.

    Args:
        wrong: so many of them get another label than the one that `CNN` answers.
    """
    random = np.random.default_rng(seed)
    for label in LABELS:
        (folder / label).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture = _picture(random, number)
        answer = int(_logits(picture).argmax())
        shown = LABELS[(answer + 1) % len(LABELS)] if number < wrong else LABELS[answer]
        (folder / shown / f"p{number:03}.png").write_bytes(encode_png(picture))
    return folder


def write_shades(folder: Path, *, seed: int, count: int) -> Path:
    """Write so many pictures of each class, told apart by how bright they are, and return their folder."""
    random = np.random.default_rng(seed)
    for number, label in enumerate(LABELS):
        (folder / label).mkdir(parents=True)
        for place in range(count):
            shade = np.clip(random.normal(25 + 50 * number, 6, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
            (folder / label / f"{place}.png").write_bytes(encode_png(shade))
    return folder


def _picture(random: np.random.Generator, number: int) -> Array:
    """Return a picture of one colour with noise: classes are told apart, and no two pictures are alike."""
    colour = random.integers(0, 256, 3)
    noise = random.normal(0, 20 + number % 7 * 8, (SIDE, SIDE, 3))
    picture: Array = np.clip(colour + noise, 0, 255).astype(np.uint8)
    return picture


def _logits(picture: Array) -> Array:
    prepared = ((picture.astype(np.float32) - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)
    feeds: Mapping[str, Array] = {CNN.inputs[0].name: prepared}
    return next(iter(CNN.reference(feeds).values())).reshape(-1)

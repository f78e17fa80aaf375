"""Pictures for the sample models and for the reader of words: drawn here, from fixed seeds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-"
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_COMPLEX_SMALL,
)


def rendered(examples: Path, name: str, folder: Path, *, count: int, split: str, seed: int) -> Path:
    """Render a labelled set of a sample model, once; return its folder."""
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        command = [sys.executable, str(examples / "render_eval.py"), name, str(partial), "--count", str(count)]
        subprocess.run([*command, "--split", split, "--seed", str(seed)], check=True, stdout=subprocess.DEVNULL)
        partial.rename(folder)
    return folder


def all_digits(examples: Path) -> tuple[list[Array], Array, Array]:
    """Draw each of the 1,797 handwritten digits in the middle of a piece of the conveyor's belt.

    Returns:
        The pictures (64, 64, 3) uint8 BGR, the labels (N,), and which of them were never trained on (N,) bool.
    """
    if str(examples) not in sys.path:
        sys.path.insert(0, str(examples))
    from make_data import content_hash, load_all, split
    from render_pictures import CROP_PX

    from edgesdk_agent.cameras.conveyor_scene import Ink, belt_texture, paint_digit

    rng = np.random.default_rng(1797)
    belts = [belt_texture(rng, CROP_PX, 512) for _ in range(6)]
    digits = load_all()
    pictures = []
    for image in digits.images:
        left = int(rng.integers(512 - CROP_PX))
        canvas = belts[int(rng.integers(len(belts)))][:, left : left + CROP_PX].copy()
        ink = Ink.random(rng, sizes=(36.0, 54.0), tilt_deg=15.0)
        paint_digit(canvas, image, (CROP_PX / 2, CROP_PX / 2), ink)
        pictures.append(canvas)
    unseen = {content_hash(image) for image in split(digits)[1].images}
    test = np.asarray([content_hash(image) in unseen for image in digits.images])
    return pictures, digits.labels.astype(np.int64), test


def write_words(folder: Path, count: int = 200) -> Path:
    """Write pictures of random words in plain fonts, once; return their folder."""
    if folder.exists():
        return folder
    partial = folder.with_suffix(".partial")
    partial.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(21)
    for number in range(count):
        word = "".join(rng.choice(list(_LETTERS), int(rng.integers(2, 11))))
        cv2.imwrite(str(partial / f"{number:03}.png"), _word(word, rng))
    partial.rename(folder)
    return folder


def _word(word: str, rng: np.random.Generator) -> Array:
    font, thickness = _FONTS[int(rng.integers(len(_FONTS)))], int(rng.integers(1, 4))
    (width, height), below = cv2.getTextSize(word, font, 1.2, thickness)
    paper, ink = rng.uniform(0, 255, 2)
    if abs(paper - ink) < 70:
        paper, ink = 230.0, 30.0
    canvas = np.full((height + below + 14, width + 16, 3), int(paper), np.uint8)
    cv2.putText(canvas, word, (8, height + 7), font, 1.2, (ink, ink, ink), thickness, cv2.LINE_AA)
    blurred = cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(0.4, 1.6)))
    noisy = blurred + rng.normal(0, rng.uniform(1, 10), canvas.shape)
    seen: Array = np.clip(noisy, 0, 255).astype(np.uint8)
    return seen

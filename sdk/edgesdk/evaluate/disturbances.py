"""What happens to pictures in the field, in five grades each: light, blur, noise, JPEG, something in front, a shift.

A grade is stated as a part of the picture's size or of its range, so that it means the same in a picture of any size; only
noise is of single pixels, and a model that makes pictures smaller averages it out. What is drawn at random (noise, places,
directions) follows from the picture's own bytes and is the same in all grades: a curve shows the grade, not the luck.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

_GRAY = 114
_SEED = 20


@dataclass(frozen=True, slots=True, eq=False)
class Disturbed:
    """A picture after a disturbance.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        moved: by how many pixels all that is in it went to the right and down.
    """

    image: Array
    moved: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One kind of disturbance.

    Attributes:
        name: as the command line calls it.
        unit: what a grade is measured in.
        grades: from the weakest to the strongest.
        apply: disturbs a picture (H, W, 3) uint8 BGR by a grade, with what it draws at random.
    """

    name: str
    unit: str
    grades: tuple[float, ...]
    apply: Callable[[Array, float, np.random.Generator], Disturbed]

    def __call__(self, image: Array, grade: float) -> Disturbed:
        """Disturb a picture (H, W, 3) uint8 BGR; its own bytes stay as they are."""
        seed = zlib.crc32(image.tobytes())
        return self.apply(image, grade, np.random.default_rng([_SEED, zlib.crc32(self.name.encode()), seed]))


def _light(image: Array, grade: float, _rng: np.random.Generator) -> Disturbed:
    return Disturbed(np.asarray(cv2.convertScaleAbs(image, alpha=grade)))


def _blur(image: Array, grade: float, _rng: np.random.Generator) -> Disturbed:
    return Disturbed(np.asarray(cv2.GaussianBlur(image, (0, 0), grade * min(image.shape[:2]))))


def _noise(image: Array, grade: float, rng: np.random.Generator) -> Disturbed:
    noisy = image + grade * 255 * rng.standard_normal(image.shape, np.float32)
    return Disturbed(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))


def _jpeg(image: Array, grade: float, _rng: np.random.Generator) -> Disturbed:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(grade)])
    if not done:
        raise InputError("A picture could not be encoded as JPEG.", hint="Check the installation of OpenCV.")
    return Disturbed(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)))


def _occlusion(image: Array, grade: float, rng: np.random.Generator) -> Disturbed:
    """Lay a gray rectangle of the picture's own form over a part of its area."""
    height, width = image.shape[:2]
    sides = (round(height * grade**0.5), round(width * grade**0.5))
    # Drawn before it is scaled: the same place in all grades.
    top, left = (
        round(free * place) for free, place in zip((height - sides[0], width - sides[1]), rng.random(2), strict=True)
    )
    covered = image.copy()
    covered[top : top + sides[0], left : left + sides[1]] = _GRAY
    return Disturbed(covered)


def _shift(image: Array, grade: float, rng: np.random.Generator) -> Disturbed:
    """Move a picture into one of four corners; what comes in is gray."""
    height, width = image.shape[:2]
    right, down = (
        int(sign) * round(side * grade) for sign, side in zip(rng.choice([-1, 1], 2), (width, height), strict=True)
    )
    move = np.asarray([[1, 0, right], [0, 1, down]], np.float32)
    moved = cv2.warpAffine(image, move, (width, height), flags=cv2.INTER_NEAREST, borderValue=(_GRAY,) * 3)
    return Disturbed(np.asarray(moved), (right, down))


DISTURBANCES: dict[str, Disturbance] = {
    one.name: one
    for one in (
        Disturbance("darker", "factor of brightness", (0.8, 0.6, 0.4, 0.25, 0.1), _light),
        Disturbance("brighter", "factor of brightness", (1.25, 1.5, 2.0, 2.75, 4.0), _light),
        Disturbance("blur", "sigma, part of the short side", (0.005, 0.01, 0.02, 0.035, 0.06), _blur),
        Disturbance("noise", "deviation, part of the range", (0.02, 0.05, 0.1, 0.2, 0.35), _noise),
        Disturbance("jpeg", "quality", (70, 45, 25, 12, 5), _jpeg),
        Disturbance("occlusion", "part of the area", (0.02, 0.05, 0.1, 0.2, 0.35), _occlusion),
        Disturbance("shift", "part of each side", (0.02, 0.05, 0.1, 0.15, 0.2), _shift),
    )
}


def find_disturbance(name: str) -> Disturbance:
    """Return a disturbance by its name.

    Raises:
        InputError: there is none of this name.
    """
    if name not in DISTURBANCES:
        raise InputError(f"There is no disturbance {name!r}.", hint=f"There are {', '.join(DISTURBANCES)}.")
    return DISTURBANCES[name]

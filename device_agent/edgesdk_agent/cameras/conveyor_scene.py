"""Draw handwritten digits on a moving conveyor belt, and know where each one is.

A frame depends on (digits, seed, frame index) alone: the belt is a loop that is drawn once, and a frame is a window
on it under uneven light, with vibration, flicker and sensor noise read from tables. So any frame can be drawn again
later, in any order, and drawing one allocates nothing of its size. (Another version of OpenCV or numpy may round
differently: levels by a few steps, boxes by a pixel.)

A digit belongs to the truth of a frame when its ink is wholly inside the picture: of half a digit nobody can say
which one it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

WIDTH, HEIGHT = 320, 240
SPEED_PX = 6  # belt movement from one frame to the next
LANES = 3
SLOT_PX = 80  # one place for a digit, in both directions: LANES * SLOT_PX is the height
LOOP_PX = 128 * SLOT_PX
_SHAKE_PX = 4  # the belt is this much higher than the picture, and the picture moves up and down on it
_TABLE = 1021  # a prime, so that the tables and the loop do not fall into step
_BELT_LEVEL = 70.0
_INK_SEEN = 0.3  # opacity from which a pixel counts as ink in the truth


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is really on one frame.

    Attributes:
        boxes: (N, 4) float32, x1 y1 x2 y2 in pixels, tight around the ink; x2 and y2 are exclusive.
        labels: (N,) int64, the digit of each box.
    """

    boxes: Array
    labels: Array


@dataclass(frozen=True, slots=True)
class Ink:
    """How one digit is painted.

    Attributes:
        size_px: height that the 8x8 image is enlarged to.
        aspect: width for one unit of height.
        angle_deg: rotation, counter-clockwise.
        slant: how far the top leans to the right, in parts of the height; negative to the left.
        color: B, G, R, 0..255.
        opacity: 0..1.
    """

    size_px: float
    aspect: float
    angle_deg: float
    slant: float
    color: tuple[float, float, float]
    opacity: float

    @classmethod
    def random(
        cls, rng: np.random.Generator, *, sizes: tuple[float, float], tilt_deg: float, spread: float = 1.0
    ) -> Ink:
        """Draw a paint at random: pale, slightly tinted.

        Args:
            rng: source of randomness.
            sizes: range of `size_px`.
            tilt_deg: largest rotation.
            spread: widens the ranges of rotation, slant and aspect; training asks for more than there is.
        """
        level = rng.uniform(165.0, 245.0)
        tint = rng.uniform(-25.0, 25.0, 3) + level
        blue, green, red = (float(value) for value in np.clip(tint, 0.0, 255.0))
        return cls(
            size_px=float(rng.uniform(*sizes)),
            aspect=1.0 + spread * float(rng.uniform(-0.12, 0.12)),
            angle_deg=spread * float(rng.uniform(-tilt_deg, tilt_deg)),
            slant=spread * float(rng.uniform(-0.15, 0.15)),
            color=(blue, green, red),
            opacity=float(rng.uniform(0.75, 1.0)),
        )

    def transform(self) -> Array:
        """Return the (2, 2) map from the 8x8 image to pixels: stretch and slant, then enlarge and rotate."""
        angle, scale = np.deg2rad(self.angle_deg), self.size_px / 8.0
        cos, sin = np.cos(angle), np.sin(angle)
        turned: Array = scale * np.array([[cos, sin], [-sin, cos]]) @ np.array([[self.aspect, -self.slant], [0.0, 1.0]])
        return turned


class ConveyorScene:
    """An endless belt with digits, seen from above.

    Args:
        images: (N, 8, 8) uint8, ink 0..16, as in the UCI set of handwritten digits.
        labels: (N,) the digit of each image.
        seed: decides everything else.
        density: share of the places on the belt that hold a digit; 0 draws the bare belt of this seed.
        spread: how wildly the digits are written, see `Ink.random`.
    """

    def __init__(self, images: Array, labels: Array, *, seed: int, density: float = 0.7, spread: float = 1.0) -> None:
        # Separate streams: the belt of a seed is the same whatever lies on it.
        belt_rng, digit_rng, camera_rng = (np.random.default_rng([seed, part]) for part in range(3))
        loop = belt_texture(belt_rng, HEIGHT + _SHAKE_PX, LOOP_PX)
        self._boxes, self._labels = _place_digits(loop, (images, labels), digit_rng, density, spread)
        # The first picture's width is repeated behind the end, so that every window is one slice.
        self._belt = np.concatenate([loop, loop[:, :WIDTH]], axis=1)
        self._light = _uneven_light()
        self._shake = camera_rng.integers(0, _SHAKE_PX + 1, _TABLE)
        self._gain = camera_rng.uniform(0.88, 1.08, _TABLE)
        self._noise = camera_rng.integers(0, 8, (HEIGHT + 64, WIDTH + 64, 3), np.uint8)
        self._noise += camera_rng.integers(0, 8, self._noise.shape, np.uint8)
        self._noise_at = camera_rng.integers(0, 65, (_TABLE, 2))

    def draw(self, index: int, out: Array) -> None:
        """Draw frame `index` into `out`, (240, 320, 3) uint8 BGR, C-contiguous."""
        left, row = index * SPEED_PX % LOOP_PX, index % _TABLE
        top = int(self._shake[row])
        window = self._belt[top : top + HEIGHT, left : left + WIDTH]
        cv2.multiply(window, self._light, dst=out, scale=float(self._gain[row]) / 255.0)
        noise_y, noise_x = (int(value) for value in self._noise_at[row])
        cv2.add(out, self._noise[noise_y : noise_y + HEIGHT, noise_x : noise_x + WIDTH], dst=out)

    def truth(self, index: int) -> Truth:
        """Return the digits that lie wholly inside frame `index`."""
        shift = (index * SPEED_PX % LOOP_PX, int(self._shake[index % _TABLE]))
        boxes = self._boxes - np.array([*shift, *shift], np.float32)
        # A digit near the loop's start is also seen behind its end.
        wrapped = boxes[:, 0] < 0
        boxes[wrapped, 0::2] += LOOP_PX
        inside = (boxes >= 0).all(axis=1) & (boxes[:, 2] <= WIDTH) & (boxes[:, 3] <= HEIGHT)
        return Truth(boxes[inside], self._labels[inside])


def belt_texture(rng: np.random.Generator, height: int, width: int) -> Array:
    """Paint a bare belt, (height, width, 3) uint8 BGR: weave, stains, seams and scratches."""
    weave = cv2.blur(rng.normal(0.0, 14.0, (height, 512)).astype(np.float32), (9, 1))
    gray = np.tile(weave, (1, -(-width // 512)))[:, :width]
    stains = rng.uniform(-14.0, 14.0, (4, max(2, width // 80))).astype(np.float32)
    gray += cv2.resize(stains, (width, height), interpolation=cv2.INTER_LINEAR) + _BELT_LEVEL
    for seam in range(int(rng.integers(40, 600)), width, 640):
        gray[:, seam : seam + 2] -= 25.0
    for _ in range(width // 32):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        end = (x + int(rng.integers(-24, 25)), y + int(rng.integers(-24, 25)))
        # Scratches are thin and fainter than any ink.
        cv2.line(gray, (x, y), end, _BELT_LEVEL + float(rng.uniform(-30.0, 40.0)), 1)
    tint = np.array([1.06, 1.0, 0.94], np.float32)
    belt: Array = np.clip(gray[:, :, None] * tint, 0.0, 255.0).astype(np.uint8)
    return belt


def paint_digit(canvas: Array, image: Array, centre: tuple[float, float], ink: Ink) -> Array:
    """Paint one 8x8 digit onto `canvas` and return the box of its ink, (4,) float32 x1 y1 x2 y2.

    Args:
        canvas: (H, W, 3) uint8 BGR, changed in place; the digit must fit into it around `centre`.
        image: (8, 8) uint8, ink 0..16.
        centre: x, y in pixels of the canvas.
        ink: size, slant and colour.
    """
    turn = ink.transform()
    # The turned square's half edge, and a pixel for the interpolation.
    reach = int(np.ceil(4.0 * np.abs(turn).sum(axis=1).max())) + 1
    left, top = int(centre[0]) - reach, int(centre[1]) - reach
    crop_top, crop_left = max(0, top), max(0, left)
    patch = canvas[crop_top : top + 2 * reach, crop_left : left + 2 * reach]
    shift = np.array([centre[0] - crop_left, centre[1] - crop_top]) - turn @ (3.5, 3.5)
    size = (patch.shape[1], patch.shape[0])
    alpha = cv2.warpAffine(image.astype(np.float32) / 16.0, np.c_[turn, shift], size, flags=cv2.INTER_LINEAR)
    # The enlarged 8x8 image is soft; a steeper ramp gives the edge of a real pen.
    opacity = np.clip((alpha - 0.15) / 0.7, 0.0, 1.0)[:, :, None] * ink.opacity
    patch[...] = patch + (np.array(ink.color, np.float32) - patch) * opacity
    rows, columns = (np.flatnonzero((opacity[:, :, 0] > _INK_SEEN).any(axis=axis)) for axis in (1, 0))
    box = (columns[0] + crop_left, rows[0] + crop_top, columns[-1] + 1 + crop_left, rows[-1] + 1 + crop_top)
    return np.array(box, np.float32)


def _place_digits(
    loop: Array, digits: tuple[Array, Array], rng: np.random.Generator, density: float, spread: float
) -> tuple[Array, Array]:
    images, labels = digits
    boxes: list[Array] = []
    chosen: list[int] = []
    order = rng.permutation(len(images))
    for slot in np.flatnonzero(rng.random(LANES * LOOP_PX // SLOT_PX) < density):
        along, lane = divmod(int(slot), LANES)
        ink = Ink.random(rng, sizes=(32.0, 48.0), tilt_deg=15.0, spread=spread)
        x = (along + 0.5) * SLOT_PX + rng.uniform(-8.0, 8.0)
        y = (lane + 0.5) * SLOT_PX + rng.uniform(-5.0, 5.0) + _SHAKE_PX / 2
        which = int(order[len(chosen) % len(order)])
        boxes.append(paint_digit(loop, images[which], (x, y), ink))
        chosen.append(which)
    found = np.stack(boxes) if boxes else np.empty((0, 4), np.float32)
    return found, np.asarray(labels)[chosen].astype(np.int64)


def _uneven_light() -> Array:
    """Return (240, 320, 3) uint8: a lamp above the middle, darker towards the corners."""
    y, x = np.mgrid[-1.0 : 1.0 : HEIGHT * 1j, -1.0 : 1.0 : WIDTH * 1j]
    level = 255.0 - 55.0 * (0.6 * x**2 + 0.4 * y**2)
    return np.repeat(level.astype(np.uint8)[:, :, None], 3, axis=2)

"""Train and score the model that says which way a belt moves, from eight frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from digits_inputs import Inputs, card_file
from digits_models import Motion
from drawn_training import fit_drawn
from make_data import Digits
from numpy.typing import NDArray
from torch import Tensor

from edgesdk.train.batch import Batch
from edgesdk_agent.cameras.conveyor_scene import HEIGHT, LOOP_PX, SPEED_PX, WIDTH, ConveyorScene

STEPS, BATCH, PEAK_RATE = 250, 24, 6e-3
LABELS = ("left", "right", "still")
# After so many frames the belt is where it was, under other noise: that is what a standing belt looks like.
_ONCE_ROUND = LOOP_PX // int(np.gcd(LOOP_PX, SPEED_PX))
_BELTS = 4

Array = NDArray[Any]


class Clips:
    """Draw labelled clips at random.

    Args:
        digits: what lies on the belts.
        seed: decides all clips, in the order in which they are asked for.
    """

    def __init__(self, digits: Digits, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._belts = [
            ConveyorScene(digits.images, digits.labels, seed=seed + 1000 * belt) for belt in range(1, _BELTS + 1)
        ]

    def clip(self) -> tuple[list[Array], int]:
        """Draw one clip of `Motion.frames` pictures, (240, 320, 3) uint8 BGR, and return it with its class."""
        belt = self._belts[self._rng.integers(_BELTS)]
        start, label = int(self._rng.integers(_ONCE_ROUND)), int(self._rng.integers(len(LABELS)))
        # A belt moves to the left as its frames are numbered; also at twice the speed.
        speed = int(self._rng.integers(1, 3))
        steps = (speed, -speed, _ONCE_ROUND)[label]
        indices = [start + steps * frame for frame in range(Motion.frames)]
        if label == 1:
            indices = [index + _ONCE_ROUND for index in indices]
        pictures = []
        for index in indices:
            picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
            belt.draw(index, picture)
            pictures.append(picture)
        return pictures, label

    def batch(self, inputs: Inputs, count: int) -> tuple[Tensor, Tensor]:
        """Draw `count` clips as the model takes them, (B, T, 1, 48, 64), and their classes (B,)."""
        drawn = [self.clip() for _ in range(count)]
        frames = inputs.batch([picture for pictures, _ in drawn for picture in pictures])
        return frames.reshape(count, Motion.frames, *frames.shape[1:]), torch.tensor([label for _, label in drawn])


def train(digits: Digits, seed: int) -> Motion:
    """Train on belts with digits of the train split."""
    model, source, inputs = Motion(), Clips(digits, seed), Inputs("motion")

    fit_drawn(
        model,
        card_file("motion"),
        lambda count: Batch(*source.batch(inputs, count)),
        steps=STEPS,
        batch=BATCH,
        peak_rate=PEAK_RATE,
        seed=seed,
    )
    return model


def evaluate(model: Motion, digits: Digits, *, seed: int = 100, clips: int = 300) -> float:
    """Return the share of clips whose direction is told right, on belts of other seeds."""
    pictures, labels = Clips(digits, seed).batch(Inputs("motion"), clips)
    with torch.inference_mode():
        return float((model(pictures).argmax(1) == labels).float().mean())

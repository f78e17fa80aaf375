"""Train and score the detector on the rendered conveyor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from detector_loss import loss
from digits_inputs import Inputs, card, card_file
from digits_models import Detector
from digits_scores import Counts, pick
from drawn_training import fit_drawn
from make_data import Digits
from numpy.typing import NDArray

from edgesdk.train.batch import Batch, BoxTargets
from edgesdk_agent.cameras.conveyor_scene import HEIGHT, WIDTH, ConveyorScene, Truth

Array = NDArray[Any]

STEPS, BATCH, PEAK_RATE = 1600, 12, 4e-3
_SCENES, _STEPS_PER_SCENE = 10, 6
_SPREAD = 1.8  # with 1258 different digits, wilder writing than is tested makes up for more writers


def train(digits: Digits, seed: int) -> Detector:
    """Train the detector on scenes made of `digits`."""
    model = Detector()
    scenes = _SceneSource(digits, seed)
    inputs = Inputs("detector")
    scale = np.array([model.width / WIDTH, model.height / HEIGHT] * 2, np.float32)

    def draw(count: int) -> Batch:
        images, truths = scenes.batch(count)
        boxes = tuple(torch.from_numpy(truth.boxes * scale) for truth in truths)
        class_ids = tuple(torch.from_numpy(truth.labels) for truth in truths)
        crowd = tuple(torch.zeros(len(ids), dtype=torch.bool) for ids in class_ids)
        return Batch(inputs.batch(images), BoxTargets(boxes, class_ids, crowd))

    fit_drawn(
        model,
        card_file("detector"),
        draw,
        steps=STEPS,
        batch=BATCH,
        peak_rate=PEAK_RATE,
        seed=seed,
        loss=loss,
    )
    return model


def evaluate(model: Detector, digits: Digits, *, seeds: range = range(100, 104), frames: int = 150) -> Counts:
    """Count hits and errors at the card's thresholds, over frames spread over whole belts of several seeds."""
    limits = card("detector")["postprocess"]
    inputs, counts = Inputs("detector"), Counts()
    scale = np.array([WIDTH / model.width, HEIGHT / model.height] * 2, np.float32)
    frame = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    for seed in seeds:
        scene = ConveyorScene(digits.images, digits.labels, seed=seed)
        for index in range(0, frames * 11, 11):
            scene.draw(index, frame)
            with torch.inference_mode():
                boxes, scores = (output[0].numpy() for output in model(inputs.batch([frame])))
            found = pick(boxes * scale, scores, threshold=limits["score_threshold"], iou=limits["iou_threshold"])
            truth = scene.truth(index)
            counts.add(found, truth.boxes, truth.labels)
    return counts


class _SceneSource:
    """Random frames of a few scenes; one scene is replaced every few steps, for digits are painted once a scene."""

    def __init__(self, digits: Digits, seed: int) -> None:
        self._digits = digits
        self._rng = np.random.default_rng(seed)
        self._scenes = [self._scene() for _ in range(_SCENES)]
        self._drawn = 0

    def batch(self, count: int) -> tuple[list[Array], list[Truth]]:
        number, self._drawn = self._drawn, self._drawn + 1
        if number % _STEPS_PER_SCENE == 0:
            self._scenes[number // _STEPS_PER_SCENE % _SCENES] = self._scene()
        images, truths = [], []
        for _ in range(count):
            scene = self._scenes[int(self._rng.integers(_SCENES))]
            index = int(self._rng.integers(1_000_000))
            frame = np.empty((HEIGHT, WIDTH, 3), np.uint8)
            scene.draw(index, frame)
            images.append(frame)
            truths.append(scene.truth(index))
        return images, truths

    def _scene(self) -> ConveyorScene:
        seed = int(self._rng.integers(1 << 31))
        return ConveyorScene(self._digits.images, self._digits.labels, seed=seed, density=0.8, spread=_SPREAD)

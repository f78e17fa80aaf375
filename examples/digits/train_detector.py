"""Train and score the detector on the rendered conveyor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from digits_inputs import Inputs, card
from digits_models import Detector
from digits_scores import Counts, pick
from make_data import Digits
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from train_loop import fit

from edgesdk_agent.cameras.conveyor_scene import HEIGHT, WIDTH, ConveyorScene, Truth

Array = NDArray[Any]

STEPS, BATCH, PEAK_RATE = 1600, 12, 4e-3
_SCENES, _STEPS_PER_SCENE = 10, 6
_SPREAD = 1.8  # with 1258 different digits, wilder writing than is tested makes up for more writers
_CORE_PX, _RING_PX = 8.0, 15.0  # a digit's cells lie within the core; those up to the ring are not judged
_NOTHING, _NOT_JUDGED = 10, -1


def train(digits: Digits, seed: int) -> Detector:
    """Train the detector on scenes made of `digits`."""
    model = Detector()
    scenes = _SceneSource(digits, seed)
    inputs = Inputs("detector")
    grid = model.centres[0].numpy()

    def step(number: int) -> Tensor:
        images, truths = scenes.batch(number)
        wanted = [_targets(truth, grid) for truth in truths]
        classes, boxes = (torch.from_numpy(np.stack(part)) for part in zip(*wanted, strict=True))
        logits, found = model.raw(inputs.batch(images))
        return _loss(logits, found, classes, boxes)

    fit(model, step, steps=STEPS, peak_rate=PEAK_RATE, name="detector")
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

    def batch(self, step: int) -> tuple[list[Array], list[Truth]]:
        if step % _STEPS_PER_SCENE == 0:
            self._scenes[step // _STEPS_PER_SCENE % _SCENES] = self._scene()
        images, truths = [], []
        for _ in range(BATCH):
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


def _targets(truth: Truth, grid: Array) -> tuple[Array, Array]:
    """Say for each cell which class and box it should answer: (24, 32) int64 and (4, 24, 32) float32."""
    classes = np.full(grid.shape[1:], _NOTHING, np.int64)
    boxes = np.zeros((4, *grid.shape[1:]), np.float32)
    scale = np.array([Detector.width / WIDTH, Detector.height / HEIGHT] * 2, np.float32)
    for box, label in zip(truth.boxes * scale, truth.labels, strict=True):
        centre = (box[:2] + box[2:]) / 2
        away = np.abs(grid - centre[:, None, None]).max(axis=0)
        classes[(away < _RING_PX) & (classes == _NOTHING)] = _NOT_JUDGED
        classes[away < _CORE_PX] = label
        boxes[:, away < _CORE_PX] = box[:, None]
    return classes, boxes


def _loss(logits: Tensor, found: Tensor, classes: Tensor, boxes: Tensor) -> Tensor:
    """Focal loss over the judged cells, plus the boxes' overlap and distance over the digits' cells."""
    judged, digit = classes != _NOT_JUDGED, (classes >= 0) & (classes < _NOTHING)
    wanted = functional.one_hot(classes.clamp(min=0), _NOTHING + 1)[..., :_NOTHING].float()
    scores = logits.permute(0, 2, 3, 1)
    entropy = functional.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
    wrong = (scores.sigmoid() - wanted).abs().detach()
    count = digit.sum().clamp(min=1)
    class_loss = (entropy * wrong.square() * judged[..., None]).sum() / count
    ours, truth = found.permute(0, 2, 3, 1)[digit], boxes.permute(0, 2, 3, 1)[digit]
    low, high = torch.maximum(ours[:, :2], truth[:, :2]), torch.minimum(ours[:, 2:], truth[:, 2:])
    common = (high - low).clamp(min=0).prod(1)
    union = (ours[:, 2:] - ours[:, :2]).clamp(min=0).prod(1) + (truth[:, 2:] - truth[:, :2]).prod(1) - common
    overlap_loss = (1 - common / union).sum() / count
    return 4 * class_loss + overlap_loss + (ours - truth).abs().sum() / (16 * count)

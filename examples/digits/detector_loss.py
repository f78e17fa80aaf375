"""What is made small where the detector learns: in `train.py`, and by `edgesdk train … --loss detector_loss:loss`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from digits_models import Detector
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from edgesdk.train.batch import BoxTargets
    from edgesdk.train.moment import Moment

Array = NDArray[Any]

_CORE_PX, _RING_PX = 8.0, 15.0  # a digit's cells lie within the core; those up to the ring are not judged
_NOTHING, _NOT_JUDGED = 10, -1


def loss(moment: Moment) -> Tensor:
    """Return the loss of a batch of labelled pictures, the mean over their digits."""
    model, truth = cast("Detector", moment.model), cast("BoxTargets", moment.targets)
    logits, found = model.raw(moment.images)
    grid = model.centres[0].cpu().numpy()
    wanted = [
        cells_for(boxes.cpu().numpy(), class_ids.cpu().numpy(), grid)
        for boxes, class_ids in zip(truth.boxes, truth.class_ids, strict=True)
    ]
    classes, boxes = (torch.from_numpy(np.stack(part)).to(found.device) for part in zip(*wanted, strict=True))
    return loss_of(logits, found, classes, boxes)


def cells_for(boxes: Array, labels: Array, grid: Array) -> tuple[Array, Array]:
    """Say for each cell which class and box it should answer.

    Args:
        boxes: (N, 4) float, x1 y1 x2 y2 in pixels of the input.
        labels: (N,) int, the digits.
        grid: (2, 24, 32), x and y of the cells' centres.

    Returns:
        (24, 32) int64 and (4, 24, 32) float32.
    """
    classes = np.full(grid.shape[1:], _NOTHING, np.int64)
    wanted = np.zeros((4, *grid.shape[1:]), np.float32)
    for box, label in zip(boxes, labels, strict=True):
        centre = (box[:2] + box[2:]) / 2
        away = np.abs(grid - centre[:, None, None]).max(axis=0)
        classes[(away < _RING_PX) & (classes == _NOTHING)] = _NOT_JUDGED
        classes[away < _CORE_PX] = label
        wanted[:, away < _CORE_PX] = box[:, None]
    return classes, wanted


def loss_of(logits: Tensor, found: Tensor, classes: Tensor, boxes: Tensor) -> Tensor:
    """Return the focal loss over the judged cells, plus the boxes' overlap and distance over the digits' cells."""
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

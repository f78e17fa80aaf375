"""Boxes that move with what is in their picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesdk.train.batch import BoxTargets

if TYPE_CHECKING:
    from torch import Tensor

# Of a box that was moved over the picture's edge so much has to be left, or nobody could tell what it holds.
_LEAST_LEFT = 0.1


def moved_boxes(targets: BoxTargets, taken: Tensor, size: tuple[int, int]) -> BoxTargets:
    """Return the boxes of pictures whose content was moved; what left its picture is no truth of it any more.

    Around what was turned the box is the smallest upright one that holds the turned box, and so larger than the object.

    Args:
        taken: (B, 2, 3), from a place in the new picture to the one in the old where it was taken, both from -1 to 1.
        size: height and width of the pictures.
    """
    import torch

    # What the map undoes: old = turn @ new + offset.
    turns = torch.linalg.inv(taken[:, :, :2])
    half = torch.tensor([size[1], size[0]]) / 2
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for boxes, class_ids, crowd, turn, offset in zip(
        targets.boxes, targets.class_ids, targets.crowd, turns, taken[:, :, 2], strict=True
    ):
        corners = boxes[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 2) / half - 1
        places = (((corners - offset) @ turn.T + 1) * half).reshape(-1, 4, 2)
        whole = torch.cat([places.amin(1), places.amax(1)], 1)
        left = torch.stack([whole[:, 0::2].clamp(0, size[1]), whole[:, 1::2].clamp(0, size[0])], 2).flatten(1)
        kept = _area(left) >= _LEAST_LEFT * _area(whole).clamp(min=1e-6)
        parts.append((left[kept], class_ids[kept], crowd[kept]))
    return BoxTargets(*zip(*parts, strict=True))


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).prod(1)

"""The true boxes of one picture."""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk_targets.tensor import Array


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is in one picture.

    Attributes:
        boxes: (M, 4) float, x1 y1 x2 y2 in pixels.
        class_ids: (M,) int64.
        crowd: (M,) bool, boxes that stand for a group; None for none.
    """

    boxes: Array
    class_ids: Array
    crowd: Array | None = None

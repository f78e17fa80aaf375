"""What is tracked at one moment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesdk_targets.results import name_of
from edgesdk_targets.tensor import Array


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """The objects that a tracker follows after one frame; those not seen in it are where they are expected.

    Attributes:
        at: time of the frame, seconds.
        ids: (T,) int64, from 1, never used again by the same tracker.
        boxes: (T, 4) float64, x1 y1 x2 y2 in pixels, smoothed.
        scores: (T,) float32 of the last detection.
        class_ids: (T,) int64, what most detections of the object said.
        seen: (T,) bool, whether the object was detected in this frame.
        seen_at: (T,) float64, when it was detected last.
        born_at: (T,) float64, when it was detected first, before it was known to be an object.
        born_boxes: (T, 4) float64, where.
        detection_ids: (D,) int64, the object of each detection of the frame; 0 where it is none.
        ended: objects that are followed no more since the frame before.
        names: labels of all classes, in the model's order.
    """

    at: float
    ids: Array
    boxes: Array
    scores: Array
    class_ids: Array
    seen: Array
    seen_at: Array
    born_at: Array
    born_boxes: Array
    detection_ids: Array
    ended: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def label(self, row: int) -> str:
        """Return what the object in a row is."""
        return name_of(int(self.class_ids[row]), self.names)

    def box(self, row: int) -> list[float]:
        """Return the box in a row as plain numbers."""
        return [round(float(value), 1) for value in self.boxes[row]]


def nothing_tracked(at: float, detections: int = 0, ended: tuple[int, ...] = ()) -> Tracks:
    """Return the tracks of a scene in which nothing is followed."""
    none, rows = np.empty(0), np.empty(0, np.int64)
    boxes = np.empty((0, 4))
    return Tracks(
        at, rows, boxes, none.astype(np.float32), rows, none.astype(bool), none, none, boxes,
        np.zeros(detections, np.int64), ended,
    )  # fmt: skip

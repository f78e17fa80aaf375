"""What a tracker knows of each object, and of what may become one: a row each, in arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from edgesdk_agent.tracking.motion import Motion
from edgesdk_targets.tensor import Array


@dataclass(slots=True, eq=False)
class Known:
    """N objects.

    Attributes:
        motion: where they are, and where they are going.
        ids: (N,) int64; 0 of what is not known to be an object yet.
        hits: (N,) int64, how often each was seen.
        scores: (N,) float32 of the last detection.
        classes: (N,) int64, what most detections said; votes: (N,) float32, by how much.
        seen_at, born_at: (N,) float64, when it was seen last and first, seconds.
        born_boxes: (N, 4) float64, where it was seen first.
    """

    motion: Motion
    ids: Array
    hits: Array
    scores: Array
    classes: Array
    votes: Array
    seen_at: Array
    born_at: Array
    born_boxes: Array

    @classmethod
    def of(cls, boxes: Array, scores: Array, classes: Array, at: float) -> Known:
        """Begin with detections that belong to nobody."""
        count = len(boxes)
        certain = scores.astype(np.float32)
        return cls(
            motion=Motion.of(boxes),
            ids=np.zeros(count, np.int64),
            hits=np.ones(count, np.int64),
            scores=certain,
            classes=classes.astype(np.int64),
            votes=certain.copy(),
            seen_at=np.full(count, at),
            born_at=np.full(count, at),
            born_boxes=boxes.astype(np.float64),
        )

    @classmethod
    def nobody(cls) -> Known:
        """Know of nothing."""
        return cls.of(np.empty((0, 4)), np.empty(0), np.empty(0), 0.0)

    def keep(self, which: Array) -> Known:
        """Return some rows, by number or as a mask."""
        kept = (getattr(self, field.name)[which] for field in fields(self)[1:])
        return Known(self.motion.keep(which), *kept)

    def joined(self, other: Known) -> Known:
        """Return these rows and the others behind them."""
        pairs = ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self)[1:])
        return Known(self.motion.joined(other.motion), *(np.concatenate(pair) for pair in pairs))

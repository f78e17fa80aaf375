"""A picture on its way through the pipeline, and what became of it.

`seq` is counted where pictures are captured: a gap means that frames were dropped in between, and how many.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk_targets.results import Result
from edgesdk_targets.tensor import Array


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One captured picture.

    Attributes:
        camera: the name of its camera.
        seq: its number, counted from 0 at capture.
        captured_at: when it was there, seconds of the monotonic clock.
        wall_at: the same moment, seconds since 1970.
        image: (H, W, 3) uint8 BGR, borrowed from a buffer that the next frames use again: copy it to keep it.
    """

    camera: str
    seq: int
    captured_at: float
    wall_at: float
    image: Array


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """What the model says about one frame.

    Attributes:
        camera, seq, captured_at, wall_at: of the frame.
        age_s: from capture until the result was there, waiting included.
        preprocess_s, infer_s: the time the two stages worked on it; decoding counts as inference.
        result: may be kept as long as one likes.
        image: the frame's picture where the pipeline keeps it; valid only until the callback returns.
        digest: of the bundle that answered, which may change while a pipeline runs; empty where it is unknown.
    """

    camera: str
    seq: int
    captured_at: float
    wall_at: float
    age_s: float
    preprocess_s: float
    infer_s: float
    result: Result
    image: Array | None = None
    digest: str = ""

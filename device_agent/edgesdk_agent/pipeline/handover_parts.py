"""What a hand-over is made of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgesdk_agent.pipeline.camera_line import CameraLine
from edgesdk_agent.pipeline.model_inputs import Slot


@dataclass(frozen=True, slots=True)
class HandoverParts:
    """Cameras and a model's slots, and how they go together.

    Attributes:
        lines: one for each camera, made with `lock`.
        slots: of the model; lanes: how many of them may be inferred at the same time.
        lock: of all of the hand-over.
        clock: monotonic seconds.
        keep_image: results carry their picture, so that it is kept until they are delivered.
        others_may_prepare: whether lanes and cameras' threads prepare pictures too, and not only the thread for it.
    """

    lines: Sequence[CameraLine]
    slots: Sequence[Slot]
    lanes: int
    lock: threading.Lock
    clock: Callable[[], float]
    keep_image: bool = False
    others_may_prepare: bool = True

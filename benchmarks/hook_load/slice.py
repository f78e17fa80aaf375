"""One measurement in a process of its own: frames a second of a pipeline whose model takes 4 ms without Python's lock.

    python -m hook_load.slice RIVAL ISOLATION SWITCH_INTERVAL_S SECONDS

Prints the rate: beside a hook, of what the model was given; behind a stage, of the results that come through. The model
sleeps, so that its time is the same however busy the machine is, and all that is lost is what the hook costs.
"""

from __future__ import annotations

import sys
import time
from typing import Any, cast

import numpy as np

from edgesdk_agent.cameras.camera import CameraInfo
from edgesdk_agent.delivery.hook_settings import HookSettings, Isolation, hook_delivery
from edgesdk_agent.delivery.stage_settings import StageIsolation, StageSettings, filtered_delivery, frame_filter
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.pipeline import Pipeline
from edgesdk_targets.results import Regression, Result
from edgesdk_targets.tensor import Array
from hook_load.rivals import FRAME_STAGES, RESULT_STAGES, RIVALS, nothing

MODEL_S = 0.004
_WARM_UP_S = 0.5


class EndlessCamera:
    """The same small picture, as fast as it is read."""

    info = CameraInfo(64, 48, None, live=False, description="endless")

    def read(self, out: Array | None) -> Array | None:
        return np.zeros((48, 64, 3), np.uint8) if out is None else out

    def close(self) -> None:
        """Nothing to close."""


class SleepingSlot:
    """A model that takes its time elsewhere."""

    inferred = 0

    def prepare(self, image: Array) -> None:
        """The picture is of no interest."""

    def infer(self, _camera: str, _seq: int) -> Result:
        time.sleep(MODEL_S)
        SleepingSlot.inferred += 1
        return Regression(np.zeros(4, np.float32))


class Delivered:
    """Counts the results that came through."""

    def __init__(self) -> None:
        self.results = 0

    def __call__(self, _: FrameResult) -> None:
        self.results += 1


def rate(rival: str, isolation: str, seconds: float) -> float:
    """Return how many frames a second the model saw, or came through a stage, while the rival was at work.

    Args:
        isolation: of a hook; of a stage, `on_frame` or `on_result` stands before it, with a colon.
    """
    stage, _, isolate = isolation.rpartition(":")
    taker: Any = nothing
    delivered = Delivered()
    more: dict[str, Any] = {}
    if stage == "on_frame":
        more["on_frame"] = frame_filter(FRAME_STAGES[rival], StageSettings(cast("StageIsolation", isolate)))
        taker = delivered
    elif stage == "on_result":
        # As of a film: the pipeline waits where there is no room.
        taker = filtered_delivery(RESULT_STAGES[rival], delivered, StageSettings(cast("StageIsolation", isolate)))
    else:
        taker = hook_delivery(RIVALS[rival], HookSettings(cast("Isolation", isolate), when_full="drop_oldest"))

    def done() -> int:
        return delivered.results if stage else SleepingSlot.inferred

    with Pipeline([SleepingSlot(), SleepingSlot()], EndlessCamera(), on_result=taker, policy="every_frame", **more):
        time.sleep(_WARM_UP_S)
        before, began = done(), time.perf_counter()
        time.sleep(seconds)
        return (done() - before) / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.setswitchinterval(float(sys.argv[3]))
    print(rate(sys.argv[1], sys.argv[2], float(sys.argv[4])))

"""Three threads around a model that costs nothing: bare, and ours. What is left is the cost of handing frames over.

python null_model.py bare|ours [--fps 30] --seconds 3       prints one line of JSON
"""

from __future__ import annotations

import argparse
import json
import queue
import threading
import time
from typing import Any

import numpy as np

_SHAPE = (480, 640, 3)


class NullCamera:
    """640x480 pictures, not written: the hand-over is measured, and not memory. Paced where it has a rate."""

    def __init__(self, fps: float, seconds: float) -> None:
        from edgesdk_agent.cameras.camera import CameraInfo

        self.info = CameraInfo(_SHAPE[1], _SHAPE[0], fps or None, live=bool(fps), description="null")
        self._period = 1 / fps if fps else 0.0
        self._next = time.monotonic()
        self._ends = self._next + seconds

    def read(self, out: Any) -> Any:
        if self._period:
            self._next += self._period
            time.sleep(max(0.0, self._next - time.monotonic()))
        return None if time.monotonic() > self._ends else out

    def close(self) -> None:
        self._ends = 0.0


class NullSlot:
    """A model that answers at once."""

    needs_image = False

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def prepare(self, image: Any) -> None:
        pass

    def infer(self, camera: str, seq: int) -> Any:  # noqa: ARG002
        return self._answer


def ours(fps: float, seconds: float) -> dict[str, float]:
    """Run the agent's pipeline."""
    from edgesdk_agent.pipeline.pipeline import Pipeline
    from edgesdk_agent.pipeline.policy import slots_wanted
    from edgesdk_agent.pipeline_settings import apply_pipeline_settings
    from edgesdk_targets.results import Regression

    apply_pipeline_settings()
    policy: Any = "freshest" if fps else "every_frame"
    slots = [NullSlot(Regression(np.zeros(1, np.float32))) for _ in range(slots_wanted((policy,), 1))]
    ages: list[float] = []
    wall, cpu = time.perf_counter(), time.process_time()
    with Pipeline(slots, NullCamera(fps, seconds), on_result=lambda frame: ages.append(frame.age_s)) as pipeline:
        pipeline.wait()
    return _told(ages, wall, cpu)


def bare(fps: float, seconds: float) -> dict[str, float]:
    """Run the least that three threads and two pairs of preallocated buffers need, over `queue.SimpleQueue`."""
    pictures, inputs = ([np.empty(_SHAPE, np.uint8) for _ in range(3)] for _ in range(2))
    free_pictures, free_inputs, captured, prepared = (queue.SimpleQueue[Any]() for _ in range(4))
    for picture, prepared_input in zip(pictures, inputs, strict=True):
        free_pictures.put(picture)
        free_inputs.put(prepared_input)
    period, ends = (1 / fps if fps else 0.0), time.monotonic() + seconds
    ages: list[float] = []

    def capture() -> None:
        due = time.monotonic()
        while time.monotonic() < ends:
            picture = free_pictures.get()
            if period:
                due += period
                time.sleep(max(0.0, due - time.monotonic()))
            captured.put((picture, time.monotonic()))
        captured.put(None)

    def prepare() -> None:
        while (item := captured.get()) is not None:
            target = free_inputs.get()
            free_pictures.put(item[0])
            prepared.put((target, item[1]))
        prepared.put(None)

    wall, cpu = time.perf_counter(), time.process_time()
    for stage in (capture, prepare):
        threading.Thread(target=stage, daemon=True).start()
    while (item := prepared.get()) is not None:
        ages.append(time.monotonic() - item[1])
        free_inputs.put(item[0])
    return _told(ages, wall, cpu)


def _told(ages: list[float], wall: float, cpu: float) -> dict[str, float]:
    spent, cost = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "rate": len(ages) / spent,
        "cpu_us_a_frame": cost / max(1, len(ages)) * 1e6,
        "capture_to_infer_p50_us": float(np.percentile(ages, 50)) * 1e6,
        "capture_to_infer_p95_us": float(np.percentile(ages, 95)) * 1e6,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=("bare", "ours"))
    parser.add_argument("--fps", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    print(json.dumps((ours if options.which == "ours" else bare)(options.fps, options.seconds)))

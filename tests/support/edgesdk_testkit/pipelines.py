"""Cameras, sinks and checks for tests of the pipeline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from edgesdk_agent.cameras.camera import CameraInfo
from edgesdk_agent.cameras.synthetic import SyntheticCamera
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.meter import FrameStats
from edgesdk_agent.pipeline.pipeline import Pipeline
from edgesdk_agent.pipeline.policy import Policy, slots_wanted
from edgesdk_targets.tensor import Array
from edgesdk_testkit.slots import PATIENCE_S, Script, wait_until


class ScriptedCamera:
    """A small synthetic camera that does something else at chosen reads."""

    def __init__(self, frames: int | None, *, live: bool = False) -> None:
        self._inner = SyntheticCamera(width=32, height=16, frames=frames)
        self.info = CameraInfo(32, 16, None, live, "scripted")
        self.at: dict[int, BaseException | Callable[[], None]] = {}
        self.reads = 0
        self.closed = 0

    def read(self, out: Array | None) -> Array | None:
        action = self.at.get(self.reads)
        self.reads += 1
        if isinstance(action, BaseException):
            raise action
        if action is not None:
            action()
        return self._inner.read(out)

    def close(self) -> None:
        self.closed += 1
        self._inner.close()


class Sink:
    """Collects results, and lets a test wait for a number of them."""

    def __init__(self) -> None:
        self.results: list[FrameResult] = []

    def __call__(self, result: FrameResult) -> None:
        self.results.append(result)

    def of(self, camera: str) -> list[int]:
        """Return the numbers of one camera's results."""
        return [result.seq for result in self.results if result.camera == camera]

    @property
    def seqs(self) -> list[int]:
        return [result.seq for result in self.results]


def make(
    camera: Any,
    script: Script,
    sink: Callable[[FrameResult], object],
    policy: Policy | None = None,
    *,
    lanes: int = 1,
    **more: Any,
) -> Pipeline:
    """Make a pipeline of one camera, or of several by name, with as many slots as it wants."""
    count = len(camera) if isinstance(camera, Mapping) else 1
    slots = script.slots(slots_wanted((policy or "freshest",) * count, lanes))
    return Pipeline(slots, camera, on_result=sink, policy=policy, lanes=lanes, **more)


def looped(frames: int | None, policy: Policy, *, script: Script | None = None, queue: int = 4) -> Pipeline:
    """Make a pipeline of one scripted camera, whose results are taken in a loop."""
    slots = (script or Script()).slots(slots_wanted((policy,)))
    return Pipeline(slots, ScriptedCamera(frames), policy=policy, queue=queue)


def assert_accounts(stats: FrameStats) -> None:
    assert stats.in_flight == 0
    assert stats.captured == stats.processed + sum(stats.dropped.values())
    for camera in stats.cameras.values():
        assert_accounts(camera)


def run_until(pipeline: Pipeline, sink: Sink, results: int | None) -> None:
    """Let a pipeline run until its sources end, or until there are so many results."""
    if results is None:
        assert pipeline.wait(PATIENCE_S)
    else:
        wait_until(lambda: len(sink.results) >= results or pipeline.wait(0), "results")


def accounted(pipeline: Pipeline, sink: Sink) -> FrameStats:
    """Return what an ended pipeline counted, checked: every frame has its end, and every result was given to the sink."""
    stats = pipeline.stats()
    assert_accounts(stats)
    assert stats.processed == len(sink.results)
    return stats


def no_threads_left() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("edgesdk-")]

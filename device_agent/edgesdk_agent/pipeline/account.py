"""A pipeline's figures together: of its frames, of what became of the results, of its cameras and its threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgesdk_agent.cameras.camera import counts_of
from edgesdk_agent.delivery.delivery import Delivery
from edgesdk_agent.meter import FrameStats, Meters
from edgesdk_agent.pipeline.camera_line import CameraLine
from edgesdk_agent.pipeline.crew import Crew
from edgesdk_agent.pipeline.stage_thread import ProcessorTime


class Account:
    """Add up what a pipeline's parts count.

    Args:
        delivering, preparing: the parts of the lanes' processor time in which they delivered and prepared.
        at_cameras: likewise of each camera's thread, in which it prepared.
    """

    def __init__(
        self,
        meters: Meters,
        lines: Sequence[CameraLine],
        crew: Crew,
        delivery: Delivery,
        delivering: ProcessorTime,
        preparing: ProcessorTime,
        at_cameras: Sequence[ProcessorTime],
    ) -> None:
        self._meters = meters
        self._lines = lines
        self._crew = crew
        self._delivery = delivery
        self._delivering = delivering
        self._preparing = preparing
        self._at_cameras = tuple(at_cameras)

    def totals(self) -> FrameStats:
        """Return what happened since the start."""
        return self._completed(self._meters.totals())

    def interval(self) -> FrameStats:
        """Return what happened to the frames since the last call; what is not of frames are totals."""
        return self._completed(self._meters.interval())

    def _completed(self, stats: FrameStats) -> FrameStats:
        counts = self._delivery.counts()
        sources = {line.name: replace(counts_of(line.camera)) for line in self._lines}
        return replace(
            stats,
            cpu_s=self._cpu_s(),
            callback_errors=counts.failed + counts.hung,
            results_dropped=counts.dropped,
            results_filtered=counts.filtered,
            cameras={name: replace(one, source=sources[name]) for name, one in stats.cameras.items()},
        )

    def _cpu_s(self) -> dict[str, float]:
        deliver, prepare, seconds = self._delivering.seconds, self._preparing.seconds, self._crew.cpu_s()
        at_cameras = sum(time.seconds for time in self._at_cameras)
        return {
            **seconds,
            "capture": max(0.0, seconds["capture"] - at_cameras),
            "preprocess": seconds["preprocess"] + prepare + at_cameras,
            "infer": max(0.0, seconds["infer"] - deliver - prepare),
            "deliver": deliver,
        }

"""The first stage: one thread for each camera reads it all the time, so that nothing grows old in a driver or a socket."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from edgesdk_agent.cameras.camera import FrameLost
from edgesdk_agent.frame import Frame
from edgesdk_agent.meter import Cause
from edgesdk_agent.pipeline.camera_line import CameraLine
from edgesdk_agent.pipeline.handover import Handover
from edgesdk_agent.pipeline.model_inputs import InputCell
from edgesdk_agent.pipeline.picture_stage import PictureStage
from edgesdk_agent.pipeline.stage_thread import ProcessorTime
from edgesdk_agent.timeline.timeline import Timeline

log = logging.getLogger(__name__)

Clock = Callable[[], float]


class CaptureStage:
    """Read one camera into free pictures, and number its frames.

    Args:
        line: the camera's.
        clock: monotonic seconds; wall_clock: seconds since 1970.
        prepare: prepares a picture that is for this thread; it does not raise.
        preparing: is told the processor time that this took.
        profile: records when each frame was read, where one is wanted.
        stages: each is given every picture, in order, until one leaves it out.
    """

    def __init__(
        self,
        line: CameraLine,
        handover: Handover,
        clock: Clock,
        wall_clock: Clock,
        prepare: Callable[[InputCell], None],
        preparing: ProcessorTime,
        profile: Timeline | None = None,
        stages: Sequence[PictureStage] = (),
    ) -> None:
        self._stages = tuple(stages)
        self._line = line
        self._handover = handover
        self._clock = clock
        self._wall_clock = wall_clock
        self._prepare = prepare
        self._preparing = preparing
        self._profile = profile
        self._seq = 0

    def run(self) -> None:
        """Capture until the camera ends or is told to stop.

        Raises:
            CameraLost: the camera stopped delivering.
        """
        line, handover, profile = self._line, self._handover, self._profile
        while (cell := handover.picture_to_fill(line)) is not None:
            began = 0.0 if profile is None else self._clock()
            try:
                image = line.camera.read(cell.image)
            except FrameLost as lost:
                handover.not_captured(line, cell)
                self._lost(lost)
                continue
            except BaseException:
                handover.not_captured(line, cell)
                raise
            if image is None:
                handover.not_captured(line, cell)
                return
            at = self._clock()
            cell.image = image
            cell.frame = frame = Frame(line.name, self._seq, at, self._wall_clock(), image)
            if profile is not None:
                profile.add("capture", line.name, self._seq, began, at)
            self._seq += 1
            line.meter.captured()
            if self._stages and (cause := self._left_out(frame)) is not None:
                line.meter.dropped(cause)
                handover.not_captured(line, cell)
                continue
            line.rhythm.captured(at)
            if (at_once := handover.captured(line, cell)) is not None:
                spent = self._preparing.begin()
                self._prepare(at_once)
                self._preparing.end(spent)

    def end(self) -> None:
        """Let what was captured be processed to the end."""
        self._handover.capture_ended(self._line)

    def _left_out(self, frame: Frame) -> Cause | None:
        for stage in self._stages:
            if (cause := stage(frame)) is not None:
                return cause
        return None

    def _lost(self, lost: FrameLost) -> None:
        log.warning("%s: frame %d is lost: %s", self._line.name, self._seq, lost.message)
        self._seq += 1
        self._line.meter.captured()
        self._line.meter.dropped(lost.cause)

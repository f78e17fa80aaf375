"""The three loops of the pipeline, each run by one thread.

A loop ends when its source ends, and then closes what follows, so that an end travels through without losing a frame.
Every captured frame is counted exactly once as processed or dropped, also where a stage raises. The Python in each
loop is kept to microseconds: what takes time (decoding, resizing, inference) runs without Python's lock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from edgesdk_agent.cameras.camera import Camera, FrameLost
from edgesdk_agent.double_buffer import DoubleBuffer
from edgesdk_agent.frame import Frame, FrameResult
from edgesdk_agent.meter import Meter
from edgesdk_agent.model_inputs import FrameCell, InputCell, ModelInputs

log = logging.getLogger(__name__)

Clock = Callable[[], float]


class CaptureStage:
    """Read the camera into free picture cells and number the frames; also drains a live camera all the time."""

    def __init__(
        self,
        camera: Camera,
        name: str,
        frames: DoubleBuffer[FrameCell],
        meter: Meter,
        clock: Clock,
        wall_clock: Clock,
    ) -> None:
        self._camera = camera
        self._name = name
        self._frames = frames
        self._meter = meter
        self._clock = clock
        self._wall_clock = wall_clock
        self._seq = 0
        self.stopping = threading.Event()

    def run(self) -> None:
        """Capture until the camera ends, or `stopping` is set.

        Raises:
            CameraLost: the camera stopped delivering.
        """
        cell = self._frames.acquire()
        try:
            while cell is not None and not self.stopping.is_set():
                try:
                    image = self._camera.read(cell.image)
                except FrameLost as lost:
                    self._lost(lost)
                    continue
                if image is None:
                    break
                cell.image = image
                cell.frame = Frame(self._name, self._seq, self._clock(), self._wall_clock(), image)
                self._seq += 1
                self._meter.captured()
                self._frames.publish(cell)
                cell = self._frames.acquire()
        finally:
            if cell is not None:
                self._frames.abandon(cell)

    def end(self) -> None:
        """Let what was captured be read to the end."""
        self._frames.close()

    def _lost(self, lost: FrameLost) -> None:
        log.warning("%s: frame %d is lost: %s", self._name, self._seq, lost.message)
        self._seq += 1
        self._meter.captured()
        self._meter.dropped(lost.cause)


class PreprocessStage:
    """Prepare each frame into a free slot of the model."""

    def __init__(
        self,
        frames: DoubleBuffer[FrameCell],
        inputs: ModelInputs,
        meter: Meter,
        clock: Clock,
        *,
        keep_image: bool,
    ) -> None:
        self._frames = frames
        self._inputs = inputs
        self._meter = meter
        self._clock = clock
        self._keep_image = keep_image

    def run(self) -> None:
        """Prepare until nothing more is captured."""
        while (source := self._frames.take()) is not None:
            target = self._inputs.acquire()
            if target is None:
                self._meter.dropped("stopped")
                self._frames.release(source)
            else:
                self._prepare(source, target)

    def end(self) -> None:
        """Let what was prepared be inferred to the end."""
        self._inputs.close()

    def _prepare(self, source: FrameCell, target: InputCell) -> None:
        frame = source.frame
        assert frame is not None  # noqa: S101  (a cell that was published holds a frame)
        started = self._clock()
        try:
            target.slot.prepare(frame.image)
        except BaseException:
            self._meter.dropped("failed")
            self._inputs.abandon(target)
            self._frames.release(source)
            raise
        target.prepare_s = self._clock() - started
        target.frame = frame
        if self._keep_image:
            target.kept = source
        else:
            self._frames.release(source)
        self._inputs.publish(target)


class InferStage:
    """Run the model on each prepared slot, in order, and hand the results over."""

    def __init__(
        self,
        frames: DoubleBuffer[FrameCell],
        inputs: ModelInputs,
        meter: Meter,
        clock: Clock,
        on_result: Callable[[FrameResult], None],
    ) -> None:
        self._frames = frames
        self._inputs = inputs
        self._meter = meter
        self._clock = clock
        self._on_result = on_result

    def run(self) -> None:
        """Infer until nothing more is prepared."""
        while (cell := self._inputs.take()) is not None:
            kept, cell.kept = cell.kept, None
            try:
                self._deliver(self._infer(cell, kept))
            finally:
                if kept is not None:
                    self._frames.release(kept)

    def end(self) -> None:
        """Nothing follows."""

    def _infer(self, cell: InputCell, kept: FrameCell | None) -> FrameResult:
        frame = cell.frame
        assert frame is not None  # noqa: S101  (a cell that was published holds a frame)
        prepare_s, started = cell.prepare_s, self._clock()
        try:
            result = cell.slot.infer(frame.camera, frame.seq)
        except BaseException:
            self._meter.dropped("failed")
            raise
        finally:
            # A result owns its arrays, so the slot is free for the next frame while the result is handed over.
            self._inputs.release(cell)
        done = self._clock()
        age, infer_s = done - frame.captured_at, done - started
        self._meter.processed(done, age, prepare_s, infer_s)
        return FrameResult(
            frame.camera,
            frame.seq,
            frame.captured_at,
            frame.wall_at,
            age,
            prepare_s,
            infer_s,
            result,
            None if kept is None else frame.image,
        )

    def _deliver(self, result: FrameResult) -> None:
        try:
            self._on_result(result)
        except Exception:  # a plug-in's border: whatever a callback does, the camera goes on
            if self._meter.callback_failed():
                log.exception("the callback failed at frame %d; later failures are only counted", result.seq)

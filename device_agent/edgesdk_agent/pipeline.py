"""Camera to results: three threads around two double buffers.

    capture ─ pictures ─▶ preprocess ─ the model's bound inputs ─▶ infer + decode ─▶ on_result

`freshest` (a live camera's default) bounds the age of what is reported: newer frames replace older ones until the next
stage takes them, and every one that is replaced is counted. `every_frame` (a file's default) loses nothing and keeps
the order: a full buffer makes the stage before it wait. The pipeline knows no transport: a sink is a callable.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.source_url import redact_text
from edgesdk_agent.double_buffer import DoubleBuffer, Drop
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.meter import Cause, FrameStats, Meter
from edgesdk_agent.model_inputs import SLOTS_WANTED, FrameCell, InputCell, ModelInputs, Policy, Slot
from edgesdk_agent.stages import CaptureStage, Clock, InferStage, PreprocessStage
from edgesdk_targets.errors import CameraLost, EdgeError, InputError, SessionFailed

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["SLOTS_WANTED", "FrameResult", "FrameStats", "Pipeline", "Policy", "Slot"]

log = logging.getLogger(__name__)

Stage = CaptureStage | PreprocessStage | InferStage

# After the time for a clean stop is over, a stage still gets this long to notice that the rest was dropped.
_ABORT_GRACE_S = 1.0
_CAUSES: dict[Drop, tuple[Cause, Cause]] = {
    "replaced": ("replaced_before_preprocess", "replaced_before_inference"),
    "stopped": ("stopped", "stopped"),
}


class Pipeline:
    """Run one camera through one model until the source ends, an error occurs, or it is stopped.

    The camera belongs to the pipeline from here on, and is closed by it; the model stays the caller's.

    Args:
        slots: preallocated inputs of the model; `SLOTS_WANTED[policy]` of them for full overlap.
        camera: read by the capture thread only.
        on_result: is given every result in order, on the inference thread. What it raises is counted, and logged once.
        camera_name: stands in every result, and chooses the recurrent state.
        policy: `freshest` for a live camera and `every_frame` otherwise, unless given.
        keep_image: keep each picture until its result was handed over, for drawing; takes one picture more a slot.
        on_error: is given the error that ended the pipeline, on the thread that met it; `wait` and `stop` then do not
            raise it.
        meter: counts the frames; shared by several pipelines, it counts them together.
        clock, wall_clock: monotonic seconds, and seconds since 1970.

    Raises:
        InputError: there are no slots, or the policy is unknown.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        camera: Camera,
        *,
        on_result: Callable[[FrameResult], None],
        camera_name: str = "camera",
        policy: Policy | None = None,
        keep_image: bool = False,
        on_error: Callable[[EdgeError], None] | None = None,
        meter: Meter | None = None,
        clock: Clock = time.monotonic,
        wall_clock: Clock = time.time,
    ) -> None:
        info = camera.info
        self.policy: Policy = policy or ("freshest" if info.live else "every_frame")
        if self.policy not in SLOTS_WANTED:
            raise InputError(f"There is no policy {self.policy!r}.", hint=f"One of {', '.join(SLOTS_WANTED)}.")
        self.camera_name = camera_name
        self._camera = camera
        self._on_error = on_error
        self._meter = meter or Meter(clock)
        self._inputs = ModelInputs(slots, self.policy, self._input_dropped)
        cells = SLOTS_WANTED[self.policy] + (len(slots) if keep_image else 0)
        self._frames = DoubleBuffer(
            [FrameCell(info.width, info.height) for _ in range(cells)],
            replace=self.policy == "freshest",
            on_drop=lambda _, why: self._meter.dropped(_CAUSES[why][0]),
        )
        frames, inputs, counts = self._frames, self._inputs, self._meter
        self._capture = CaptureStage(camera, camera_name, frames, counts, clock, wall_clock)
        preprocess = PreprocessStage(frames, inputs, counts, clock, keep_image=keep_image)
        infer = InferStage(frames, inputs, counts, clock, on_result)
        self._threads = (
            self._thread("capture", self._capture, CameraLost),
            self._thread("preprocess", preprocess, SessionFailed),
            self._thread("infer", infer, SessionFailed),
        )
        self._lock = threading.Lock()
        self._running = 0
        self._error: EdgeError | None = None
        self._over = threading.Event()

    def start(self) -> Self:
        """Start the threads; a pipeline runs once."""
        with self._lock:
            self._running = len(self._threads)
        self._meter.start()
        for thread in reversed(self._threads):
            thread.start()
        return self

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the source ended and its last result was handed over, and say whether that is so.

        Raises:
            EdgeError: what ended the pipeline.
        """
        over = self._over.wait(timeout_s)
        self._raise_error()
        return over

    def request_stop(self) -> None:
        """Stop capturing and return at once; what is captured is still processed."""
        self._capture.stopping.set()
        self._close_camera()

    def stop(self, timeout_s: float = 10.0) -> FrameStats:
        """Stop capturing, let the frames in flight be processed and delivered, and return the totals.

        What is not processed after `timeout_s` is dropped and counted. From within a callback it only asks to stop.

        Raises:
            EdgeError: what ended the pipeline, or that a thread is stuck.
        """
        self.request_stop()
        started = [thread for thread in self._threads if thread.ident is not None]
        if threading.current_thread() not in started:
            if not _join(started, timeout_s):
                self._abort()
                if not _join(started, _ABORT_GRACE_S):
                    self._stuck(started)
            self._raise_error()
        return self.stats()

    def swap(self, slots: Sequence[Slot], timeout_s: float = 30.0) -> None:
        """Let another model take over between two frames, losing none; then the old model may be closed.

        Raises:
            InputError: there are no slots.
            SessionFailed: the old model does not finish its last frame within the time.
        """
        self._inputs.swap(slots, timeout_s)

    def stats(self) -> FrameStats:
        """Return what happened to the frames since the start."""
        return self._meter.totals()

    def interval_stats(self) -> FrameStats:
        """Return what happened since the last call, for telemetry."""
        return self._meter.interval()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except EdgeError as failure:
            if error is None:
                raise
            if failure is not error:
                log.warning("%s: while stopping: %s", self.camera_name, failure.message)

    def _thread(self, name: str, stage: Stage, translation: type[EdgeError]) -> threading.Thread:
        # A daemon, so that a driver that never returns cannot keep the process from ending.
        name = f"edgesdk-{name}-{self.camera_name}"
        return threading.Thread(target=self._run, args=(stage, translation), name=name, daemon=True)

    def _run(self, stage: Stage, translation: type[EdgeError]) -> None:
        try:
            stage.run()
        except EdgeError as error:
            self._fail(error)
        except Exception as error:  # a thread's top: a camera's or a runtime's own error ends the pipeline, explained
            log.debug("%s", threading.current_thread().name, exc_info=True)
            what = redact_text(f"{type(error).__name__}: {error}".splitlines()[0])
            self._fail(translation(f"{self.camera_name} stopped: {what}", hint="Run with --debug to see where."))
        finally:
            stage.end()
            if stage is self._capture:
                self._close_camera()
            with self._lock:
                self._running -= 1
                if not self._running:
                    self._over.set()

    def _fail(self, error: EdgeError) -> None:
        self._record(error)
        self._capture.stopping.set()
        self._abort()
        self._close_camera()
        self._over.set()

    def _record(self, error: EdgeError) -> None:
        with self._lock:
            first = self._error is None
            self._error = self._error or error
        if first and self._on_error is not None:
            self._on_error(error)

    def _close_camera(self) -> None:
        try:
            self._camera.close()
        except EdgeError as error:
            self._record(error)

    def _abort(self) -> None:
        self._frames.abort()
        self._inputs.abort()

    def _raise_error(self) -> None:
        if self._error is not None and self._on_error is None:
            raise self._error

    def _stuck(self, threads: Sequence[threading.Thread]) -> None:
        names = [thread.name for thread in threads if thread.is_alive()]
        if names == [self._threads[0].name]:
            # A driver may hold a read until its own time is over; whatever it still brings is counted as dropped.
            log.warning("%s still waits for its camera, and ends when the camera's time-out is over", names[0])
        elif names:
            message = f"{', '.join(names)} did not stop."
            self._fail(SessionFailed(message, hint="The runtime does not return; end the process."))

    def _input_dropped(self, cell: InputCell, why: Drop) -> None:
        self._meter.dropped(_CAUSES[why][1])
        kept, cell.kept = cell.kept, None
        if kept is not None:
            self._frames.release(kept)


def _join(threads: Sequence[threading.Thread], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)

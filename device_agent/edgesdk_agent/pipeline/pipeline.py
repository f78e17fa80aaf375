"""Cameras to results, over one model: its threads, their start and their end.

    camera ─ capture thread ─┐                                     ┌─ lane ─┐
    camera ─ capture thread ─┼─▶ preprocess thread ─ bound inputs ─┼─ lane ─┼─ in order ─▶ on_result
    camera ─ capture thread ─┘                                     └─ lane ─┘

The threads meet in the `handover` only. The pipeline knows no transport: who takes the results is a callable.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.source_url import redact_text
from edgesdk_agent.delivery.delivery import Delivery
from edgesdk_agent.delivery.frame_filter import FrameFilter
from edgesdk_agent.delivery.inline import InlineDelivery
from edgesdk_agent.frame import Frame, FrameResult
from edgesdk_agent.meter import FrameStats, Meters
from edgesdk_agent.pipeline.camera_line import CameraLine
from edgesdk_agent.pipeline.capture import CaptureStage, Clock
from edgesdk_agent.pipeline.handover import Handover
from edgesdk_agent.pipeline.infer import InferStage
from edgesdk_agent.pipeline.model_inputs import Slot
from edgesdk_agent.pipeline.policy import Policy, policy_for
from edgesdk_agent.pipeline.preprocess import PreprocessStage
from edgesdk_agent.pipeline.stage_thread import ProcessorTime, Stage, StageKind, StageThread
from edgesdk_agent.timeline.timeline import Timeline
from edgesdk_targets.errors import CameraLost, EdgeError, InputError, SessionFailed
from edgesdk_targets.tensor import Array

if TYPE_CHECKING:
    from typing_extensions import Self

log = logging.getLogger(__name__)

# After the time for a clean stop is over, a stage still gets this long to notice that the rest was dropped.
_ABORT_GRACE_S = 1.0
# How long a hook may take for the results that still wait for it when the last source has ended.
_LAST_DELIVERIES_S = 10.0
_TRANSLATION: dict[StageKind, type[EdgeError]] = {
    "capture": CameraLost,
    "preprocess": SessionFailed,
    "infer": SessionFailed,
}


class Pipeline:
    """Run cameras through one model until the sources end, an error occurs, or it is stopped.

    The cameras belong to the pipeline from here on, and are closed by it; the model stays the caller's. A camera that
    fails is closed, told and counted, and the others go on; when none is left, its error is the pipeline's.

    Args:
        slots: preallocated inputs of the model; `slots_wanted(policies, lanes)` of them for full overlap.
        cameras: one, or several by name. The name stands in every result and chooses the recurrent state.
        on_result: is given every result, one at a time, each camera's in order: a callable, which then runs on a lane
            and holds it up; or a delivery that hands results to a thread or a process. What it raises is counted.
        camera_name: of a camera that is given alone.
        policy: `freshest` for a live camera and `every_frame` otherwise, unless given, for all or by name.
        lanes: how many slots are inferred at the same time, each on a thread of its own; `Model.lanes` at most.
        keep_image: keep each picture until its result was handed over, for drawing.
        on_error: is given the error that ended the pipeline, on the thread that met it; `wait` and `stop` then do not
            raise it.
        on_camera_error: is given the name and the error of each camera that fails, on its own thread.
        on_frame: is asked what the model is to see of each frame: a picture, or None to leave the frame out. It runs on
            the preprocessing thread.
        profile: records where each frame's time goes.
        clock, wall_clock: monotonic seconds, and seconds since 1970.

    Raises:
        InputError: there are no slots, no cameras or no lane, or a policy is unknown.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        cameras: Camera | Mapping[str, Camera],
        *,
        on_result: Callable[[FrameResult], object] | Delivery,
        camera_name: str = "camera",
        policy: Policy | Mapping[str, Policy] | None = None,
        lanes: int = 1,
        keep_image: bool = False,
        on_error: Callable[[EdgeError], None] | None = None,
        on_camera_error: Callable[[str, EdgeError], None] | None = None,
        on_frame: Callable[[Frame], Array | None] | FrameFilter | None = None,
        profile: Timeline | None = None,
        clock: Clock = time.monotonic,
        wall_clock: Clock = time.time,
    ) -> None:
        named = dict(cameras) if isinstance(cameras, Mapping) else {camera_name: cameras}
        if not named:
            raise InputError("A pipeline needs at least one camera.", hint="Give a camera, or several by name.")
        self.policies: Mapping[str, Policy] = MappingProxyType(policies_for(named, policy))
        self._on_error = on_error
        self._on_camera_error = on_camera_error
        self._clock = clock
        self._delivery = _as_delivery(on_result)
        self._profile = profile
        self._meters = Meters(named, clock)
        lock = threading.Lock()
        kept = len(slots)
        self._lines = tuple(
            CameraLine(name, camera, self.policies[name], kept, self._meters[name], lock)
            for name, camera in named.items()
        )
        self._handover = Handover(self._lines, slots, lanes, keep_image=keep_image, clock=clock, lock=lock)
        self._delivering = ProcessorTime()
        seen = on_frame if on_frame is None or isinstance(on_frame, FrameFilter) else FrameFilter(on_frame)
        preprocess = PreprocessStage(self._handover, clock, self._camera_unusable, seen, profile)
        self._threads = [
            *(self._lane(number) for number in range(lanes)),
            self._thread("preprocess", "", preprocess),
            *(
                self._thread("capture", line.name, CaptureStage(line, self._handover, clock, wall_clock, profile), line)
                for line in self._lines
            ),
        ]
        self._lock = threading.Lock()
        self._running = self._inferring = 0
        self._error: EdgeError | None = None
        self._camera_errors: dict[str, EdgeError] = {}
        self._last_deliveries_s = _LAST_DELIVERIES_S
        self._over = threading.Event()

    @property
    def camera_errors(self) -> Mapping[str, EdgeError]:
        """What ended cameras that failed, by name."""
        return dict(self._camera_errors)

    def start(self) -> Self:
        """Start the threads; a pipeline runs once.

        Raises:
            EdgeError: whoever takes the results cannot.
        """
        self._delivery.start()
        with self._lock:
            self._running = len(self._threads)
            self._inferring = sum(thread.kind == "infer" for thread in self._threads)
        self._meters.start()
        for thread in self._threads:
            thread.start()
        return self

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until every source ended and the last result was handed over, and say whether that is so.

        Raises:
            EdgeError: what ended the pipeline.
        """
        over = self._over.wait(timeout_s)
        self._raise_error()
        return over

    def pause(self) -> None:
        """Let no frame through until `resume`.

        Live cameras are still read, so that nothing grows old in between, and their frames are counted as dropped with
        the cause `paused`; other sources wait. Frames that were captured before are still processed.
        """
        self._handover.pause(paused=True)

    def resume(self) -> None:
        """Go on with the next frame."""
        self._handover.pause(paused=False)

    def request_stop(self) -> None:
        """Stop capturing and return at once; what is captured is still processed."""
        self._handover.stop_capture()
        for line in self._lines:
            self._close_camera(line)

    def stop(self, timeout_s: float = 10.0) -> FrameStats:
        """Stop capturing, let the frames in flight be processed and delivered, and return the totals.

        What is not processed after `timeout_s` is dropped and counted. From within a callback it only asks to stop.

        Raises:
            EdgeError: what ended the pipeline, or that a thread is stuck.
        """
        self._last_deliveries_s = min(timeout_s, self._last_deliveries_s)
        self.request_stop()
        started = [thread for thread in self._threads if thread.started]
        if not any(thread.is_current for thread in started):
            if not _join(started, timeout_s):
                self._handover.abort()
                if not _join(started, _ABORT_GRACE_S):
                    self._stuck(started)
            self._delivery.close(0.0)
            self._raise_error()
        return self.stats()

    def swap(self, slots: Sequence[Slot], timeout_s: float = 30.0, *, lanes: int = 1) -> None:
        """Let another model take over between two frames, losing none; then the old model may be closed.

        Args:
            slots: of the other model, whose input may be of another size; fit as many as at the start.
            timeout_s: to wait for the old model's last frame.
            lanes: how many of the slots are inferred at the same time.

        Raises:
            InputError: there are no slots, or no lane.
            SessionFailed: the old model does not finish its last frame within the time.
        """
        with self._lock:
            missing = range(self._inferring, lanes) if self._running else range(0)
            more = [self._lane(number) for number in missing]
            self._threads += more
            self._running += len(more)
            self._inferring += len(more)
        for thread in more:
            thread.start()
        self._handover.swap(slots, lanes, timeout_s)

    def stats(self) -> FrameStats:
        """Return what happened to the frames since the start."""
        counts = self._delivery.counts()
        return replace(self._meters.totals(), cpu_s=self._cpu_s(), callback_errors=counts.failed + counts.hung)

    def interval_stats(self) -> FrameStats:
        """Return what happened since the last call, for telemetry; `cpu_s` and `callback_errors` are totals."""
        counts = self._delivery.counts()
        return replace(self._meters.interval(), cpu_s=self._cpu_s(), callback_errors=counts.failed + counts.hung)

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
                log.warning("while stopping: %s", failure.message)

    def _lane(self, number: int) -> StageThread:
        stage = InferStage(self._handover, self._clock, self._delivery, self._delivering, self._profile)
        return self._thread("infer", str(number + 1), stage)

    def _thread(self, kind: StageKind, of: str, stage: Stage, line: CameraLine | None = None) -> StageThread:
        failed, ended = partial(self._stage_failed, kind, line), partial(self._stage_ended, kind, line)
        return StageThread(kind, of, stage, on_failure=failed, on_end=ended)

    def _stage_failed(self, kind: StageKind, line: CameraLine | None, error: BaseException) -> None:
        if not isinstance(error, EdgeError):
            log.debug("%s", threading.current_thread().name, exc_info=error)
            what = redact_text(f"{type(error).__name__}: {error}".splitlines()[0])
            whose = "The pipeline" if line is None else line.name
            error = _TRANSLATION[kind](f"{whose} stopped: {what}", hint="Run with --debug to see where.")
        if line is None:
            self._fail(error)
        else:
            self._camera_failed(line, error)

    def _stage_ended(self, kind: StageKind, line: CameraLine | None) -> None:
        if line is not None:
            self._close_camera(line)
        with self._lock:
            self._inferring -= kind == "infer"
            last_lane = kind == "infer" and not self._inferring
        if last_lane:
            self._delivery.close(self._last_deliveries_s)
        with self._lock:
            self._running -= 1
            if not self._running:
                self._over.set()

    def _camera_failed(self, line: CameraLine, error: EdgeError) -> None:
        """Note that a camera gives nothing more; it is the pipeline's end when every camera failed."""
        if self._camera_recorded(line, error):
            self._fail(error)

    def _camera_recorded(self, line: CameraLine, error: EdgeError) -> bool:
        """Tell a camera's error, once, and say whether no camera is left that did not fail."""
        with self._lock:
            told = line.name in self._camera_errors
            self._camera_errors.setdefault(line.name, error)
            all_failed = len(self._camera_errors) == len(self._lines)
        if told:
            return False
        if len(self._lines) > 1:
            log.error("%s: %s %s", line.name, error.message, error.hint)
        if self._on_camera_error is not None:
            self._on_camera_error(line.name, error)
        return all_failed

    def _camera_unusable(self, line: CameraLine, error: InputError) -> None:
        self._camera_failed(line, error)
        self._handover.stop_capture(line)
        self._close_camera(line)

    def _record(self, error: EdgeError) -> None:
        with self._lock:
            first = self._error is None
            self._error = self._error or error
        if first and self._on_error is not None:
            self._on_error(error)

    def _fail(self, error: EdgeError) -> None:
        self._record(error)
        self._handover.abort()
        self.request_stop()
        self._over.set()

    def _close_camera(self, line: CameraLine) -> None:
        try:
            line.camera.close()
        except EdgeError as error:
            # What it gave is whole and is still processed; what is wrong is told all the same.
            if self._camera_recorded(line, error):
                self._record(error)

    def _raise_error(self) -> None:
        if self._error is not None and self._on_error is None:
            raise self._error

    def _cpu_s(self) -> dict[str, float]:
        seconds = {"capture": 0.0, "preprocess": 0.0, "infer": 0.0, "deliver": self._delivering.seconds}
        for thread in tuple(self._threads):
            seconds[thread.kind] += thread.cpu_s()
        seconds["infer"] -= seconds["deliver"]
        return seconds

    def _stuck(self, threads: Sequence[StageThread]) -> None:
        names = [thread.name for thread in threads if thread.is_alive]
        if names and all(thread.kind == "capture" for thread in threads if thread.is_alive):
            # A driver may hold a read until its own time is over; whatever it still brings is counted as dropped.
            log.warning("%s still waits for its camera, and ends when the camera's time-out is over", ", ".join(names))
        elif names:
            hint = "The runtime or a hook does not return; end the process, or give hooks a process of their own."
            self._fail(SessionFailed(f"{', '.join(names)} did not stop.", hint=hint))


def policies_for(cameras: Mapping[str, Camera], asked: Policy | Mapping[str, Policy] | None) -> dict[str, Policy]:
    """Return each camera's policy: what is asked for, or what fits the camera.

    Raises:
        InputError: there is no such policy, or no such camera.
    """
    by_name = asked if isinstance(asked, Mapping) else dict.fromkeys(cameras, asked)
    if unknown := sorted(set(by_name) - set(cameras)):
        raise InputError(f"There is no camera {unknown[0]!r}.", hint=f"One of {', '.join(cameras)}.")
    return {name: policy_for(by_name.get(name), live=camera.info.live) for name, camera in cameras.items()}


def _as_delivery(on_result: Callable[[FrameResult], object] | Delivery) -> Delivery:
    # A protocol cannot be asked for by isinstance; a plain callable counts nothing.
    return on_result if hasattr(on_result, "counts") else InlineDelivery(on_result)  # type: ignore[return-value]


def _join(threads: Sequence[StageThread], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive for thread in threads)

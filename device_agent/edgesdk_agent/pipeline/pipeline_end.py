"""What ends a pipeline, or one of its cameras: a stop, or a failure."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod

from edgesdk_agent.delivery.delivery import is_on_own_thread
from edgesdk_agent.meter import FrameStats
from edgesdk_agent.pipeline.ask import AskStage
from edgesdk_agent.pipeline.camera_line import CameraLine
from edgesdk_agent.pipeline.crew import Crew
from edgesdk_agent.pipeline.failures import as_edge_error
from edgesdk_agent.pipeline.hang_watch import HangWatch
from edgesdk_agent.pipeline.pipeline_parts import PipelineParts
from edgesdk_agent.pipeline.stage_thread import StageKind
from edgesdk_targets.errors import EdgeError, InputError, SessionFailed

log = logging.getLogger(__name__)

# After the time for a clean stop is over, a stage still gets this long to notice that the rest was dropped.
ABORT_GRACE_S = 1.0
# How long a hook may take for the results that still wait for it when the last source has ended.
_LAST_DELIVERIES_S = 10.0


class PipelineEnd(ABC):
    """The part of a pipeline that ends it. A camera's failure is its own, until every camera failed; any other is the end."""

    def __init__(self, parts: PipelineParts) -> None:
        self._lines = parts.lines
        self._handover = parts.handover
        self._results = parts.results
        self._delivery = parts.delivery
        self._failures = parts.failures
        self._crew = Crew(
            on_failure=self._stage_failed, on_capture_end=self._close_camera, on_last_result=self._close_delivery
        )
        self._hangs = HangWatch(parts.user_code, self._crew)
        self._asking: tuple[AskStage, ...] = ()
        # Whether user code in processes is being started just now, which a stop breaks off.
        self._starting = False
        # A stop may come before there is anything to break off: its word is kept, and `start` looks at it.
        self._stop_asked = threading.Event()
        self._last_deliveries_s = _LAST_DELIVERIES_S

    def request_stop(self) -> None:
        """Stop capturing and return at once; what is captured is still processed. A start that is under way is broken off."""
        # Before it looks whether there is a start: that says so first, and looks at this after.
        self._stop_asked.set()
        self._results.hurry()
        self._handover.stop_capture()
        for line in self._lines:
            self._close_camera(line)
        if self._starting:
            self._break_off()

    @abstractmethod
    def stats(self) -> FrameStats:
        """Return what happened to the frames since the start."""

    def stop(self, timeout_s: float = 10.0) -> FrameStats:
        """Stop capturing, let the frames in flight be processed and delivered, and return the totals.

        What is not processed after `timeout_s` is dropped and counted. From within a callback it only asks to stop.

        Raises:
            EdgeError: what ended the pipeline, or that a thread is stuck.
        """
        self._last_deliveries_s = min(timeout_s, self._last_deliveries_s)
        self.request_stop()
        if not self._crew.is_member() and not is_on_own_thread(self._delivery):
            if not self._crew.join(timeout_s):
                self._abort()
                if not self._crew.join(ABORT_GRACE_S):
                    self._stuck()
            self._delivery.close(0.0)
            self._failures.raise_first()
        return self.stats()

    def left_out(self) -> dict[str, str]:
        """Return the cameras whose frames are lost while user code hangs with one of them, and that code's name."""
        return self._hangs.left_out()

    def _stage_failed(self, kind: StageKind, line: CameraLine | None, raised: BaseException) -> None:
        if line is None:
            self._fail(as_edge_error(kind, None, raised))
        else:
            self._camera_failed(line, as_edge_error(kind, line.name, raised))

    def _camera_failed(self, line: CameraLine, error: EdgeError) -> None:
        """Note that a camera gives nothing more; it is the pipeline's end when every camera failed."""
        if self._failures.add_camera(line.name, error):
            self._fail(error)

    def _camera_unusable(self, line: CameraLine, error: InputError) -> None:
        self._camera_failed(line, error)
        self._handover.stop_capture(line)
        self._close_camera(line)

    def _fail(self, error: EdgeError) -> None:
        # Whatever closing a camera or the caller's `on_error` does, the end comes; and it comes after `on_error`.
        try:
            self._abort()
            self._failures.add(error)
            self.request_stop()
        finally:
            self._crew.over.set()

    def _abort(self) -> None:
        """End every thread, and drop what is not in inference yet."""
        self._handover.abort()
        self._abort_asking()

    def _abort_asking(self) -> None:
        for one in self._asking:
            one.abort()

    def _break_off(self) -> None:
        """Let user code in processes start no more; what is there already ends."""
        self._abort_asking()
        self._delivery.close(0.0)

    def _close_camera(self, line: CameraLine) -> None:
        try:
            line.camera.close()
        except EdgeError as error:
            # What it gave is whole and is still processed; what is wrong is told all the same.
            if self._failures.add_camera(line.name, error):
                self._failures.add(error)

    def _stuck(self) -> None:
        threads = self._crew.alive()
        names = ", ".join(thread.name for thread in threads)
        if threads and all(thread.kind == "capture" for thread in threads):
            # A driver may hold a read until its own time is over; whatever it still brings is counted as dropped.
            log.warning("%s still waits for its camera, and ends when the camera's time-out is over", names)
        elif threads:
            at_fault = ", ".join(self._hangs.under_way())
            hint = f"{at_fault or 'The runtime or a hook'} does not return; end the process, or give hooks a process of their own."
            self._fail(SessionFailed(f"{names} did not stop.", hint=hint))

    def _close_delivery(self) -> None:
        self._inference_over()
        self._delivery.close(self._last_deliveries_s)

    def _inference_over(self) -> None:  # noqa: B027  (whoever knows the model lets go of it here)
        """The last frame was inferred: nothing here asks the model any more."""

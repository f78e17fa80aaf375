"""What begins a pipeline: whoever takes its results, user code in processes, and then its threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesdk_agent.pipeline.pipeline_end import ABORT_GRACE_S, PipelineEnd
from edgesdk_agent.pipeline.pipeline_parts import PipelineParts
from edgesdk_targets.errors import EdgeError, InputError, SessionFailed

if TYPE_CHECKING:
    from typing_extensions import Self


class PipelineStart(PipelineEnd):
    """The part of a pipeline that starts it, once."""

    def __init__(self, parts: PipelineParts) -> None:
        super().__init__(parts)
        self._meters = parts.meters
        self._started = False

    @property
    def started(self) -> bool:
        """Whether `start` was called."""
        return self._started

    def start(self) -> Self:
        """Start the threads; a pipeline runs once.

        Raises:
            InputError: it was started before.
            SessionFailed: a stop came before user code in a process of its own was ready, be it before the start.
            EdgeError: whoever takes the results cannot.
        """
        if self._started:
            raise InputError("A pipeline runs once.", hint="Make another one, with a new camera.")
        self._started = self._starting = True
        try:
            if self._stop_asked.is_set():
                self._break_off()
            self._delivery.start()
            self._begin_asking()
        except BaseException as error:
            stopped = self._stop_asked.is_set()
            self._starting = False
            # Nothing will come, so nobody waits for an end.
            self._crew.over.set()
            self._abort()
            self.request_stop()
            # Ctrl-C ends the application after this: no process is left behind.
            self._crew.join(ABORT_GRACE_S)
            if stopped and isinstance(error, EdgeError) and not isinstance(error, SessionFailed):
                # Of several the next finds itself closed before it began, and cannot know why.
                raise SessionFailed("The pipeline was stopped before all of it had started.") from error
            raise
        self._starting = False
        self._meters.start()
        self._crew.start()
        self._hangs.start()
        return self

    def _begin_asking(self) -> None:
        if not self._asking:
            return
        self._crew.start("preprocess")
        try:
            for one in self._asking:
                one.wait_until_open()
        except BaseException:
            # No lane was started, whose end would tell this.
            self._inference_over()
            self._delivery.close(0.0)
            raise

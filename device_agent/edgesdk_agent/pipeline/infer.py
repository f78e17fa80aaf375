"""The last stage: lanes run the model, each on a slot of its own, and hand the results over in order.

What a quick model is asked, the lanes prepare as well; see `handover`.
"""

from __future__ import annotations

from collections.abc import Callable

from edgesdk_agent.delivery.watched_calls import LetGo
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.pipeline.camera_line import FrameCell
from edgesdk_agent.pipeline.delivery_order import Finished
from edgesdk_agent.pipeline.handover import Handover
from edgesdk_agent.pipeline.model_inputs import InputCell
from edgesdk_agent.pipeline.preprocess import PreprocessStage
from edgesdk_agent.pipeline.stage_thread import ProcessorTime
from edgesdk_agent.timeline.timeline import Timeline


class InferStage:
    """One lane: infer the next prepared slot, and deliver every result whose turn has come.

    Args:
        clock: monotonic seconds.
        deliver: takes each result, and does not raise.
        delivering: is told the processor time that the deliveries took on this thread.
        preprocess: prepares what comes to a lane unprepared.
        preparing: is told the processor time that this took on this thread.
        failed: is given what the model raised, as soon as it did.
        profile: records when each frame was inferred and delivered, where one is wanted.
        left: the result with which user code holds another lane: this one goes on after it.
    """

    def __init__(
        self,
        handover: Handover,
        clock: Callable[[], float],
        deliver: Callable[[FrameResult], None],
        delivering: ProcessorTime,
        preprocess: PreprocessStage,
        preparing: ProcessorTime,
        failed: Callable[[BaseException], None],
        profile: Timeline | None = None,
        left: Finished | None = None,
    ) -> None:
        self._handover = handover
        self._clock = clock
        self._deliver = deliver
        self._delivering = delivering
        self._preprocess = preprocess
        self._preparing = preparing
        self._failed = failed
        self._profile = profile
        self._left = left
        # What is being delivered; should user code hang with it, another lane goes on, and the picture stays with the code.
        self._at: Finished | None = None
        self._lent: FrameCell | None = None

    def run(self) -> None:
        """Infer until nothing more is prepared."""
        try:
            if self._left is not None:
                left, self._left = self._left, None
                self._hand_over(self._handover.delivered(left))
                del left
            self._work()
        except LetGo:
            at, lent, self._at, self._lent = self._at, self._lent, None, None
            if at is not None and lent is not None:
                self._handover.picture_back(at.line, lent)
            raise

    def successor(self) -> InferStage:
        """Return the lane that goes on after the result with which user code hangs."""
        at = self._at
        assert at is not None  # noqa: S101  (whose call is written off is in it)
        self._lent, at.kept = at.kept, None
        return InferStage(
            self._handover, self._clock, self._deliver, self._delivering, self._preprocess, self._preparing,
            self._failed, self._profile, at,
        )  # fmt: skip

    def _work(self) -> None:
        while (cell := self._handover.next_to_infer()) is not None:
            if cell.picture is None:
                self._infer(cell)
            else:
                self._prepare(cell)

    def end(self) -> None:
        """Nothing follows."""

    def _prepare(self, cell: InputCell) -> None:
        began = self._preparing.begin()
        self._preprocess.prepare(cell)
        self._preparing.end(began)

    def _infer(self, cell: InputCell) -> None:
        frame, line = cell.frame, cell.line
        assert frame is not None  # noqa: S101  (a cell that is ready holds a frame)
        finished = Finished(line, frame, cell.prepare_s, 0.0, None, None, cell.digest)
        started = self._clock()
        try:
            finished.result = cell.slot.infer(frame.camera, frame.seq)
        except BaseException as error:
            line.meter.dropped("failed")
            # Now, as user code that is given another lane's result below may keep this thread for ever.
            self._failed(error)
            raise
        else:
            ended = self._clock()
            finished.infer_s = ended - started
            if self._profile is not None:
                self._profile.add("infer", frame.camera, frame.seq, started, ended)
            line.rhythm.inferred(finished.prepare_s, finished.infer_s)
            if finished.result is None:
                line.meter.dropped("windowed")
        finally:
            # A result owns its arrays, so the slot is free for the next frame while the result is handed over.
            self._hand_over(self._handover.inferred(cell, finished))

    def _hand_over(self, finished: Finished | None) -> None:
        while finished is not None:
            if finished.result is not None:
                self._deliver_one(finished)
            finished = self._handover.delivered(finished)

    def _deliver_one(self, finished: Finished) -> None:
        frame, now, result = finished.frame, self._clock(), finished.result
        assert result is not None  # noqa: S101  (asked by the caller)
        age = now - frame.captured_at
        finished.line.meter.processed(now, age, finished.prepare_s, finished.infer_s)
        image = None if finished.kept is None else frame.image
        began = self._delivering.begin()
        self._at = finished
        self._deliver(
            FrameResult(
                frame.camera,
                frame.seq,
                frame.captured_at,
                frame.wall_at,
                age,
                finished.prepare_s,
                finished.infer_s,
                result,
                image,
                finished.digest,
            )
        )
        self._delivering.end(began)
        if self._profile is not None:
            self._profile.add("deliver", frame.camera, frame.seq, now, self._clock())

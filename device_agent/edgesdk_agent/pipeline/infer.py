"""The last stage: lanes run the model, each on slots that no other has, and hand the results over in order.

Where the model computes on threads of its own, a lane starts the next inference before it waits for the last. What lanes
prepare as well, see `handover`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from edgesdk_agent.delivery.watched_calls import LetGo
from edgesdk_agent.frame import Frame, FrameResult
from edgesdk_agent.pipeline.camera_line import FrameCell
from edgesdk_agent.pipeline.delivery_order import Finished
from edgesdk_agent.pipeline.handover import Handover
from edgesdk_agent.pipeline.model_inputs import AheadSlot, InputCell
from edgesdk_agent.pipeline.policy import UNDER_WAY
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
        under_way: what that lane has started, and when.
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
        under_way: deque[tuple[InputCell, float]] | None = None,
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
        # Inferences that are started ahead, and when; the oldest is waited for first.
        self._under_way = deque[tuple[InputCell, float]]() if under_way is None else under_way
        # When the last of them was over in the runtime.
        self._done = 0.0
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
        finally:
            # After a failure, what is under way is still waited for: the model works in memory of ours.
            while self._under_way:
                with suppress(Exception):
                    self._infer(*self._under_way.popleft())

    def successor(self) -> InferStage:
        """Return the lane that goes on after the result with which user code hangs."""
        at = self._at
        assert at is not None  # noqa: S101  (whose call is written off is in it)
        self._lent, at.kept = at.kept, None
        under_way, self._under_way = self._under_way, deque[tuple[InputCell, float]]()
        return InferStage(
            self._handover, self._clock, self._deliver, self._delivering, self._preprocess, self._preparing,
            self._failed, self._profile, at, under_way,
        )  # fmt: skip

    def abandon(self) -> None:
        """Drop what was taken over, and what is ready behind it: no thread could be started to deliver that."""
        if self._left is not None:
            left, self._left = self._left, None
            self._drop_ready(self._handover.delivered(left))
        for cell, _ in self._under_way:
            cell.line.meter.dropped("stopped")
            frame = _frame_of(cell)
            self._drop_ready(self._handover.given_up(cell, Finished(cell.line, frame, 0.0, 0.0, None, None)))

    def await_rest(self) -> None:
        """Wait for what is under way: the model works in memory of ours until it is over, whatever comes of it."""
        while self._under_way:
            cell, _ = self._under_way.popleft()
            frame = _frame_of(cell)
            with suppress(Exception):
                cell.slot.infer(frame.camera, frame.seq)
            self._handover.is_over(cell)

    def _drop_ready(self, finished: Finished | None) -> None:
        while finished is not None:
            if finished.result is not None:
                finished.line.meter.dropped("stopped")
            finished = self._handover.delivered(finished)

    def _work(self) -> None:
        under_way = self._under_way
        while (cell := self._handover.next_to_infer(wait=not under_way)) is not None or under_way:
            if cell is None:
                self._infer(*under_way.popleft())
            elif cell.picture is not None:
                self._prepare(cell)
            elif cell.home.ahead:
                self._start(cell)
            else:
                # Of a model whose place another one has taken.
                while under_way:
                    self._infer(*under_way.popleft())
                self._infer(cell)

    def _start(self, cell: InputCell) -> None:
        under_way = self._under_way
        under_way.append((cell, self._clock()))
        # What fails here is told when its result is asked for.
        with suppress(Exception):
            cast("AheadSlot", cell.slot).start()
        if len(under_way) >= UNDER_WAY:
            self._infer(*under_way.popleft())

    def end(self) -> None:
        """Nothing follows."""

    def _prepare(self, cell: InputCell) -> None:
        began = self._preparing.begin()
        self._preprocess.prepare(cell)
        self._preparing.end(began)

    def _infer(self, cell: InputCell, started: float = 0.0) -> None:
        frame, line = _frame_of(cell), cell.line
        finished = Finished(line, frame, cell.prepare_s, 0.0, None, None, cell.digest)
        asked = self._clock()
        try:
            finished.result = cell.slot.infer(frame.camera, frame.seq)
        except BaseException as error:
            line.meter.dropped("failed")
            # Now, as user code that is given another lane's result below may keep this thread for ever.
            self._failed(error)
            raise
        else:
            ended = self._clock()
            ahead = cell.home.ahead
            began, done = self._in_the_runtime(cell, started, ended) if ahead else (asked, ended)
            # Of what was started ahead, also what it took to decode, here.
            finished.infer_s = done - began + ended - max(done, asked)
            if self._profile is not None:
                self._profile.add("infer", frame.camera, frame.seq, began, done, elsewhere=ahead)
            line.rhythm.inferred(finished.prepare_s, finished.infer_s)
            if finished.result is None:
                line.meter.dropped("windowed")
        finally:
            # A result owns its arrays, so the slot is free for the next frame while the result is handed over.
            self._hand_over(self._handover.inferred(cell, finished))

    def _in_the_runtime(self, cell: InputCell, started: float, ended: float) -> tuple[float, float]:
        """Return from when to when the model was at a frame that was started ahead, as well as can be known from outside.

        It waited for the one before it, and was done perhaps long before this thread came back to it.
        """
        began = max(started, self._done)
        # Of two on two streams the second may be done first: then it was done beside the first.
        self._done = max(began, min(ended, started + cast("AheadSlot", cell.slot).ran_s))
        return began, self._done

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
        finished.line.rhythm.delivered(now)
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


def _frame_of(cell: InputCell) -> Frame:
    assert cell.frame is not None  # noqa: S101  (a cell that is ready holds a frame)
    return cell.frame

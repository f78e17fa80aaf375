"""The second stage: the frames of all cameras are prepared one after the other, straight into the memory of a slot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edgesdk_agent.delivery.frame_filter import FrameFilter
from edgesdk_agent.delivery.watched_calls import LetGo
from edgesdk_agent.pipeline.camera_line import CameraLine
from edgesdk_agent.pipeline.handover import Handover
from edgesdk_agent.pipeline.model_inputs import InputCell
from edgesdk_agent.timeline.timeline import Timeline
from edgesdk_targets.errors import InputError


class PreprocessStage:
    """Prepare each frame into a free slot of the model.

    Args:
        clock: monotonic seconds.
        on_unusable: is told the camera whose picture no model can take; it is read no more, and the others go on.
        on_frame: says what the model is to see of a frame, where a filter is wanted.
        profile: records when each frame was prepared, where one is wanted.
    """

    def __init__(
        self,
        handover: Handover,
        clock: Callable[[], float],
        on_unusable: Callable[[CameraLine, InputError], None],
        on_frame: FrameFilter | None = None,
        profile: Timeline | None = None,
    ) -> None:
        self._handover = handover
        self._clock = clock
        self._on_unusable = on_unusable
        self._on_frame = on_frame
        self._profile = profile
        # What the filter is asked about; should it hang with it, the frame is lost and the slot is not.
        self._asked: InputCell | None = None

    def run(self) -> None:
        """Prepare until nothing more is captured."""
        while (cell := self._handover.next_to_prepare()) is not None:
            self.prepare(cell)

    def end(self) -> None:
        """Let what was prepared be inferred to the end."""
        self._handover.preparing_ended()

    def successor(self) -> PreprocessStage:
        """Drop the frame with which the filter hangs, and return the stage that goes on: this one, on another thread."""
        cell = self._asked
        assert cell is not None  # noqa: S101  (whose call is written off is in it)
        cell.line.meter.dropped("filter_failed")
        self._handover.not_prepared(cell, keeps_picture=True)
        return self

    def abandon(self) -> None:
        """Nothing was taken over."""

    def await_rest(self) -> None:
        """Nothing was taken over."""

    def prepare(self, cell: InputCell, asked_s: float = 0.0) -> None:
        """Prepare a slot's picture, and make the slot ready for the model.

        Args:
            asked_s: how long user code elsewhere had it before.
        """
        picture, line = cell.picture, cell.line
        assert picture is not None  # noqa: S101  (a cell that is to be prepared has one)
        frame = picture.frame
        assert frame is not None  # noqa: S101  (a picture that was captured holds a frame)
        began = started = self._clock()
        try:
            if self._on_frame is not None:
                self._asked = cell
                seen = self._on_frame(frame)
                if self._profile is not None:
                    started = self._clock()
                    self._profile.add("on_frame", frame.camera, frame.seq, began, started)
                if isinstance(seen, str):
                    line.meter.dropped(seen)
                    self._handover.not_prepared(cell)
                    return
                # Whoever sees this frame's picture from here on, sees it filtered.
                picture.frame = frame = replace(frame, image=seen)
            cell.slot.prepare(frame.image)
        except LetGo:
            # Another thread prepares now, and may have the slot. The picture was the filter's until here.
            self._handover.picture_back(line, picture)
            raise
        except BaseException as error:
            line.meter.dropped("failed")
            self._handover.not_prepared(cell)
            if not isinstance(error, InputError):
                raise
            self._on_unusable(line, error)
            return
        ended = self._clock()
        cell.prepare_s = asked_s + ended - began
        if self._profile is not None:
            self._profile.add("preprocess", frame.camera, frame.seq, started, ended)
        self._handover.prepared(cell)

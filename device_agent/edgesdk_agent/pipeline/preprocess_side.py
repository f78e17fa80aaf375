"""The hand-over as whoever prepares sees it: which picture goes into which slot, and when there is room for one.

Cameras are taken in turn, of those that have a picture and room for it. One thread at a time prepares, so that a camera's
frames stay in order: that for it, a lane, or a camera's own (see `handover`).
"""

from __future__ import annotations

from edgesdk_agent.meter import Cause
from edgesdk_agent.pipeline.bell import Bell
from edgesdk_agent.pipeline.camera_line import CameraLine, FrameCell
from edgesdk_agent.pipeline.capture_side import CaptureSide
from edgesdk_agent.pipeline.handover_parts import HandoverParts
from edgesdk_agent.pipeline.model_inputs import InputCell, ModelInputs


class PreprocessSide(CaptureSide):
    """Give slots to prepare pictures into, and take those that are prepared.

    Raises:
        InputError: there are no slots, or no lane.
    """

    def __init__(self, parts: HandoverParts) -> None:
        super().__init__(parts.lines, parts.lock)
        self._fresh = sum(line.replaces for line in parts.lines)
        self._keep_image = parts.keep_image
        self._inferable = Bell(parts.lock)
        self._idle = Bell(parts.lock)
        self._model = ModelInputs(parts.slots, parts.lanes, self._fresh)
        self._all_prepared = False
        self._others_may_prepare = parts.others_may_prepare
        self._lanes_prepare = parts.others_may_prepare and self._model.by_lanes
        if self._lanes_prepare:
            self._preparers = self._inferable
        self._preparing = False
        self._turn = 0
        # Cameras whose pictures are asked about first.
        self._asking = 0

    def next_to_prepare(self) -> InputCell | None:
        """Return a slot and the picture to prepare into it, waiting for both; None when nothing will come."""
        with self._lock:
            while not self._aborted:
                if (cell := self._begin_preparing()) is not None:
                    return cell
                if not self._preparing and all(line.over for line in self._lines):
                    return None
                self._preparable.wait()
            return None

    def _begin_preparing(self) -> InputCell | None:
        if self._preparing:
            return None
        for _ in self._lines:
            line = self._lines[self._turn]
            self._turn = (self._turn + 1) % len(self._lines)
            if line.pictures and (cell := self._begin_with(line)) is not None:
                return cell
        return None

    def _begin_with(self, line: CameraLine) -> InputCell | None:
        cell = self._room_for(line)
        if cell is not None:
            cell.picture = line.pictures.popleft()
            cell.by_lane = False
            self._preparing = True
        return cell

    def _to_prepare_at_once(self, line: CameraLine) -> InputCell | None:
        may = self._others_may_prepare and line.replaces and line.rhythm.at_ease
        if may and self._inferable.is_waited_for and not (self._preparing or self._lanes_prepare):
            return self._begin_with(line)
        return None

    def _has_room_for(self, line: CameraLine) -> bool:
        return self._model.has_room(line) or self._may_replace(line)

    def _may_replace(self, line: CameraLine) -> bool:
        """Say whether an input of a camera waits that a newer one may take the place of."""
        return line.replaces and bool(line.inputs) and line.inputs[0].home is self._model

    def _room_for(self, line: CameraLine) -> InputCell | None:
        model = self._model
        if model.has_room(line):
            cell = model.free.pop()
            model.queued += not line.replaces
        elif self._may_replace(line):
            cell = line.inputs.popleft()
            self._input_dropped(line, cell, "replaced_before_inference", reuse=True)
        else:
            return None
        cell.line = line
        if not line.replaces:
            # The source may be waiting for this.
            line.writable.wake_one()
        return cell

    def prepared(self, cell: InputCell) -> None:
        """Make a prepared slot ready for the model."""
        line, picture = cell.line, cell.picture
        assert picture is not None  # noqa: S101  (a cell that is being prepared has one)
        cell.frame, cell.picture = picture.frame, None
        with self._lock:
            self._preparing_over(line)
            if self._keep_image or cell.needs_image:
                cell.kept = picture
            else:
                line.give_back(picture)
            if self._aborted:
                self._input_dropped(line, cell, "stopped")
                return
            if line.replaces and line.inputs:
                self._input_dropped(line, line.inputs.popleft(), "replaced_before_inference")
            line.inputs.append(cell)
            if not cell.by_lane:
                self._inferable.wake_one()

    def not_prepared(self, cell: InputCell, *, keeps_picture: bool = False) -> None:
        """Give a slot back, and the picture that is not for it.

        Args:
            keeps_picture: somebody still has it, and gives it back by `picture_back`.
        """
        picture, cell.picture = cell.picture, None
        assert picture is not None  # noqa: S101  (a cell that is being prepared has one)
        with self._lock:
            self._preparing_over(cell.line)
            if not keeps_picture:
                cell.line.give_back(picture)
            self._slot_back(cell, queued=not cell.line.replaces)

    def picture_back(self, line: CameraLine, picture: FrameCell) -> None:
        """Take a picture back that user code had for too long."""
        with self._lock:
            line.give_back(picture)

    def _preparing_over(self, line: CameraLine) -> None:
        self._preparing = False
        # Its thread may have waited for another that prepared: to do so itself, or to end.
        if not self._lanes_prepare and self._some_wait:
            self._preparers.wake_one()
        elif line.ended:
            self._preparable.wake_one()

    @property
    def _some_wait(self) -> bool:
        return self._asking > 0 or any(line.pictures for line in self._lines)

    def preparing_ended(self) -> None:
        """Note that no more slots will be prepared; those that are ready are still inferred."""
        with self._lock:
            self._all_prepared = True
            self._inferable.wake_all()

    def _input_dropped(self, line: CameraLine, cell: InputCell, cause: Cause, *, reuse: bool = False) -> None:
        line.meter.dropped(cause)
        kept, cell.kept = cell.kept, None
        if kept is not None:
            line.give_back(kept)
        if not reuse:
            self._slot_back(cell, queued=not line.replaces)

    def _slot_back(self, cell: InputCell, *, queued: bool = False) -> None:
        home = cell.home
        home.free.append(cell)
        home.queued -= queued
        if home is self._model:
            if self._some_wait:
                self._preparers.wake_one()
        elif home.idle:
            self._idle.wake_all()

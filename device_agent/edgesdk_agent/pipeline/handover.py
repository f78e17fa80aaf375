"""Where the pipeline's threads meet: one lock, and what each thread may take next.

    capture thread of each camera ─ pictures ─▶ preprocess thread ─ prepared inputs ─▶ lanes ─ results in order ─▶

Preallocated cells change places between the threads; nothing is copied, and nobody waits who has something to do:

- Preprocessing takes the cameras in turn, of those that have a picture and room for it. It is done by one thread at a
  time: by its own, beside inference, or by the lanes, where they compute on all cores themselves, or the model is so quick
  that a thread between costs more. Where a lane sleeps, a live camera's own thread prepares what it has just read: one
  thread is woken for the frame, and not two.
- Where pictures are asked about first, that camera is next that has had its answer for longest.
- A free lane serves the camera whose last turn is longest ago.
- Of a `freshest` camera the newest picture and the newest *prepared input* are replaced until they are taken. An input
  that was prepared when the last inference began, and then waited for it, would be one whole inference old.
- A result is delivered when all those before it are, by the lane that completes the row; others go on meanwhile, until
  a bounded number of results waits.
- Every captured frame is counted exactly once as processed or dropped, with its cause.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from edgesdk_agent.meter import Cause
from edgesdk_agent.pipeline.bell import Bell, Gong
from edgesdk_agent.pipeline.camera_line import CameraLine, FrameCell
from edgesdk_agent.pipeline.capture_side import CaptureSide
from edgesdk_agent.pipeline.delivery_order import DeliveryOrder, Finished
from edgesdk_agent.pipeline.lane_turn import LaneTurn
from edgesdk_agent.pipeline.model_inputs import InputCell, ModelInputs, Slot
from edgesdk_targets.errors import SessionFailed


class Handover(CaptureSide):
    """Hand preallocated cells from thread to thread.

    Args:
        lines: one for each camera, made with `lock`.
        slots: of the model; lanes: how many of them may be inferred at the same time.
        keep_image: results carry their picture, so that it is kept until they are delivered.
        clock: monotonic seconds.
        lock: shared with the lines.
        others_may_prepare: whether lanes and cameras' threads prepare pictures too, and not only the thread for it.

    Raises:
        InputError: there are no slots, or no lane.
    """

    def __init__(
        self,
        lines: Sequence[CameraLine],
        slots: Sequence[Slot],
        lanes: int,
        *,
        keep_image: bool,
        clock: Callable[[], float],
        lock: threading.Lock,
        others_may_prepare: bool = True,
    ) -> None:
        super().__init__(lines, lock)
        self._fresh = sum(line.replaces for line in lines)
        self._keep_image = keep_image
        self._inferable = Bell(lock)
        self._idle = Bell(lock)
        self._model = ModelInputs(slots, lanes, self._fresh)
        self._all_prepared = False
        self._others_may_prepare = others_may_prepare
        self._lanes_prepare = others_may_prepare and self._model.by_lanes
        if self._lanes_prepare:
            self._preparers = self._inferable
        # One thread at a time prepares, so that a camera's frames stay in order.
        self._preparing = False
        self._turn = 0
        # Cameras whose pictures are asked about first.
        self._asking = 0
        # Of those, with an answer and without a slot; who came first is served first.
        self._answered: list[CameraLine] = []
        self._order = DeliveryOrder()
        self._lane_turn = LaneTurn(self._lines, clock)

    # --- asking user code elsewhere, before preprocessing

    def ask_first(self) -> None:
        """Have each camera's pictures asked about by a thread of its own, which then prepares them; before the start."""
        self._preparers = self._preparable = Gong(self._lock)
        for line in self._lines:
            line.askable = Bell(self._lock)
        self._asking = len(self._lines)

    def next_to_ask(self, line: CameraLine) -> FrameCell | None:
        """Return a camera's next picture, waiting for one; None when nothing will come."""
        assert line.askable is not None  # noqa: S101  (`ask_first`)
        with self._lock:
            while not (self._aborted or line.over):
                if line.pictures:
                    picture = line.pictures.popleft()
                    line.writable.wake_one()
                    return picture
                line.askable.wait()
            return None

    def room_for_asked(self, line: CameraLine, picture: FrameCell) -> InputCell | None:
        """Return a slot to prepare a picture into, waiting for it and for the turn to prepare; None when all is aborted."""
        with self._lock:
            self._answered.append(line)
            try:
                while not self._aborted:
                    cell = self._room_for(line) if self._is_next(line) else None
                    if cell is not None:
                        cell.picture, cell.by_lane = picture, False
                        self._preparing = True
                        return cell
                    self._preparable.wait()
            finally:
                self._answered.remove(line)
            line.meter.dropped("stopped")
            line.give_back(picture)
            return None

    def _is_next(self, line: CameraLine) -> bool:
        """Say whether nobody prepares, and no camera that came before this one could."""
        before = self._answered[: self._answered.index(line)]
        return not self._preparing and not any(self._has_room_for(one) for one in before)

    def asking_ended(self) -> None:
        """Note that one camera's pictures are all prepared; after the last, what is ready is still inferred."""
        with self._lock:
            self._asking -= 1
            if not self._asking:
                self._all_prepared = True
                self._inferable.wake_all()

    # --- preprocessing

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
        if line.ended or (not self._lanes_prepare and self._some_wait):
            # Its thread may have waited for another that prepared: to do so itself, or to end.
            self._preparable.wake_one()

    @property
    def _some_wait(self) -> bool:
        return self._asking > 0 or any(line.pictures for line in self._lines)

    def preparing_ended(self) -> None:
        """Note that no more slots will be prepared; those that are ready are still inferred."""
        with self._lock:
            self._all_prepared = True
            self._inferable.wake_all()

    # --- inference

    def next_to_infer(self) -> InputCell | None:
        """Return the next prepared slot, with a ticket for its result, waiting for one; None at the end.

        Where lanes prepare it may also be one that still has its picture: to prepare it, and come again.
        """
        with self._lock:
            while not self._aborted:
                order, lanes = self._order, self._model.lanes
                line = self._lane_turn.next_line(order.undelivered, lanes)
                patience_s = None
                if line is not None:
                    patience_s = 0.0 if self._all_prepared else self._lane_turn.patience_s(line, lanes)
                    if patience_s <= 0.0:
                        return self._take(line)
                if self._lanes_prepare and (cell := self._begin_preparing()) is not None:
                    # Around a quick model another lane may be there first.
                    cell.by_lane = cell.home.by_lanes
                    return cell
                if line is None and self._all_prepared and not any(one.inputs for one in self._lines):
                    return None
                self._inferable.wait(patience_s)
            return None

    def _take(self, line: CameraLine) -> InputCell:
        cell = line.inputs.popleft()
        self._lane_turn.taken(line)
        cell.ticket = self._order.draw()
        cell.home.running += 1
        if not line.replaces:
            cell.home.queued -= 1
            if cell.home.free:
                self._preparers.wake_one()
        if self._all_prepared:
            # Whoever waits may have waited for this one, and nothing more will wake it.
            self._inferable.wake_all()
        return cell

    def inferred(self, cell: InputCell, finished: Finished) -> Finished | None:
        """Give a slot back whose inference is over, and return what this lane has to deliver now, if anything."""
        with self._lock:
            cell.home.running -= 1
            decided = self._model.by_lanes or not self._others_may_prepare
            if not decided and cell.line.rhythm.quick is not self._lanes_prepare:
                self._choose_who_prepares()
            kept, cell.kept = cell.kept, None
            if kept is not None:
                if self._keep_image:
                    finished.kept = kept
                else:
                    cell.line.give_back(kept)
            self._slot_back(cell)
            # With fewer lanes than threads, another one may have waited for this one's end.
            self._inferable.wake_one()
            return self._order.park(cell.ticket, finished)

    def _choose_who_prepares(self) -> None:
        lanes = self._model.by_lanes or all(line.rhythm.quick for line in self._lines if not line.over)
        if lanes is not self._lanes_prepare:
            self._lanes_prepare = lanes
            self._preparers = self._inferable if lanes else self._preparable
            self._preparers.wake_one()

    def delivered(self, finished: Finished) -> Finished | None:
        """Note that a result was handed over, and return the next that is ready."""
        with self._lock:
            if finished.kept is not None:
                finished.line.give_back(finished.kept)
            self._inferable.wake_one()
            return self._order.delivered()

    # --- from outside

    def swap(self, slots: Sequence[Slot], lanes: int, timeout_s: float) -> None:
        """Let another model's slots take over: what is prepared goes to the old model, the next frame to the new one.

        Returns when the old model has done its last frame and may be closed.

        Raises:
            InputError: there are no slots.
            SessionFailed: the old model is still at work after `timeout_s`; the new one has taken over all the same.
        """
        successor = ModelInputs(slots, lanes, self._fresh)
        deadline = time.monotonic() + timeout_s
        with self._lock:
            old, self._model = self._model, successor
            if self._others_may_prepare:
                self._choose_who_prepares()
            self._preparers.wake_one()
            while not old.idle:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise SessionFailed(
                        f"The model that was replaced is still at work after {timeout_s:g} s.",
                        hint="Do not close it yet; restart the agent if it stays so.",
                    )
                self._idle.wait(left)

    def keep_images(self, wanted: bool) -> None:
        """Let results carry their picture from now on, or no longer."""
        with self._lock:
            self._keep_image = wanted

    def abort(self) -> None:
        """End every thread, and drop what is not in inference yet."""
        with self._lock:
            self._aborted = True
            for line in self._lines:
                line.stopping = True
                for picture in line.pictures:
                    line.meter.dropped("stopped")
                    line.free.append(picture)
                line.pictures.clear()
                while line.inputs:
                    self._input_dropped(line, line.inputs.popleft(), "stopped")
                line.writable.wake_one()
                if line.askable is not None:
                    line.askable.wake_one()
            self._preparable.wake_one()
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

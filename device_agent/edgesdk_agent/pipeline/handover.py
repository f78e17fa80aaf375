"""Where the pipeline's threads meet: one lock, and what each thread may take next.

    capture thread of each camera ─ pictures ─▶ preprocess thread ─ prepared inputs ─▶ lanes ─ results in order ─▶

Preallocated cells change places between the threads; nothing is copied, and nobody waits who has something to do:

- Preprocessing takes the cameras in turn, of those that have a picture and room for it.
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
from edgesdk_agent.pipeline.bell import Bell
from edgesdk_agent.pipeline.camera_line import CameraLine, FrameCell
from edgesdk_agent.pipeline.delivery_order import DeliveryOrder, Finished
from edgesdk_agent.pipeline.lane_turn import LaneTurn
from edgesdk_agent.pipeline.model_inputs import InputCell, ModelInputs, Slot
from edgesdk_targets.errors import SessionFailed

# A source that does not wait for its pictures is read this often at most while nobody takes them: a loop that only writes one
# picture over the other would keep Python's lock from those who are to take them.
_TOO_FAST_S = 0.001


class Handover:
    """Hand preallocated cells from thread to thread.

    Args:
        lines: one for each camera, made with `lock`.
        slots: of the model; lanes: how many of them may be inferred at the same time.
        keep_image: results carry their picture, so that it is kept until they are delivered.
        clock: monotonic seconds.
        lock: shared with the lines.

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
    ) -> None:
        self._lines = tuple(lines)
        self._fresh = sum(line.replaces for line in lines)
        self._keep_image = keep_image
        self._lock = lock
        self._preparable = Bell(lock)
        self._inferable = Bell(lock)
        self._idle = Bell(lock)
        self._model = ModelInputs(slots, lanes, self._fresh)
        self._aborted = self._all_prepared = False
        self._turn = 0
        self._order = DeliveryOrder()
        self._lane_turn = LaneTurn(self._lines, clock)

    # --- capture

    def picture_to_fill(self, line: CameraLine) -> FrameCell | None:
        """Return a picture to capture into, waiting for one if need be; None when this camera is to stop."""
        with self._lock:
            if line.too_fast:
                line.too_fast = False
                line.writable.wait(_TOO_FAST_S)
            while not line.may_capture():
                if line.stopping:
                    return None
                line.writable.wait()
            if line.stopping:
                return None
            line.filling = True
            if line.free:
                return line.free.pop()
            line.meter.dropped("replaced_before_preprocess")
            return line.pictures.popleft()

    def captured(self, line: CameraLine, cell: FrameCell) -> None:
        """Make a captured picture ready to be prepared."""
        with self._lock:
            line.filling = False
            if self._aborted or (line.paused and line.live):
                line.meter.dropped("stopped" if self._aborted else "paused")
                line.give_back(cell)
                return
            if line.wanted is not None and cell.frame is not None and not line.wanted(cell.frame.captured_at):
                line.meter.dropped("governed")
                line.give_back(cell)
                return
            if line.replaces and line.pictures:
                line.meter.dropped("replaced_before_preprocess")
                replaced = line.pictures.popleft()
                line.too_fast = _seconds_between(replaced, cell) < _TOO_FAST_S
                line.give_back(replaced)
            line.pictures.append(cell)
            self._preparable.wake_one()

    def limit(self, line: CameraLine, wanted: Callable[[float], bool] | None) -> None:
        """Look only at the frames of a camera that are wanted; the others are dropped and counted as `governed`."""
        with self._lock:
            line.wanted = wanted

    def not_captured(self, line: CameraLine, cell: FrameCell) -> None:
        """Give a picture back without a frame in it."""
        with self._lock:
            line.filling = False
            line.give_back(cell)

    def capture_ended(self, line: CameraLine) -> None:
        """Note that nothing more comes from this camera; what it gave is still processed."""
        with self._lock:
            line.ended = True
            self._preparable.wake_one()

    # --- preprocessing

    def next_to_prepare(self) -> tuple[FrameCell, InputCell] | None:
        """Return a picture and the slot to prepare it into, waiting for both; None when nothing will come."""
        with self._lock:
            while not self._aborted:
                for _ in self._lines:
                    line = self._lines[self._turn]
                    self._turn = (self._turn + 1) % len(self._lines)
                    if line.pictures and (cell := self._room_for(line)) is not None:
                        return line.pictures.popleft(), cell
                if all(line.over for line in self._lines):
                    return None
                self._preparable.wait()
            return None

    def _room_for(self, line: CameraLine) -> InputCell | None:
        model = self._model
        if model.has_room(line):
            cell = model.free.pop()
            model.queued += not line.replaces
        elif line.replaces and line.inputs and line.inputs[0].home is model:
            cell = line.inputs.popleft()
            self._input_dropped(line, cell, "replaced_before_inference", reuse=True)
        else:
            return None
        cell.line = line
        if not line.replaces:
            # The source may be waiting for this.
            line.writable.wake_one()
        return cell

    def prepared(self, picture: FrameCell, cell: InputCell) -> None:
        """Make a prepared slot ready for the model."""
        line = cell.line
        cell.frame = picture.frame
        with self._lock:
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
            self._inferable.wake_one()

    def not_prepared(self, picture: FrameCell, cell: InputCell) -> None:
        """Give a picture and a slot back that do not go together."""
        with self._lock:
            cell.line.give_back(picture)
            self._slot_back(cell, queued=not cell.line.replaces)

    def preparing_ended(self) -> None:
        """Note that no more slots will be prepared; those that are ready are still inferred."""
        with self._lock:
            self._all_prepared = True
            self._inferable.wake_all()

    # --- inference

    def next_to_infer(self) -> InputCell | None:
        """Return the next prepared slot, with a ticket for its result, waiting for one; None at the end."""
        with self._lock:
            while True:
                order, lanes = self._order, self._model.lanes
                line = None if self._aborted else self._lane_turn.next_line(order.undelivered, lanes)
                if line is None:
                    if self._aborted or (self._all_prepared and not any(one.inputs for one in self._lines)):
                        return None
                    self._inferable.wait()
                    continue
                patience_s = 0.0 if self._all_prepared else self._lane_turn.patience_s(line, lanes)
                if patience_s > 0.0:
                    self._inferable.wait(patience_s)
                    continue
                return self._take(line)

    def _take(self, line: CameraLine) -> InputCell:
        cell = line.inputs.popleft()
        self._lane_turn.taken(line)
        cell.ticket = self._order.draw()
        cell.home.running += 1
        if not line.replaces:
            cell.home.queued -= 1
            if cell.home.free:
                self._preparable.wake_one()
        if self._all_prepared:
            # Whoever waits may have waited for this one, and nothing more will wake it.
            self._inferable.wake_all()
        return cell

    def inferred(self, cell: InputCell, finished: Finished) -> Finished | None:
        """Give a slot back whose inference is over, and return what this lane has to deliver now, if anything."""
        with self._lock:
            cell.home.running -= 1
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
            self._preparable.wake_one()
            while not old.idle:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise SessionFailed(
                        f"The model that was replaced is still at work after {timeout_s:g} s.",
                        hint="Do not close it yet; restart the agent if it stays so.",
                    )
                self._idle.wait(left)

    def pause(self, only: CameraLine | None = None, *, paused: bool) -> None:
        """Drop what live cameras bring, and let other sources wait; or go on. All of them, or one."""
        with self._lock:
            for line in self._lines if only is None else (only,):
                line.paused = paused
                line.writable.wake_one()

    def stop_capture(self, only: CameraLine | None = None) -> None:
        """Let every capture thread end, or one; what is captured is still processed."""
        with self._lock:
            for line in self._lines if only is None else (only,):
                line.stopping = True
                line.writable.wake_one()

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
            self._preparable.wake_one()
        elif home.idle:
            self._idle.wake_all()


def _seconds_between(older: FrameCell, newer: FrameCell) -> float:
    assert older.frame is not None  # noqa: S101  (both were captured into)
    assert newer.frame is not None  # noqa: S101
    return newer.frame.captured_at - older.frame.captured_at

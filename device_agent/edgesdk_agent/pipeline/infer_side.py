"""The hand-over as lanes see it: which prepared input is inferred next, and whose result is delivered when."""

from __future__ import annotations

from edgesdk_agent.pipeline.camera_line import CameraLine
from edgesdk_agent.pipeline.delivery_order import DeliveryOrder, Finished
from edgesdk_agent.pipeline.handover_parts import HandoverParts
from edgesdk_agent.pipeline.lane_turn import LaneTurn
from edgesdk_agent.pipeline.model_inputs import InputCell
from edgesdk_agent.pipeline.preprocess_side import PreprocessSide


class InferSide(PreprocessSide):
    """Give prepared slots to infer, and results to deliver in their order.

    Raises:
        InputError: there are no slots, or no lane.
    """

    def __init__(self, parts: HandoverParts) -> None:
        super().__init__(parts)
        self._order = DeliveryOrder()
        self._lane_turn = LaneTurn(self._lines, parts.clock)

    @property
    def lane_threads(self) -> int:
        """How many threads keep the model's lanes busy."""
        return self._model.threads

    def next_to_infer(self, *, wait: bool = True) -> InputCell | None:
        """Return the next prepared slot, with a ticket for its result, waiting for one; None at the end.

        With `wait=False` None also says that there is nothing now. Where lanes prepare it may also be one that still has its
        picture: to prepare it, and come again.
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
                if not wait or (line is None and self._all_prepared and not any(one.inputs for one in self._lines)):
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

    def given_up(self, cell: InputCell, finished: Finished) -> Finished | None:
        """Let results behind a frame go on that is given up while the model is at it, and return what is to be delivered now."""
        with self._lock:
            return self._order.park(cell.ticket, finished)

    def is_over(self, cell: InputCell) -> None:
        """Take the slot of a frame back that was given up: the model is done with its memory."""
        with self._lock:
            cell.home.running -= 1
            kept, cell.kept = cell.kept, None
            if kept is not None:
                cell.line.give_back(kept)
            self._slot_back(cell)

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

"""The hand-over where pictures are asked about first: each camera has a thread of its own, which asks and then prepares."""

from __future__ import annotations

from edgesdk_agent.pipeline.asked_turns import AskedTurns
from edgesdk_agent.pipeline.bell import Bell
from edgesdk_agent.pipeline.camera_line import CameraLine, FrameCell
from edgesdk_agent.pipeline.model_inputs import InputCell
from edgesdk_agent.pipeline.preprocess_side import PreprocessSide


class AskSide(PreprocessSide):
    """Give pictures to ask about, and slots to those that had their answer, in the order of the answers."""

    # Made by `ask_first`.
    _turns: AskedTurns

    def ask_first(self) -> None:
        """Have each camera's pictures asked about by a thread of its own, which then prepares them; before the start."""
        self._preparers = self._turns = AskedTurns(self._lines, self._lock, self._has_room_for)
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
        turns = self._turns
        with self._lock:
            turns.come(line)
            try:
                while not self._aborted:
                    first = None if self._preparing else turns.first()
                    if first is line and (cell := self._room_for(line)) is not None:
                        cell.picture, cell.by_lane = picture, False
                        self._preparing = True
                        return cell
                    if first is not None:
                        # This one was woken for what has become another's.
                        turns.wake(first)
                    turns.wait(line)
            finally:
                turns.leave(line)
            line.meter.dropped("stopped")
            line.give_back(picture)
            return None

    def asking_ended(self) -> None:
        """Note that one camera's pictures are all prepared; after the last, what is ready is still inferred."""
        with self._lock:
            self._asking -= 1
            if not self._asking:
                self._all_prepared = True
                self._inferable.wake_all()

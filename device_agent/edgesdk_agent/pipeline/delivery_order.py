"""Results leave in the order in which their frames were taken for inference, whichever lane is ready first.

Tickets are drawn when a lane takes an input, and delivered one after the other: by the lane that completes the row. All
methods are called with the hand-over's lock held.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgesdk_agent.frame import Frame
from edgesdk_agent.pipeline.camera_line import CameraLine, FrameCell
from edgesdk_targets.results import Result


@dataclass(slots=True)
class Finished:
    """An inference that is over, on its way to its delivery.

    Attributes:
        result: None where none is due: a clip of frames that is not full, or a failure.
        kept: the frame's picture, where results carry it.
        digest: of the bundle that answered.
    """

    line: CameraLine
    frame: Frame
    prepare_s: float
    infer_s: float
    result: Result | None
    kept: FrameCell | None
    digest: str = ""


class DeliveryOrder:
    """Park results until all those before them were delivered.

    Attributes:
        undelivered: tickets that are drawn, and whose result is not delivered yet.
    """

    __slots__ = ("_delivering", "_drawn", "_next", "_parked", "undelivered")

    def __init__(self) -> None:
        self.undelivered = 0
        self._drawn = self._next = 0
        self._parked: dict[int, Finished] = {}
        self._delivering = False

    def draw(self) -> int:
        """Return the next ticket."""
        ticket = self._drawn
        self._drawn += 1
        self.undelivered += 1
        return ticket

    def park(self, ticket: int, finished: Finished) -> Finished | None:
        """Take a result, and return the one that is to be delivered now, if nobody is at it."""
        if ticket == self._next and not self._delivering:
            self._delivering = True
            return finished
        self._parked[ticket] = finished
        return None

    def delivered(self) -> Finished | None:
        """Note that a delivery is over, and return the next that is ready."""
        self._next += 1
        self.undelivered -= 1
        finished = self._parked.pop(self._next, None) if self._parked else None
        self._delivering = finished is not None
        return finished

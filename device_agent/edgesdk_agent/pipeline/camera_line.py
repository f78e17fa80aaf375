"""What stands between one camera and the model: preallocated pictures, and the inputs that are ready."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.frame import Frame
from edgesdk_agent.meter import Meter
from edgesdk_agent.pipeline.bell import Bell
from edgesdk_agent.pipeline.frame_rhythm import FrameRhythm
from edgesdk_agent.pipeline.model_inputs import InputCell
from edgesdk_agent.pipeline.policy import Policy
from edgesdk_targets.tensor import Array

# One being captured, one waiting, one being preprocessed. With two, a camera could only write over the one that waits,
# and a reader that comes meanwhile would wait for a whole frame period.
PICTURES = 3
# How many captured pictures wait where none may be lost; and of a film how many at most, and with how much memory in all where they
# are more than these, when they are soon done: whoever reads it then works for several at a time, and is woken less often.
_AHEAD = 2
_MOST_AHEAD, _AHEAD_BYTES = 8, 6 << 20
# And before a model that takes them faster than a thread is woken, which is then most of a frame's cost: it finds many each time,
# and they are still together less old than a millisecond or two. Of a film only: should a slow model take over, a live camera's
# would be older by all that the sixteen take.
_AHEAD_OF_QUICK = 16


class FrameCell:
    """One preallocated picture, and the frame that is in it.

    Args:
        width, height: pixels; 0 leaves the allocation to the first read, where the camera does not know its size yet.
        place: its number among its camera's.
    """

    __slots__ = ("frame", "image", "place")

    def __init__(self, width: int, height: int, place: int) -> None:
        self.place = place
        # Memory that is not written to is not resident: a cell that is never needed costs nothing.
        self.image: Array | None = np.empty((height, width, 3), np.uint8) if width and height else None
        self.frame: Frame | None = None


class CameraLine:
    """One camera's part of the hand-over, under the hand-over's lock.

    Args:
        name: of the camera, in every result.
        camera: read by its own thread.
        policy: what may be lost.
        kept: how many pictures may be kept beyond preprocessing.
        meter: counts this camera's frames.
        lock: the hand-over's.

    Attributes:
        free, pictures: cells to capture into; captured and not taken yet.
        inputs: prepared and not taken yet; where `replaces`, at most one.
        filling: whether the capture thread holds a cell.
        served: when a lane took one of its inputs last, as a running number.
        stopping, ended: capture no more; nothing more will come.
        paused: what a live camera brings is dropped, and another source waits.
        too_fast: the last picture was replaced at once; whoever was to take it had no time to.
        wanted: says by the time of a frame whether it is to be looked at; None takes all.
        writable: wakes the capture thread.
        askable: wakes the thread that asks about its pictures before they are prepared; None where nobody is asked.
        places: how many pictures it has.
    """

    def __init__(
        self, name: str, camera: Camera, policy: Policy, kept: int, meter: Meter, lock: threading.Lock
    ) -> None:
        lend = getattr(camera, "lend_pictures", None)
        if lend is not None:
            # A picture is read from only until it is given to the camera again, so that it may lie in its memory.
            lend()
        info = camera.info
        self.name = name
        self.camera = camera
        self.live = info.live
        self.policy = policy
        self.replaces = policy == "freshest"
        self.meter = meter
        self.rhythm = FrameRhythm()
        # The last one is taken first, so that those for a quick model are touched, and resident, only before one. What a camera
        # lends is its own memory, of which it has no more.
        self._ahead_of_quick = _AHEAD if self.live else _AHEAD_OF_QUICK
        cells = PICTURES + kept + (0 if self.replaces or lend is not None else self._ahead_of_quick - _AHEAD)
        picture_bytes = info.width * info.height * 3
        fit = _AHEAD_BYTES // picture_bytes if picture_bytes and not self.live else _AHEAD
        self._most_ahead = max(_AHEAD, min(_MOST_AHEAD, fit))
        self.free = [FrameCell(info.width, info.height, place) for place in range(cells)]
        self.places = cells
        self.pictures: deque[FrameCell] = deque()
        self.inputs: deque[InputCell] = deque()
        self.filling = self.stopping = self.ended = self.paused = self.too_fast = False
        self.wanted: Callable[[float], bool] | None = None
        self.served = -1
        self.writable = Bell(lock)
        self.askable: Bell | None = None

    @property
    def over(self) -> bool:
        """Whether nothing is left to prepare, and nothing will come."""
        return self.ended and not self.filling and not self.pictures

    def may_capture(self) -> bool:
        """Say whether a picture may be taken from the camera now."""
        if self.paused and not self.live:
            return False
        if self.replaces:
            return bool(self.free or self.pictures)
        rhythm = self.rhythm
        if rhythm.quick:
            return bool(self.free) and len(self.pictures) < self._ahead_of_quick
        # A stop processes what is captured, and is not to wait for more of what is slow.
        return bool(self.free) and len(self.pictures) < max(_AHEAD, min(self._most_ahead, rhythm.soon))

    def give_back(self, cell: FrameCell) -> None:
        """Take a picture's cell back, for the next capture."""
        self.free.append(cell)
        self.writable.wake_one()

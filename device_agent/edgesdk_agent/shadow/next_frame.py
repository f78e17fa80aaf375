"""From the pipeline to a shadow run: room for one frame, the newest when one is asked for. The pipeline never waits here."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

from edgesdk_agent.delivery.delivery import Delivery
from edgesdk_agent.delivery.picture_memory import SharedPicture
from edgesdk_agent.delivery.wrapping import WrappingDelivery
from edgesdk_agent.frame import FrameResult

log = logging.getLogger(__name__)


class RunFrames:
    """What one run asks for: a frame at a time, copied into memory of its own that other processes see.

    Attributes:
        problem: why what was asked for last is given up; empty while it is not.
    """

    def __init__(self) -> None:
        self.problem = ""
        self._picture = SharedPicture()
        self._condition = threading.Condition()
        # Read without the lock by whoever brings results: it is nothing most of the time.
        self._skips: int | None = None
        self._digest = ""
        self._frame: FrameResult | None = None

    def open(self) -> int:
        """Make room, and return the file to hand to those who are to see it."""
        with self._condition:
            return self._picture.open()

    def want(self, digest: str, skips: int) -> None:
        """Ask for one frame that this bundle answers, after so many that are left out."""
        with self._condition:
            self.problem = ""
            self._frame, self._digest, self._skips = None, digest, skips

    def take(self, timeout_s: float) -> FrameResult | None:
        """Wait for the frame that was asked for, and return it; None where none came in time."""
        with self._condition:
            self._condition.wait_for(lambda: self._frame is not None or self.problem, timeout_s)
            return self._frame

    def close(self) -> None:
        """Ask for none, and let go of the memory."""
        with self._condition:
            self._frame = self._skips = None
            self._picture.close()

    def offer(self, result: FrameResult) -> bool:
        """Take a result where it is wanted, and say whether it was; its picture is copied before this returns."""
        if self._skips is None or result.image is None:
            return False
        with self._condition:
            if self._skips is None or result.digest != self._digest:
                return False
            if self._skips > 0:
                self._skips -= 1
                return False
            self._skips = None
            try:
                self._frame = replace(result, image=self._picture.hold(result.image))
            except (OSError, MemoryError) as error:
                # Who brings it is the pipeline, which must not suffer from it.
                self.problem = f"no memory for a picture: {error}"
                log.warning("shadow: %s", self.problem)
            self._condition.notify()
            return not self.problem


class NextFrame:
    """Offers results to the run that began last; what an older one still does, until it has ended, is its own affair."""

    def __init__(self) -> None:
        self._asking: RunFrames | None = None

    def begin(self) -> RunFrames:
        """Return what a run asks for frames with; whoever did so before gets none any more."""
        self._asking = RunFrames()
        return self._asking

    def offer(self, result: FrameResult) -> bool:
        """Offer a result, and say whether it was taken."""
        asking = self._asking
        return asking is not None and asking.offer(result)


class ShadowedDelivery(WrappingDelivery):
    """Offer each result to a shadow run, and deliver it.

    Args:
        delivery: gets the results, with their pictures where `pictures` says so.
    """

    def __init__(self, next_frame: NextFrame, delivery: Delivery, *, pictures: bool) -> None:
        super().__init__(delivery)
        self._next, self._pictures = next_frame, pictures

    def __call__(self, result: FrameResult) -> None:
        """Offer a result, and deliver it."""
        # Before, as whoever gets the picture may hide parts of it; the model saw it whole.
        self._next.offer(result)
        if result.image is not None and not self._pictures:
            # Kept for the shadow run alone, it is nobody else's.
            result = replace(result, image=None)
        self._delivery(result)

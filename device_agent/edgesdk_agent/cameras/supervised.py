"""A live camera that is opened again when it is lost, a bounded number of times.

The budget is whole again after each picture: a camera that comes and goes is kept, one that is gone is given up.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from edgesdk_agent.backoff import Backoff
from edgesdk_agent.cameras.camera import Camera, CameraCounts, CameraInfo, FrameLost
from edgesdk_targets.errors import CameraLost
from edgesdk_targets.tensor import Array

log = logging.getLogger(__name__)


class SupervisedCamera:
    """Read a camera, and open it again when it is lost.

    The read that found the loss raises `FrameLost` once the camera is back, so that the loss is one gap in the frames.

    Args:
        opener: opens the camera; called at once, and after each loss.
        attempts: to open it after a loss, before it counts as lost for good.
        backoff: how long to wait before each attempt.
        wait: waits so many seconds, or until this camera is closed, and returns True if it was.
        counts: of the camera over all its lives; `opener` gives the same to each.
        must_open: False where others go on without it: a camera that does not answer the first time counts as lost, and
            its first reads open it.
        description: of a camera that has not answered yet, for people; without a password.

    Attributes:
        absent: why it could not be opened so far; None once it was. Until then its size is 0 x 0.

    Raises:
        CameraLost: it must open and cannot, when a person is there to see the reason.
    """

    def __init__(
        self,
        opener: Callable[[], Camera],
        *,
        attempts: int = 5,
        backoff: Backoff | None = None,
        wait: Callable[[float], bool] | None = None,
        counts: CameraCounts | None = None,
        must_open: bool = True,
        description: str = "",
    ) -> None:
        self.counts = counts or CameraCounts()
        self._opener = opener
        self._attempts = attempts
        self._backoff = backoff or Backoff(first_s=0.5, limit_s=30.0)
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._failed = 0
        self._description = description
        self._camera: Camera | None = None
        self.absent: CameraLost | None = None
        try:
            self._camera = opener()
        except CameraLost as loss:
            if must_open:
                raise
            self.absent = loss

    @property
    def info(self) -> CameraInfo:
        if self._camera is None:
            return CameraInfo(0, 0, None, live=True, description=self._description)
        return self._camera.info

    def read(self, out: Array | None) -> Array | None:
        """Return the next picture.

        Raises:
            CameraLost: the camera did not come back within the budget.
            FrameLost: it was lost and is back.
        """
        if self._camera is None:
            assert self.absent is not None  # noqa: S101  (why there is no camera)
            self._reconnect(self.absent)
            return None
        try:
            picture = self._camera.read(out)
        except CameraLost as loss:
            self._reconnect(loss)
            return None
        if self._failed:
            self._failed = 0
            self._backoff.reset()
        return picture

    def close(self) -> None:
        self._closed.set()
        if self._camera is not None:
            self._camera.close()

    def _reconnect(self, loss: CameraLost) -> None:
        """Open the camera again; returns only when this one is closed meanwhile."""
        if self._camera is not None:
            self._camera.close()
        while self._failed < self._attempts:
            delay = self._backoff.next_s()
            self._failed += 1
            log.warning("%s Attempt %d of %d in %.1f s.", loss.message, self._failed, self._attempts, delay)
            if self._closed.is_set() or self._wait(delay):
                return
            try:
                camera = self._opener()
            except CameraLost as error:
                loss = error
                continue
            self._camera, absent, self.absent = camera, self.absent, None
            if self._closed.is_set():
                camera.close()
                return
            self.counts.reconnects += 1
            back = "was lost and is back" if absent is None else "answers now"
            raise FrameLost(f"{camera.info.description} {back}.", cause="camera_lost")
        come = "come back" if self.absent is None else "answer"
        raise CameraLost(f"{loss.message} It did not {come} after {self._attempts} attempts.", hint=loss.hint) from loss

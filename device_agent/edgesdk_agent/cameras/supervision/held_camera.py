"""The camera that somebody reads and somebody else may close at any moment, also while it is being opened."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.supervision.attempt import Attempt


class HeldCamera:
    """Hold the camera that is open now; after `close` none is opened any more.

    Attributes:
        camera: None until the first was opened. One that is replaced is the reader's to close.
        closed: set by `close`.
    """

    def __init__(self) -> None:
        self.camera: Camera | None = None
        self.closed = threading.Event()
        self._lock = threading.Lock()
        self._attempt: Attempt | None = None
        self._lends = False

    def lend_pictures(self) -> None:
        """Have pictures lent in the camera's own memory by the one that is open, and by each that follows."""
        self._lends = True
        _lend(self.camera)

    def open(self, opener: Callable[[], Camera]) -> Camera | None:
        """Open a camera in place of the one that is held; None where this is closed meanwhile.

        Raises:
            EdgeError: what the opener raised.
        """
        with self._lock:
            if self.closed.is_set():
                return None
            self._attempt = attempt = Attempt(opener)
        try:
            camera = attempt.result()
        finally:
            self._attempt = None
        if camera is None:
            return None
        with self._lock:
            self.camera = camera
            left = self.closed.is_set()
        if left:
            camera.close()
            return None
        if self._lends:
            _lend(camera)
        return camera

    def close(self) -> None:
        """Close what is open, and leave what is being opened to itself; returns at once."""
        with self._lock:
            self.closed.set()
            attempt, camera = self._attempt, self.camera
        if attempt is not None:
            attempt.leave()
        if camera is not None:
            camera.close()


def _lend(camera: Camera | None) -> None:
    lend = getattr(camera, "lend_pictures", None)
    if lend is not None:
        lend()

"""A recording behind an address, opened by its first read, so that whoever starts does not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edgesdk_agent.cameras.camera import Camera, CameraCounts, CameraInfo
from edgesdk_agent.cameras.supervision.attempt import Attempt
from edgesdk_agent.cameras.supervision.health import CONNECTING, ONLINE, CameraHealth
from edgesdk_targets.tensor import Array


class LateRecording:
    """Open a recording when it is read for the first time.

    Args:
        opener: opens it.
        description: until then, without a password.
        counts: of the camera that is opened.
    """

    def __init__(self, opener: Callable[[], Camera], description: str, counts: CameraCounts) -> None:
        self.counts = counts
        self._opener = opener
        self._info = CameraInfo(0, 0, None, live=False, description=description)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._attempt: Attempt | None = None
        self._camera: Camera | None = None

    @property
    def info(self) -> CameraInfo:
        return self._info if self._camera is None else self._camera.info

    @property
    def health(self) -> CameraHealth:
        """Whether it was opened."""
        return CONNECTING if self._camera is None else ONLINE

    def open_now(self) -> None:
        """Open it, unless it is open or closed.

        Raises:
            CameraLost: nothing answers.
        """
        with self._lock:
            if self._closed.is_set() or self._camera is not None:
                return
            self._attempt = attempt = Attempt(self._opener)
        camera = attempt.result()
        with self._lock:
            self._camera, self._attempt = camera, None
            left = self._closed.is_set()
        if left and camera is not None:
            camera.close()

    def read(self, out: Array | None) -> Array | None:
        """Return the next picture; see `Camera`.

        Raises:
            CameraLost: nothing answers, or it stopped.
        """
        if self._camera is None:
            self.open_now()
        return None if self._camera is None else self._camera.read(out)

    def close(self) -> None:
        with self._lock:
            self._closed.set()
            attempt, camera = self._attempt, self._camera
        if attempt is not None:
            attempt.leave()
        if camera is not None:
            camera.close()

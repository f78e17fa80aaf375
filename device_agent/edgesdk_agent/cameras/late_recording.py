"""A recording behind an address, opened by its first read, so that whoever starts does not wait for it."""

from __future__ import annotations

from collections.abc import Callable

from edgesdk_agent.cameras.camera import Camera, CameraCounts, CameraInfo
from edgesdk_agent.cameras.supervision.health import CONNECTING, ONLINE, CameraHealth
from edgesdk_agent.cameras.supervision.held_camera import HeldCamera
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
        self._held = HeldCamera()

    @property
    def info(self) -> CameraInfo:
        camera = self._held.camera
        return self._info if camera is None else camera.info

    @property
    def health(self) -> CameraHealth:
        """Whether it was opened."""
        return CONNECTING if self._held.camera is None else ONLINE

    def open_now(self) -> None:
        """Open it, unless it is open or closed.

        Raises:
            CameraLost: nothing answers.
        """
        if self._held.camera is None:
            self._held.open(self._opener)

    def read(self, out: Array | None) -> Array | None:
        """Return the next picture; see `Camera`.

        Raises:
            CameraLost: nothing answers, or it stopped.
        """
        self.open_now()
        camera = self._held.camera
        return None if camera is None else camera.read(out)

    def close(self) -> None:
        self._held.close()

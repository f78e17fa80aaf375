"""Play a recorded source at its own speed, as if it were live."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable

from edgesdk_agent.cameras.camera import Camera, CameraInfo, counts_of
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array


class PacedCamera:
    """Deliver each picture of another camera when its time has come.

    A reader that comes late gets the pictures it missed one after the other at once: none is lost here, so that a
    pipeline's own drops can be counted against the file.

    Args:
        camera: belongs to this one from here on.
        fps: pictures a second.
        clock: monotonic seconds.
        wait: waits so many seconds, or until the camera is closed, and returns True if it was.

    Raises:
        InputError: `fps` is not within 0..1000.
    """

    def __init__(
        self,
        camera: Camera,
        fps: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        if not 0 < fps <= 1000:
            raise InputError(f"A source cannot be played at {fps:g} frames/s.", hint="Give fps within 0.1..1000.")
        self._camera = camera
        self.counts = counts_of(camera)
        self._fps = fps
        self._info = dataclasses.replace(camera.info, fps=fps, live=True)
        self._clock = clock
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._started: float | None = None
        self._next = 0

    @property
    def info(self) -> CameraInfo:
        return self._info

    def read(self, out: Array | None) -> Array | None:
        """Wait until the next picture is due, and return it."""
        now = self._clock()
        if self._started is None:
            self._started = now
        # Counted from the start, so that late wake-ups do not add up.
        early = self._started + self._next / self._fps - now
        if early > 0:
            self._wait(early)
        if self._closed.is_set():
            return None
        self._next += 1
        return self._camera.read(out)

    def close(self) -> None:
        self._closed.set()
        self._camera.close()

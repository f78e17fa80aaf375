"""A CSI camera of a Raspberry Pi, through Picamera2, which comes with Raspberry Pi OS (`python3-picamera2`)."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from edgesdk_agent.cameras.camera import CameraInfo
from edgesdk_targets.errors import CameraLost
from edgesdk_targets.tensor import Array

_WIDTH, _HEIGHT, _FPS = 1280, 720, 30.0


class PiCamera:
    """Deliver the pictures of a Raspberry Pi's CSI camera.

    Args:
        number: which camera.
        width, height, fps: what the sensor is asked for.

    Raises:
        CameraLost: Picamera2 is not installed, or the camera is absent or busy.
    """

    def __init__(
        self,
        number: int = 0,
        *,
        width: int | None = None,
        height: int | None = None,
        fps: float | None = None,
    ) -> None:
        size, rate = (width or _WIDTH, height or _HEIGHT), fps or _FPS
        self._lock = threading.Lock()
        self._closed = threading.Event()
        picamera2 = _picamera2()
        self._mapped: Any = picamera2.MappedArray
        try:
            self._camera: Any = picamera2.Picamera2(number)
            # "RGB888" names the bytes of a little-endian word: in memory they stand as B, G, R.
            configuration = self._camera.create_video_configuration(
                main={"size": size, "format": "RGB888"}, controls={"FrameRate": rate}
            )
            self._camera.configure(configuration)
            self._camera.start()
        except (RuntimeError, IndexError, OSError) as error:
            raise CameraLost(
                f"CSI camera {number} cannot be started: {error}",
                hint="See `rpicam-hello --list-cameras`; check its cable, and end other programs that use it.",
            ) from error
        self._info = CameraInfo(size[0], size[1], rate, live=True, description=f"CSI camera {number}")

    @property
    def info(self) -> CameraInfo:
        return self._info

    def read(self, out: Array | None) -> Array | None:
        """Wait for the next picture and copy it out of the camera's memory.

        Raises:
            CameraLost: the camera stopped.
        """
        with self._lock:
            picture = None if self._closed.is_set() else self._next(out)
        if self._closed.is_set():
            self._release()
            return None
        return picture

    def close(self) -> None:
        """Stop the camera, or leave that to the thread that is reading it just now."""
        self._closed.set()
        self._release()

    def _next(self, out: Array | None) -> Array:
        try:
            request = self._camera.capture_request()
        except (RuntimeError, OSError, TimeoutError) as error:
            raise CameraLost(f"{self._info.description} stopped: {error}", hint="Check its cable.") from error
        try:
            with self._mapped(request, "main") as mapped:
                # Lines may be padded, and the format may carry a fourth byte.
                picture: Array = mapped.array[:, : self._info.width, :3]
                if out is None or out.shape != picture.shape:
                    return np.ascontiguousarray(picture).copy()
                np.copyto(out, picture)
                return out
        finally:
            request.release()

    def _release(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                if self._camera is not None:
                    self._camera.stop()
                    self._camera.close()
                    self._camera = None
            finally:
                self._lock.release()


def _picamera2() -> Any:
    try:
        import picamera2
    except ImportError as error:
        raise CameraLost(
            "Picamera2 is not installed.",
            hint="apt install python3-picamera2, and make the virtual environment with --system-site-packages.",
        ) from error
    return picamera2

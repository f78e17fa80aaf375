"""What OpenCV reads: video files, network streams (RTSP, MJPEG over HTTP), and V4L2 devices such as USB cameras.

One decoder thread a camera: FFmpeg's default takes every core from the model and delays each picture by a frame a
thread. OpenCV decodes into the array it is given, so that nothing of frame size is allocated while it runs.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from edgesdk_agent.cameras.camera import CameraInfo
from edgesdk_agent.cameras.source_url import SourceUrl
from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

log = logging.getLogger(__name__)

Opener = Callable[[], cv2.VideoCapture]

# Above this many pixels USB 2 carries a fair rate only compressed.
_UNCOMPRESSED_PIXELS = 640 * 480
# A container's frame count is an estimate; a file that ends this far before it is damaged.
_DAMAGED_BELOW = 0.9


class OpenCvCamera:
    """Read a `cv2.VideoCapture`.

    Args:
        opener: opens it, and opens it again for each further round of a loop.
        description: without secrets.
        live: what the end of the pictures means: a live camera that stops is lost, anything else has ended.
        loop: begin again at the end.

    Raises:
        CameraLost, InputError: what `opener` raises.
    """

    def __init__(self, opener: Opener, *, description: str, live: bool, loop: bool = False) -> None:
        self._opener = opener
        self._loop = loop
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._capture: cv2.VideoCapture | None = opener()
        self._round = 0
        self._expected = 0 if live else max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self._info = CameraInfo(
            max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))),
            max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))),
            _plausible(self._capture.get(cv2.CAP_PROP_FPS)),
            live,
            description,
        )

    @property
    def info(self) -> CameraInfo:
        return self._info

    def read(self, out: Array | None) -> Array | None:
        """Wait for the next picture and decode it.

        Raises:
            CameraLost: a live camera stopped, or a file of which nothing can be decoded.
        """
        with self._lock:
            picture = self._next(out)
        if self._closed.is_set():
            # `close` came while this thread was reading, and left the release to it.
            self._release()
        return picture

    def close(self) -> None:
        """Release the capture, or leave that to the thread that is reading it just now."""
        self._closed.set()
        self._release()

    def _next(self, out: Array | None) -> Array | None:
        while not self._closed.is_set() and self._capture is not None:
            read, picture = self._capture.read(out)
            if read:
                self._round += 1
                decoded: Array = picture
                return decoded
            if self._closed.is_set() or self._ended():
                return None
        return None

    def _ended(self) -> bool:
        """Say whether the source has ended; a loop is opened again."""
        if self._info.live or not self._round:
            what = "stopped delivering pictures" if self._info.live else "holds no picture that can be decoded"
            raise CameraLost(
                f"{self._info.description} {what}.",
                hint="Check the camera's power and cable." if self._info.live else "Play it in another program.",
            )
        if self._round < _DAMAGED_BELOW * self._expected:
            log.warning("%s ended after %d of %d frames", self._info.description, self._round, self._expected)
        if not self._loop:
            return True
        self._round = 0
        if self._capture is not None:
            self._capture.release()
        try:
            self._capture = self._opener()
        except InputError as error:
            raise CameraLost(error.message, hint="The file was there before; check its disk.") from error
        return False

    def _release(self) -> None:
        # Releasing under a read would crash, so only whoever gets the lock does it.
        if self._lock.acquire(blocking=False):
            try:
                if self._capture is not None:
                    self._capture.release()
                    self._capture = None
            finally:
                self._lock.release()


def open_video_file(path: str | Path, *, loop: bool = False) -> OpenCvCamera:
    """Open a video file; every frame is delivered, as fast as it is read.

    Raises:
        InputError: there is no such file, or it is no video that can be decoded.
    """
    path = Path(path)

    def opener() -> cv2.VideoCapture:
        if not path.is_file():
            raise InputError(f"There is no file {path}.", hint="Check the path.")
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, _one_thread())
        if not capture.isOpened():
            raise InputError(
                f"{path} is no video that can be decoded here.",
                hint="Use MP4, MKV, AVI, MOV or WebM; or repair it.",
            )
        return capture

    return OpenCvCamera(opener, description=str(path), live=False, loop=loop)


def open_stream(url: SourceUrl, *, live: bool, open_timeout_s: float, read_timeout_s: float) -> OpenCvCamera:
    """Open RTSP or MJPEG over HTTP.

    Args:
        url: where.
        live: False for a recording that is streamed: its end is an end, and not a loss.
        open_timeout_s: for connecting and finding the video in the stream.
        read_timeout_s: for each picture.

    Raises:
        CameraLost: nothing answers, access is refused, or it is no video.
    """
    timeouts = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        int(open_timeout_s * 1e3),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        int(read_timeout_s * 1e3),
    ]

    def opener() -> cv2.VideoCapture:
        # FFmpeg is named, as OpenCV's other backends would try the address as a file name and print it.
        capture = cv2.VideoCapture(url.reveal(), cv2.CAP_FFMPEG, [*_one_thread(), *timeouts])
        if not capture.isOpened():
            raise CameraLost(
                f"{url} does not deliver video (tried for {open_timeout_s:g} s).",
                hint="Check the address, user and password, and that the camera answers in another player.",
            )
        return capture

    return OpenCvCamera(opener, description=str(url), live=live)


def open_v4l2(
    device: int, *, width: int | None = None, height: int | None = None, fps: float | None = None
) -> OpenCvCamera:
    """Open `/dev/video<device>`; a size or rate that it does not offer becomes the nearest one it does.

    Raises:
        CameraLost: the device is absent, busy, or not permitted.
    """

    def opener() -> cv2.VideoCapture:
        capture = cv2.VideoCapture(device, cv2.CAP_V4L2)
        if not capture.isOpened():
            raise CameraLost(f"/dev/video{device} cannot be opened.", hint=_v4l2_hint(device))
        if width and height:
            if width * height > _UNCOMPRESSED_PIXELS:
                capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        if fps:
            capture.set(cv2.CAP_PROP_FPS, fps)
        return capture

    return OpenCvCamera(opener, description=f"/dev/video{device}", live=True)


def _v4l2_hint(device: int) -> str:
    path = Path(f"/dev/video{device}")
    if not path.exists():
        present = ", ".join(sorted(str(p) for p in Path("/dev").glob("video*")))
        return f"Use one of {present}." if present else "No camera is connected: there is no /dev/video*."
    if not os.access(path, os.R_OK | os.W_OK):
        return "Add this user to the group `video`, and log in again."
    return "End the program that uses it, or try another number: one camera often has several devices."


def _one_thread() -> list[int]:
    return [cv2.CAP_PROP_N_THREADS, 1]


def _plausible(fps: float) -> float | None:
    return fps if 0 < fps <= 1000 else None

"""What OpenCV reads: video files, network streams (RTSP, MJPEG over HTTP), and V4L2 devices such as USB cameras.

One decoder thread a camera, and that is the thread that reads: FFmpeg's default takes every core from the model and
delays each picture by a frame a thread. OpenCV decodes into the array it is given, so that nothing of frame size is
allocated while it runs. Frames that are not wanted are decoded, as later ones refer to them, but not converted to BGR
(measured at 1080p: 0.55 to 0.65 of the processor time).
"""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edgesdk_agent.cameras.answering import answers
from edgesdk_agent.cameras.camera import CameraCounts, CameraInfo
from edgesdk_agent.cameras.wanted_frames import WantedFrames
from edgesdk_agent.pipeline_settings import FFMPEG_OPTIONS
from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.secret_url import SecretUrl
from edgesdk_targets.tensor import Array

log = logging.getLogger(__name__)

Opener = Callable[[], cv2.VideoCapture]

# Above this many pixels USB 2 carries a fair rate only compressed.
_UNCOMPRESSED_PIXELS = 640 * 480
# A container's frame count is an estimate; a file that ends this far before it is damaged.
_DAMAGED_BELOW = 0.9
# Whoever answers late still gets so long to show its video.
_LEAST_OPEN_S = 1.0
# Of a film that does not say.
_USUAL_FPS = 25.0


class OpenCvCamera:
    """Read a `cv2.VideoCapture`.

    Args:
        opener: opens it, and opens it again for each further round of a loop.
        description: without secrets.
        live: what the end of the pictures means: a live camera that stops is lost, anything else has ended.
        loop: begin again at the end.
        wanted: which frames are decoded to pictures; all unless given. A live camera's are chosen by when they come, a
            recording's by their time in it.
        counts: counts what is skipped and what decoding costs.
        decoder: what decodes, for people.

    Raises:
        CameraLost, InputError: what `opener` raises.
    """

    def __init__(
        self,
        opener: Opener,
        *,
        description: str,
        live: bool,
        loop: bool = False,
        wanted: WantedFrames | None = None,
        counts: CameraCounts | None = None,
        decoder: str = "",
    ) -> None:
        self.counts = counts or CameraCounts()
        self.counts.decode_cpu_s = self.counts.decode_cpu_s or 0.0
        self._opener = opener
        self._loop = loop
        self._wanted = wanted
        self._film_s = -1.0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._capture: cv2.VideoCapture | None = opener()
        self._round = 0
        own_fps = _plausible(self._capture.get(cv2.CAP_PROP_FPS))
        self._interval_s = 1 / (own_fps or _USUAL_FPS)
        self._expected = 0 if live else max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self._info = CameraInfo(
            max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))),
            max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))),
            _thinned(own_fps, wanted),
            live,
            description,
            decoder=decoder,
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
            # The decoder runs in this thread, so that this is all of its time.
            began = time.thread_time()
            picture = self._next(out)
            self.counts.decode_cpu_s = (self.counts.decode_cpu_s or 0.0) + time.thread_time() - began
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
            if not self._capture.grab():
                if self._closed.is_set() or self._ended():
                    return None
                continue
            self._round += 1
            if self._wanted is not None and not self._wanted.take(self._time_of_frame(self._capture)):
                self.counts.skipped += 1
                continue
            read, picture = self._capture.retrieve(out)
            if read:
                decoded: Array = picture
                self._note_size(decoded)
                return decoded
            self.counts.corrupt += 1
        return None

    def _time_of_frame(self, capture: cv2.VideoCapture) -> float:
        if self._info.live:
            # Cameras' own stamps jump, and MJPEG has none.
            return time.monotonic()
        at = capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
        # A raw stream has no times; its frames come one after the other.
        self._film_s = at if at > self._film_s else self._film_s + self._interval_s
        return self._film_s

    def _note_size(self, picture: Array) -> None:
        height, width = picture.shape[:2]
        if (width, height) != (self._info.width, self._info.height):
            before = f"{self._info.width}x{self._info.height}"
            log.warning("%s changed from %s to %dx%d", self._info.description, before, width, height)
            self.counts.resized += 1
            self._info = dataclasses.replace(self._info, width=width, height=height)

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
        self._round, self._film_s = 0, -1.0
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


def open_video_file(
    path: str | Path,
    *,
    loop: bool = False,
    wanted: WantedFrames | None = None,
    counts: CameraCounts | None = None,
    decoder: str = "",
) -> OpenCvCamera:
    """Open a video file; every frame that is wanted is delivered, as fast as it is read.

    Raises:
        InputError: there is no such file, or it is no video that can be decoded.
    """
    path = Path(path)

    def opener() -> cv2.VideoCapture:
        if not path.is_file():
            raise InputError(f"There is no file {path}.", hint="Check the path.")
        capture = _by_ffmpeg(str(path), _one_thread())
        if not capture.isOpened():
            raise InputError(
                f"{path} is no video that can be decoded here.",
                hint="Use MP4, MKV, AVI, MOV or WebM; or repair it.",
            )
        return capture

    return OpenCvCamera(
        opener, description=str(path), live=False, loop=loop, wanted=wanted, counts=counts, decoder=decoder
    )


def open_stream(
    url: SecretUrl,
    *,
    live: bool,
    open_timeout_s: float,
    read_timeout_s: float,
    wanted: WantedFrames | None = None,
    counts: CameraCounts | None = None,
    decoder: str = "",
) -> OpenCvCamera:
    """Open RTSP or MJPEG over HTTP.

    Args:
        url: where.
        live: False for a recording that is streamed: its end is an end, and not a loss.
        open_timeout_s: for connecting and finding the video in the stream.
        read_timeout_s: for each picture.
        wanted, counts, decoder: see `OpenCvCamera`.

    Raises:
        CameraLost: nothing answers, access is refused, or it is no video.
    """

    def opener() -> cv2.VideoCapture:
        began = time.monotonic()
        capture = _answering_stream(url, open_timeout_s, read_timeout_s)
        if capture is None or not capture.isOpened():
            # OpenCV does not say why; how long it took tells silence from an answer that is no video.
            silent = time.monotonic() - began >= 0.9 * open_timeout_s
            why = f" within {open_timeout_s:g} s" if silent else ": it is refused, or something else answers"
            raise CameraLost(
                f"{url} does not deliver video{why}.",
                hint="Check the address, user and password, and that the camera answers in another player.",
            )
        return capture

    return OpenCvCamera(opener, description=str(url), live=live, wanted=wanted, counts=counts, decoder=decoder)


def _answering_stream(url: SecretUrl, open_timeout_s: float, read_timeout_s: float) -> cv2.VideoCapture | None:
    """Return the stream, which may not be open; None where nobody answers."""
    began = time.monotonic()
    if not answers(url, open_timeout_s):
        return None
    left_s = max(_LEAST_OPEN_S, open_timeout_s - (time.monotonic() - began))
    timeouts = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        int(left_s * 1e3),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        int(read_timeout_s * 1e3),
    ]
    # FFmpeg is named, as OpenCV's other backends would try the address as a file name and print it.
    return _by_ffmpeg(url.reveal(), [*_one_thread(), *timeouts])


def open_v4l2(
    device: int,
    *,
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
    wanted: WantedFrames | None = None,
    counts: CameraCounts | None = None,
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

    return OpenCvCamera(opener, description=f"/dev/video{device}", live=True, wanted=wanted, counts=counts)


def _v4l2_hint(device: int) -> str:
    path = Path(f"/dev/video{device}")
    if not path.exists():
        present = ", ".join(sorted(str(p) for p in Path("/dev").glob("video*")))
        return f"Use one of {present}." if present else "No camera is connected: there is no /dev/video*."
    if not os.access(path, os.R_OK | os.W_OK):
        return "Add this user to the group `video`, and log in again."
    return "End the program that uses it, or try another number: one camera often has several devices."


def _by_ffmpeg(address: str, parameters: list[int]) -> cv2.VideoCapture:
    """Open a film or a stream; OpenCV takes FFmpeg's options from the environment only, and the user's own stand."""
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", FFMPEG_OPTIONS)
    return cv2.VideoCapture(address, cv2.CAP_FFMPEG, parameters)


def _one_thread() -> list[int]:
    return [cv2.CAP_PROP_N_THREADS, 1]


def _plausible(fps: float) -> float | None:
    return fps if 0 < fps <= 1000 else None


def _thinned(fps: float | None, wanted: WantedFrames | None) -> float | None:
    if wanted is None:
        return fps
    return wanted.fps if fps is None else min(fps, wanted.fps)

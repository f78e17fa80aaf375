"""Read what OpenCV has open.

One decoder thread a camera, and that is the thread that reads: FFmpeg's default takes every core from the model and
delays each picture by a frame a thread. OpenCV decodes into the array it is given, so that nothing of frame size is
allocated while it runs. Frames that are not wanted are decoded, as later ones refer to them, but not converted to BGR
(measured at 1080p: 0.55 to 0.65 of the processor time).

A camera whose pictures change their size in mid-stream is lost, so that whoever supervises it opens it again, at its new
size; a film goes on in its new sizes. FFmpeg tells neither (see `native_size`).
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edgesdk_agent.cameras.camera import CameraCounts, CameraInfo
from edgesdk_agent.cameras.native_size import NativeSize
from edgesdk_agent.cameras.wanted_frames import WantedFrames
from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

log = logging.getLogger(__name__)

Opener = Callable[[], cv2.VideoCapture]

# A container's frame count is an estimate; a file that ends this far before it is damaged.
_DAMAGED_BELOW = 0.9
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
        counts: counts what is skipped, what is missing and what decoding costs.
        decoder: what decodes, for people.
        stretches: it hands out every picture at the size at which it was opened, untold, as FFmpeg does, and that is to be
            noticed.
        film: the file that it reads, which tells the sizes of its pictures; None for a stream.

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
        stretches: bool = False,
        film: Path | None = None,
    ) -> None:
        self.counts = counts or CameraCounts()
        self.counts.decode_cpu_s = self.counts.decode_cpu_s or 0.0
        self._opener = opener
        self._loop = loop
        self._wanted = wanted
        self._film_s = -1.0
        self._native: NativeSize | None = None
        if stretches:
            self._native = NativeSize(description, live=live, film=film, counts=self.counts)
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
            SizeChanged: a live camera's pictures have been of another size for a while.
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
            if (picture := self._picture(self._capture, out)) is not None:
                self._note_size(picture)
                return picture
            self.counts.corrupt += 1
        return None

    def _picture(self, capture: cv2.VideoCapture, out: Array | None) -> Array | None:
        """Return the grabbed picture in its own size; None where it cannot be decoded."""
        if self._native is not None:
            return self._native.retrieve(capture, self._round - 1, out)
        read, picture = capture.retrieve(out)
        return picture if read else None

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
            self.counts.missing += self._expected - self._round
        if not self._loop:
            return True
        self._round, self._film_s = 0, -1.0
        if self._native is not None:
            self._native.begin_again()
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
                if self._native is not None:
                    self._native.close()
            finally:
                self._lock.release()


def _plausible(fps: float) -> float | None:
    return fps if 0 < fps <= 1000 else None


def _thinned(fps: float | None, wanted: WantedFrames | None) -> float | None:
    if wanted is None:
        return fps
    return wanted.fps if fps is None else min(fps, wanted.fps)

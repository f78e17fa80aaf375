"""What OpenCV opens: video files, network streams (RTSP, MJPEG over HTTP), and V4L2 devices such as USB cameras."""

from __future__ import annotations

import os
import time
from pathlib import Path

from edgesdk_agent.cameras.answering import answers
from edgesdk_agent.cameras.camera import CameraCounts
from edgesdk_agent.cameras.opencv import OpenCvCamera
from edgesdk_agent.cameras.wanted_frames import WantedFrames
from edgesdk_agent.pipeline_settings import FFMPEG_OPTIONS
from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.secret_url import SecretUrl

# Above this many pixels USB 2 carries a fair rate only compressed.
_UNCOMPRESSED_PIXELS = 640 * 480
# Whoever answers late still gets so long to show its video.
_LEAST_OPEN_S = 1.0


def open_video_file(
    path: str | Path,
    *,
    loop: bool = False,
    wanted: WantedFrames | None = None,
    counts: CameraCounts | None = None,
    decoder: str = "",
    notice_sizes: bool = True,
) -> OpenCvCamera:
    """Open a video file; every frame that is wanted is delivered, as fast as it is read.

    Args:
        path: where.
        notice_sizes: whether pictures that change their size are noticed.
        loop, wanted, counts, decoder: see `OpenCvCamera`.

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
        opener,
        description=str(path),
        live=False,
        loop=loop,
        wanted=wanted,
        counts=counts,
        decoder=decoder,
        stretches=notice_sizes,
        film=path,
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
    notice_sizes: bool = True,
) -> OpenCvCamera:
    """Open RTSP or MJPEG over HTTP.

    Args:
        url: where.
        live: False for a recording that is streamed: its end is an end, and not a loss.
        open_timeout_s: for connecting and finding the video in the stream.
        read_timeout_s: for each picture.
        wanted, counts, decoder: see `OpenCvCamera`.
        notice_sizes: whether pictures that change their size are noticed.

    Raises:
        CameraLost: nothing answers, access is refused, or it is no video.
    """

    def opener() -> cv2.VideoCapture:
        began = time.monotonic()
        capture = _answering_stream(url, open_timeout_s, read_timeout_s)
        if capture is None or not capture.isOpened():
            # OpenCV does not say why; how long it took tells silence from an answer that is no video.
            silent = time.monotonic() - began >= 0.9 * open_timeout_s
            answer = "nobody answers there" if capture is None else "it is refused, or something else answers"
            why = f" within {open_timeout_s:g} s" if silent else f": {answer}"
            raise CameraLost(
                f"{url} does not deliver video{why}.",
                hint="Check the address, user and password; `edgesdk camera probe ADDRESS` says which of them is wrong.",
            )
        return capture

    return OpenCvCamera(
        opener, description=str(url), live=live, wanted=wanted, counts=counts, decoder=decoder, stretches=notice_sizes
    )


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

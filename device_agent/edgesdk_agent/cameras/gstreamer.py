"""A GStreamer pipeline, through PyGObject: Jetson's CSI cameras and hardware decoders, or any pipeline of one's own.

OpenCV's wheels come without GStreamer, while PyGObject is a package of the device's own system (`python3-gi`), which a
virtual environment sees when it is made with `--system-site-packages`.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from edgesdk_agent.cameras.camera import CameraInfo
from edgesdk_agent.cameras.source_url import redact_text
from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_targets.tensor import Array

_SINK = "edgesdk"
# An element that fails says so on the bus, and the sink does not wake for it: it is looked for this often.
_SLICE_S = 0.1
# The sink keeps one picture and replaces it, so that a reader never gets an old one.
_LIVE_TAIL = f"videoconvert ! video/x-raw,format=BGR ! appsink name={_SINK} max-buffers=1 drop=true sync=false"
_RECORDED_TAIL = f"videoconvert ! video/x-raw,format=BGR ! appsink name={_SINK} max-buffers=2 drop=false sync=false"
# Jetson's own memory is converted by its own element first; `videoconvert` alone would copy four bytes a pixel.
_CSI = (
    "nvarguscamerasrc sensor-id={sensor} ! "
    "video/x-raw(memory:NVMM),width={width},height={height},framerate={fps}/1,format=NV12 ! "
    "nvvidconv ! video/x-raw,format=BGRx"
)


class GStreamerCamera:
    """Deliver the pictures of a GStreamer pipeline.

    Args:
        pipeline: in `gst-launch` syntax, up to where raw video comes out; conversion to BGR and the sink are added.
        live: newer pictures replace older ones; when False, every picture is delivered and the end is an end.
        timeout_s: the longest wait for a picture.
        description: for people, without secrets; else the pipeline's first element.

    Raises:
        CameraLost: GStreamer is not installed, or the pipeline delivers nothing.
        InputError: the pipeline's text cannot be parsed.
    """

    def __init__(self, pipeline: str, *, live: bool = True, timeout_s: float = 10.0, description: str = "") -> None:
        if not pipeline.strip():
            raise InputError("A GStreamer source needs a pipeline.", hint="For instance gst:videotestsrc.")
        self._gst = _gstreamer()
        self._timeout_s = timeout_s
        self._description = description or f"GStreamer {pipeline.split(maxsplit=1)[0]}"
        text = f"{pipeline} ! {_LIVE_TAIL if live else _RECORDED_TAIL}"
        try:
            self._pipeline: Any = self._gst.parse_launch(text)
        except Exception as error:  # GLib.Error, whose class exists only after the import
            raise InputError(
                f"GStreamer does not take this pipeline: {redact_text(str(error))}",
                hint="Try it with gst-launch-1.0 and `fakesink` at its end.",
            ) from error
        self._sink: Any = self._pipeline.get_by_name(_SINK)
        self._closed = threading.Event()
        self._pipeline.set_state(self._gst.State.PLAYING)
        # The first picture tells the size; it is kept for the first read.
        self._first: Any = self._pull()
        if self._first is None:
            self.close()
            raise CameraLost(f"{self._description} delivers no picture.", hint="Check that the source is not empty.")
        caps = self._first.get_caps().get_structure(0)
        known, top, bottom = caps.get_fraction("framerate")
        fps = top / bottom if known and top and bottom else None
        self._info = CameraInfo(caps.get_value("width"), caps.get_value("height"), fps, live, self._description)

    @property
    def info(self) -> CameraInfo:
        return self._info

    def read(self, out: Array | None) -> Array | None:
        """Wait for the next picture and copy it out of GStreamer's memory.

        Raises:
            CameraLost: an element failed, or no picture came in time.
        """
        sample, self._first = self._first, None
        if sample is None:
            sample = self._pull()
        if sample is None or self._closed.is_set():
            return None
        caps = sample.get_caps().get_structure(0)
        height, width = caps.get_value("height"), caps.get_value("width")
        buffer = sample.get_buffer()
        mapped, memory = buffer.map(self._gst.MapFlags.READ)
        if not mapped:
            raise CameraLost(f"{self._description} delivered memory that cannot be read.", hint="Restart the camera.")
        try:
            # Lines are padded to four bytes.
            data = memory.data
            picture = np.ndarray((height, width, 3), np.uint8, buffer=data, strides=(len(data) // height, 3, 1))
            if out is None or out.shape != picture.shape:
                return picture.copy()
            np.copyto(out, picture)
            return out
        finally:
            buffer.unmap(memory)

    def close(self) -> None:
        self._closed.set()
        self._pipeline.set_state(self._gst.State.NULL)

    def _pull(self) -> Any:
        deadline = time.monotonic() + self._timeout_s
        while not self._closed.is_set():
            sample = self._sink.emit("try-pull-sample", int(_SLICE_S * self._gst.SECOND))
            if sample is not None:
                return sample
            failure = self._failure()
            if failure is None and self._sink.get_property("eos"):
                return None
            if failure is None and time.monotonic() > deadline:
                failure = f"no picture within {self._timeout_s:g} s"
            if failure is not None and not self._closed.is_set():
                self.close()
                raise CameraLost(
                    f"{self._description} failed: {failure}.", hint="Check that no other program holds the camera."
                )
        return None

    def _failure(self) -> str | None:
        message = self._pipeline.get_bus().pop_filtered(self._gst.MessageType.ERROR)
        if message is None:
            return None
        error, _ = message.parse_error()
        return redact_text(str(error.message)).rstrip(".")


def open_csi(sensor: int, *, width: int | None, height: int | None, fps: float | None) -> GStreamerCamera:
    """Open a CSI camera of a Jetson board.

    Raises:
        CameraLost: GStreamer is not installed, or the camera does not deliver.
    """
    text = _CSI.format(sensor=sensor, width=width or 1280, height=height or 720, fps=round(fps or 30))
    try:
        return GStreamerCamera(text, description=f"CSI camera {sensor}")
    except InputError as error:
        raise CameraLost(
            error.message, hint="JetPack's GStreamer elements are missing: install it on the host."
        ) from error


def _gstreamer() -> Any:
    try:
        import gi

        gi.require_version("Gst", "1.0")
        from gi.repository import Gst
    except (ImportError, ValueError) as error:
        raise CameraLost(
            "GStreamer's Python binding is not installed.",
            hint="apt install python3-gi gir1.2-gstreamer-1.0 gstreamer1.0-plugins-base, and make the virtual "
            "environment with --system-site-packages.",
        ) from error
    Gst.init(None)
    return Gst

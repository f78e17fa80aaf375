"""A GStreamer pipeline, through PyGObject: Jetson's CSI cameras and hardware decoders, or any pipeline of one's own."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edgesdk_agent.cameras.camera import CameraCounts, CameraInfo
from edgesdk_agent.cameras.gstreamer_library import gstreamer
from edgesdk_agent.cameras.gstreamer_threads import StreamingThreads
from edgesdk_agent.cameras.raw_video import FORMATS, RawVideo
from edgesdk_agent.cameras.wanted_frames import WantedFrames
from edgesdk_targets.errors import CameraLost, DeviceError, InputError
from edgesdk_targets.secret_url import redact_text
from edgesdk_targets.tensor import Array

log = logging.getLogger(__name__)

_SINK = "edgesdk"
_DECODED = "decoded"
# An element that fails says so on the bus, and the sink does not wake for it: it is looked for this often.
_SLICE_S = 0.1
# What elements say besides failures is thrown away this often, or it would pile up on the bus for months.
_LOOK_AT_BUS = 64
# A live sink keeps one picture and replaces it, so that a reader never gets an old one.
# What is not wanted is dropped behind `decoded`, before it is converted. A decoder's own format passes the converter.
_FRONT = f"identity name={_DECODED} ! videoconvert ! video/x-raw,format=(string){{{','.join(FORMATS)}}}"
_LIVE_TAIL = f"{_FRONT} ! appsink name={_SINK} max-buffers=1 drop=true sync=false"
_RECORDED_TAIL = f"{_FRONT} ! appsink name={_SINK} max-buffers=2 drop=false sync=false"
# Jetson's own memory is converted by its own element first; `videoconvert` alone would copy four bytes a pixel.
_CSI = (
    "nvarguscamerasrc sensor-id={sensor} ! "
    "video/x-raw(memory:NVMM),width={width},height={height},framerate={fps}/1,format=NV12 ! "
    "nvvidconv ! video/x-raw,format=BGRx"
)


@dataclass(slots=True)
class Linked:
    """What became of a source's streams, once they are known.

    Attributes:
        decoder: what decodes, for people.
        refused: why nothing could be linked.
        handlers: of the elements that tell of their streams: their signals' numbers. They hold the pipeline, as Python's
            handlers do, and a pipeline that is never let go keeps its files open.
    """

    decoder: str = ""
    refused: str = ""
    handlers: list[tuple[Any, int]] = field(default_factory=list)

    def let_go(self) -> None:
        """Take the handlers away."""
        while self.handlers:
            element, number = self.handlers.pop()
            element.disconnect(number)


# Is given GStreamer, the pipeline, and the element to feed.
Link = Callable[[Any, Any, Any], Linked]


class DecoderRefused(DeviceError):
    """The decoder that was chosen cannot decode what this source sends."""

    code = "decoder_refused"


class GStreamerCamera:
    """Deliver the pictures of a GStreamer pipeline.

    Args:
        pipeline: in `gst-launch` syntax, up to where raw video comes out; conversion to BGR and the sink are added.
        live: newer pictures replace older ones; when False, every picture is delivered and the end is an end.
        open_timeout_s: the longest wait for the first picture; timeout_s: for each other one.
        description: for people, without secrets; else the pipeline's first element.
        link: where the source's streams are known only while it runs: joins them to the sink's part.
        wanted: which frames are converted and handed on; all unless given.
        counts: counts what is skipped and what decoding costs.

    Raises:
        CameraLost: GStreamer is not installed, or the pipeline delivers nothing.
        InputError: the pipeline's text cannot be parsed.
    """

    def __init__(
        self,
        pipeline: str,
        *,
        live: bool = True,
        open_timeout_s: float = 10.0,
        timeout_s: float = 10.0,
        description: str = "",
        link: Link | None = None,
        wanted: WantedFrames | None = None,
        counts: CameraCounts | None = None,
    ) -> None:
        self.counts = counts or CameraCounts()
        self._wanted = wanted
        self._live = live
        self._raw = RawVideo()
        self._damaged = self.counts.corrupt
        self._pulled = 0
        if not pipeline.strip():
            raise InputError("A GStreamer source needs a pipeline.", hint="For instance gst:videotestsrc.")
        self._gst = gstreamer()
        self._timeout_s = timeout_s
        self._description = description or f"GStreamer {pipeline.split(maxsplit=1)[0]}"
        text = f"{pipeline} {'' if link else '!'} {_LIVE_TAIL if live else _RECORDED_TAIL}"
        try:
            self._pipeline: Any = self._gst.parse_launch(text)
        except Exception as error:  # GLib.Error, whose class exists only after the import
            raise InputError(
                f"GStreamer does not take this pipeline: {redact_text(str(error))}",
                hint="Try it with gst-launch-1.0 and `fakesink` at its end.",
            ) from error
        self._sink: Any = self._pipeline.get_by_name(_SINK)
        self._closed = threading.Event()
        decoded = self._pipeline.get_by_name(_DECODED)
        self._linked = link(self._gst, self._pipeline, decoded) if link else Linked()
        self._probe: tuple[Any, int] | None = None
        if wanted is not None:
            pad = decoded.get_static_pad("src")
            self._probe = pad, pad.add_probe(self._gst.PadProbeType.BUFFER, self._thin)
        self._threads = StreamingThreads(self._gst, self._pipeline.get_bus(), self.counts.decode_cpu_s or 0.0)
        self._pipeline.set_state(self._gst.State.PLAYING)
        # The first picture tells the size; it is kept for the first read.
        self._first: Any = self._pull(open_timeout_s)
        if self._first is None:
            self.close()
            raise CameraLost(f"{self._description} delivers no picture.", hint="Check that the source is not empty.")
        caps = self._first.get_caps().get_structure(0)
        known, top, bottom = caps.get_fraction("framerate")
        fps = top / bottom if known and top and bottom else None
        if wanted is not None:
            fps = wanted.fps if fps is None else min(fps, wanted.fps)
        size = caps.get_value("width"), caps.get_value("height")
        self._info = CameraInfo(*size, fps, live, self._description, self._linked.decoder)

    @property
    def info(self) -> CameraInfo:
        return self._info

    def read(self, out: Array | None) -> Array | None:
        """Wait for the next picture and copy it out of GStreamer's memory.

        Raises:
            CameraLost: an element failed, or no picture came in time.
        """
        began = time.thread_time()
        picture = self._read(out)
        self._threads.reader_s += time.thread_time() - began
        self.counts.decode_cpu_s = self._threads.cpu_s()
        return picture

    def close(self) -> None:
        self._closed.set()
        self._pipeline.set_state(self._gst.State.NULL)
        self._threads.stop()
        self._linked.let_go()
        probe, self._probe = self._probe, None
        if probe is not None:
            probe[0].remove_probe(probe[1])

    def _read(self, out: Array | None) -> Array | None:
        sample, self._first = self._first, None
        if sample is None:
            sample = self._pull(self._timeout_s)
        if sample is None or self._closed.is_set():
            return None
        caps = sample.get_caps().get_structure(0)
        height, width = caps.get_value("height"), caps.get_value("width")
        if (width, height) != (self._info.width, self._info.height):
            before = f"{self._info.width}x{self._info.height}"
            log.warning("%s changed from %s to %dx%d", self._description, before, width, height)
            self.counts.resized += 1
            self._info = dataclasses.replace(self._info, width=width, height=height)
        buffer = sample.get_buffer()
        self._damaged += buffer.has_flags(self._gst.BufferFlags.CORRUPTED)
        self.counts.corrupt = self._damaged + self._threads.undecoded
        mapped, memory = buffer.map(self._gst.MapFlags.READ)
        if not mapped:
            raise CameraLost(f"{self._description} delivered memory that cannot be read.", hint="Restart the camera.")
        try:
            return self._raw.to_bgr(memory.data, caps.get_string("format"), width, height, out)
        finally:
            buffer.unmap(memory)

    def _thin(self, _: Any, probed: Any) -> Any:
        """Drop the frames that are not wanted; runs in GStreamer's thread."""
        at = probed.get_buffer().pts
        known = at != self._gst.CLOCK_TIME_NONE and not self._live
        if self._wanted is None or self._wanted.take(at / 1e9 if known else time.monotonic()):
            return self._gst.PadProbeReturn.OK
        self.counts.skipped += 1
        return self._gst.PadProbeReturn.DROP

    def _pull(self, timeout_s: float) -> Any:
        deadline = time.monotonic() + timeout_s
        while not self._closed.is_set():
            sample = self._sink.emit("try-pull-sample", int(_SLICE_S * self._gst.SECOND))
            self._pulled += 1
            if sample is not None and self._pulled % _LOOK_AT_BUS:
                return sample
            failure = self._failure()
            if failure is None and sample is not None:
                return sample
            if failure is None and self._sink.get_property("eos"):
                if not self._live:
                    return None
                failure = "its stream ended"
            if failure is None and time.monotonic() > deadline:
                failure = f"no picture within {timeout_s:.3g} s"
            if failure is not None and not self._closed.is_set():
                self.close()
                raise CameraLost(
                    f"{self._description} failed: {failure}.", hint="Check that no other program holds the camera."
                )
        return None

    def _failure(self) -> str | None:
        if self._linked.refused:
            self.close()
            raise DecoderRefused(self._linked.refused)
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

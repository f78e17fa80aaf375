"""How a source may be named, as data: for help, errors and documents."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceForm:
    """One way to name a source.

    Attributes:
        form: as it is written.
        what: what it opens.
        tried: False where the code could not be tried on its hardware.
    """

    form: str
    what: str
    tried: bool = True


SOURCE_FORMS = (
    SourceForm("FILE.mp4", "a video file, or one picture"),
    SourceForm("DIR, folder:DIR", "the pictures of a folder, by name"),
    SourceForm("rtsp://HOST/PATH", "a network camera or recorder (TCP)"),
    SourceForm("http://HOST/PATH", "MJPEG over HTTP, or a video file on a web server"),
    SourceForm("N, /dev/videoN", "a USB or other V4L2 camera", tried=False),
    SourceForm("csi:N", "a CSI camera of a Jetson or Raspberry Pi", tried=False),
    SourceForm("gst:PIPELINE", "any GStreamer pipeline, up to raw video"),
    SourceForm("synthetic:?fps=30&frames=100&width=640&height=480&seed=1", "a moving texture"),
    SourceForm("conveyor:?seed=1&fps=30&frames=100&truth=FILE", "digits on a conveyor, for the sample models"),
)

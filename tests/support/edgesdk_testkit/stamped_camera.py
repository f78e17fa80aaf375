"""An RTSP camera on loopback whose pictures carry the time in their pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesdk_testkit.h264_files import write_h264
from edgesdk_testkit.required import missing
from edgesdk_testkit.rtsp_server import RtspServer, missing_part, stamped


@contextmanager
def stamped_camera(folder: Path, *, fps: int) -> Iterator[RtspServer]:
    """Run a camera of 640x360 without end; skips where this machine cannot."""
    if (part := missing_part()) is not None:
        missing(part)
    film = write_h264(folder / "film.mp4", width=640, height=360, fps=fps, frames=20)
    server = RtspServer(stamped(film, fps=fps))
    server.start()
    try:
        yield server
    finally:
        server.stop()

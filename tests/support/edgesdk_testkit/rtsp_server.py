"""A real RTSP server for one H.264 file, by GStreamer's RTSP server under the system's Python.

Run by itself: `python3 rtsp_server.py FILE` prints its address, and serves until its standard input closes.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SYSTEM_PYTHON = "/usr/bin/python3"


def missing_part() -> str | None:
    """Return what is missing to run the server, or None."""
    code = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    try:
        done = subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True, check=False)
    except OSError:
        return f"{SYSTEM_PYTHON} is missing"
    return (
        None if done.returncode == 0 else "GStreamer's RTSP server is not installed (Debian gir1.2-gst-rtsp-server-1.0)"
    )


class RtspServer:
    """Serve a file in a process of its own; use it in a `with` statement."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> str:
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, __file__, str(self._file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def _serve(file: str) -> None:
    import gi  # type: ignore[import-not-found]

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found]

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f'( filesrc location="{file}" ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )'
    )
    server.get_mount_points().add_factory("/video", factory)
    server.attach(None)
    print(f"rtsp://127.0.0.1:{server.get_bound_port()}/video", flush=True)
    loop = GLib.MainLoop()
    GLib.io_add_watch(sys.stdin, GLib.IO_HUP, lambda *_: loop.quit())
    loop.run()


if __name__ == "__main__":
    _serve(sys.argv[1])

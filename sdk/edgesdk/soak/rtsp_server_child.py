"""A virtual RTSP camera: the system's Python with GStreamer's RTSP server; `PORT WIDTH HEIGHT FPS`. Imports nothing of ours.

A ball moves over the picture, so that a picture that stands still is a fault. It serves until its standard input closes.
"""

from __future__ import annotations

import sys
import threading


def main(port: int, width: int, height: int, fps: int) -> None:
    """Serve `rtsp://127.0.0.1:PORT/camera`, and print a line when that begins."""
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(str(port))
    factory = GstRtspServer.RTSPMediaFactory.new()
    # The format is named, as the JPEG encoder may else choose one that the payloader does not take.
    factory.set_launch(
        f"( videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width={width},height={height},framerate={fps}/1 "
        "! jpegenc quality=60 ! rtpjpegpay name=pay0 pt=26 )"
    )
    factory.set_shared(True)
    server.get_mount_points().add_factory("/camera", factory)
    if not server.attach(None):
        raise SystemExit(f"port {port} is taken")
    loop = GLib.MainLoop()

    def end_with_parent() -> None:
        sys.stdin.read()
        loop.quit()

    threading.Thread(target=end_with_parent, daemon=True).start()
    sys.stdout.write("serves\n")
    sys.stdout.flush()
    loop.run()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]))

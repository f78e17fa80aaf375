"""A virtual camera that speaks MJPEG over HTTP, for machines without GStreamer's RTSP server; `PORT WIDTH HEIGHT FPS`.

A square moves over the picture, so that a picture that stands still is a fault. It serves until its standard input closes.
"""

from __future__ import annotations

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

_BOUNDARY = "edgesdk-soak"
_PICTURES = 32


def main(port: int, width: int, height: int, fps: int) -> None:
    """Serve `http://127.0.0.1:PORT/`, and print a line when that begins."""
    pictures = [_picture(number, width, height) for number in range(_PICTURES)]

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
            self.end_headers()
            due, number = time.monotonic(), 0
            try:
                while True:
                    jpeg = pictures[number % _PICTURES]
                    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                    number += 1
                    due = max(due + 1 / fps, time.monotonic() - 1)
                    time.sleep(max(0.0, due - time.monotonic()))
            except OSError:
                return

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002  (the base class's)
            return

    ThreadingHTTPServer.allow_reuse_address = True
    server = ThreadingHTTPServer(("127.0.0.1", port), Camera)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write("serves\n")
    sys.stdout.flush()
    sys.stdin.read()


def _picture(number: int, width: int, height: int) -> bytes:
    picture = np.full((height, width, 3), 96, np.uint8)
    left = number * (width - height // 4) // _PICTURES
    picture[height // 3 : height // 3 + height // 4, left : left + height // 4] = 230
    return cv2.imencode(".jpg", picture)[1].tobytes()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]))

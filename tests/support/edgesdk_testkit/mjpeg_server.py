"""A camera that speaks MJPEG over HTTP on loopback, as cheap network cameras do."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING

import cv2

from edgesdk_targets.tensor import Array

if TYPE_CHECKING:
    from typing_extensions import Self

_BOUNDARY = "edgesdk-picture"


class MjpegServer:
    """Serve pictures to each client until `frames` are sent, or for ever, and then break the connection off.

    Args:
        picture: frame number → picture.
        frames: per connection; None for no end.
        fps: pictures a second.
        credentials: `user:password` that a client must send.
        port: a fixed one, to come back on; 0 takes a free one.
    """

    def __init__(
        self,
        picture: Callable[[int], Array],
        *,
        frames: int | None = None,
        fps: float = 100.0,
        credentials: str = "",
        port: int = 0,
    ) -> None:
        self._stopped = threading.Event()
        self.connections = 0
        expected = "Basic " + b64encode(credentials.encode()).decode()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if credentials and self.headers.get("Authorization") != expected:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                    self.end_headers()
                    return
                outer.connections += 1
                self.send_response(200)
                self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
                self.end_headers()
                try:
                    self._send_pictures()
                except OSError:
                    return

            def _send_pictures(self) -> None:
                number = 0
                while number != frames and not outer._stopped.is_set():
                    _, jpeg = cv2.imencode(".jpg", picture(number))
                    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg.tobytes() + b"\r\n")
                    number += 1
                    outer._stopped.wait(1 / fps)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
                return

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Break off every connection and give the port back."""
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._stopped.is_set():
            self.stop()
